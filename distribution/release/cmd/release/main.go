// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Command release makes all that is published of a version: binaries, archives,
// packages, the image, the Helm chart, and what users verify them with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// command is one subcommand; each has a file of its own.
type command struct {
	name  string
	args  string
	short string
	run   func(ctx context.Context, c *call) error
}

var commands = []command{
	{"all", "--version 0.2.0 [--key minisign.key] [--platform linux/amd64,…] [--output folder]", "everything that is published", all},
	{"compile", "[--version 0.2.0] [--platform linux/amd64,…] [--output folder]", "the collector for every platform, and nothing else", compile},
	{"licences", "[--module folder]", "the licence of each module in the collector; exit 1 if one forbids shipping", licences},
}

// call is one invocation of a subcommand.
type call struct {
	flags          *flag.FlagSet
	args           []string // as given; see parse
	source         string   // root of the checkout, once parsed
	stdout, stderr io.Writer
}

// parse reads the flags that the subcommand has defined. There are no other arguments.
func (c *call) parse(ctx context.Context) error {
	c.flags.StringVar(&c.source, "source", "", "root of the checkout (default: that of the working directory)")
	if err := c.flags.Parse(c.args); err != nil {
		return errors.Join(errShown, err)
	}
	if rest := c.flags.Args(); len(rest) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, got %q", c.flags.Name(), rest)}
	}
	if c.source == "" {
		root, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
		if err != nil {
			return fmt.Errorf("find the checkout: run release inside of it, or pass --source: %w", err)
		}
		c.source = strings.TrimSpace(string(root))
	}
	return nil
}

// errShown marks a mistake that package flag has printed already.
var errShown = errors.New("wrong flags")

// usageError is a mistake on the command line: exit status 2.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // A second Ctrl-C ends it at once.
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage())
		return 2
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(stdout, usage())
		return 0
	}
	for _, cmd := range commands {
		if cmd.name != args[0] {
			continue
		}
		c := &call{flags: flag.NewFlagSet(cmd.name, flag.ContinueOnError), args: args[1:], stdout: stdout, stderr: stderr}
		c.flags.SetOutput(stderr)
		c.flags.Usage = func() {
			fmt.Fprintf(stderr, "usage: release %s %s\n%s\n", cmd.name, cmd.args, cmd.short)
			c.flags.PrintDefaults()
		}
		return status(cmd.run(ctx, c), stderr)
	}
	fmt.Fprintf(stderr, "release: unknown command %q\n\n%s", args[0], usage())
	return 2
}

// status prints the error and gives the exit status.
func status(err error, stderr io.Writer) int {
	var mistake usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "release: interrupted")
		return 130
	case errors.Is(err, errShown):
		return 2
	case errors.As(err, &mistake):
		fmt.Fprintf(stderr, "release: %v\n", err)
		return 2
	default:
		fmt.Fprintf(stderr, "release: %v\n", err)
		return 1
	}
}

func usage() string {
	var out strings.Builder
	out.WriteString("release makes all that is published of a version, in distribution/_release.\n\n")
	for _, cmd := range commands {
		fmt.Fprintf(&out, "  release %s\n        %s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.short)
	}
	return out.String()
}
