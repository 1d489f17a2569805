// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Command lab runs the servers of package lab for a person or a script: real
// Consul, etcd, Vault, Jaeger and Prometheus on free loopback ports, and Temporal
// and kube-apiserver when they are named.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// command is one subcommand; each has a file of its own.
type command struct {
	name  string
	args  string
	short string
	run   func(ctx context.Context, c *call) error
}

var commands = []command{
	{"up", "[--etcd-members n] [--dir folder] [server...]", "start servers, run until Ctrl-C", up},
	{"env", "", "print the running lab's addresses and tokens, for eval \"$(lab env)\"", env},
	{"down", "", "end the running lab", down},
	{"demo", "[--check] [--collector file] [--config file]", "show the collector at work on all servers; with --check: once, and exit 0 or 1", runDemo},
	{"order", "[--check] [--collector file] [--config file]", "run the order service of examples/order on all servers; with --check: once, and exit 0 or 1", runOrder},
	{"build", "[--env] [server...|collector]", "build servers and the collector ahead, so that a start takes seconds", build},
}

// call is one invocation of a subcommand.
type call struct {
	flags          *flag.FlagSet
	args           []string // as given; see parse
	stdout, stderr io.Writer
}

// parse reads the flags that the subcommand has defined, and gives the rest.
func (c *call) parse() ([]string, error) {
	if err := c.flags.Parse(c.args); err != nil {
		return nil, errors.Join(errShown, err)
	}
	return c.flags.Args(), nil
}

// noArguments is parse for a subcommand that takes none.
func (c *call) noArguments() error {
	rest, err := c.parse()
	if err == nil && len(rest) > 0 {
		err = usageError{fmt.Errorf("%s takes no arguments, got %q", c.flags.Name(), rest)}
	}
	return err
}

// errShown marks a mistake that package flag has printed already.
var errShown = errors.New("wrong flags")

// usageError is a mistake on the command line: exit status 2.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second Ctrl-C ends us at once; the servers end with us.
	context.AfterFunc(ctx, stop)
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
			fmt.Fprintf(stderr, "usage: lab %s %s\n%s\n", cmd.name, cmd.args, cmd.short)
			c.flags.PrintDefaults()
		}
		err := cmd.run(ctx, c)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			fmt.Fprintln(stderr, "lab: interrupted")
			return 130
		}
		return status(err, stderr)
	}
	fmt.Fprintf(stderr, "lab: unknown command %q\n\n%s", args[0], usage())
	return 2
}

// status prints the error and gives the exit status.
func status(err error, stderr io.Writer) int {
	var mistake usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errShown):
		return 2
	case errors.As(err, &mistake):
		fmt.Fprintf(stderr, "lab: %v\n", err)
		return 2
	default:
		fmt.Fprintf(stderr, "lab: %v\n", err)
		return 1
	}
}

func usage() string {
	var out strings.Builder
	out.WriteString("lab runs real servers as processes on free loopback ports, in a throw-away folder.\n\n")
	for _, cmd := range commands {
		fmt.Fprintf(&out, "  lab %s\n        %s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.short)
	}
	fmt.Fprintf(&out, `
Servers: %s (these, if none is named),
and %s, which are built and started only when they are named.
Tools, which lab build builds when they are named: %s.
A server is built from source on first use, in minutes. One that is on PATH and
new enough is used instead: %s or newer.
LAB_CONSUL, LAB_ETCD, LAB_VAULT, LAB_JAEGER, LAB_PROMETHEUS, LAB_TEMPORAL,
LAB_KUBE_APISERVER, LAB_ETCDCTL, LAB_ETCDUTL and LAB_ENVOY name another executable,
or say "build" to build it although it is on PATH. An Envoy cannot be built here:
without one, the order service has a stand-in.
`, list(lab.ServerNames()), list(lab.OnDemandServerNames()), list(lab.ToolNames()), list(lab.OldestVersions()))
	return out.String()
}

func list(names []string) string { return strings.Join(names, ", ") }
