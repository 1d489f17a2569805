// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// ProgramOptions say how a program is run that is no server of the lab. Name,
// Binary and ReadyURL are required.
type ProgramOptions struct {
	// Name is the name of the log and in messages.
	Name string
	// Binary is the path of the executable.
	Binary string
	// Args is its command line without its name.
	Args []string
	// Env (K=V) is its whole environment.
	Env []string
	// Dir is an existing folder, the working directory and place of the log
	// <Name>.log. Empty: a throw-away folder that Stop removes.
	Dir string
	// ReadyURL answers 200 when the program is ready.
	ReadyURL string
}

// StartProgram starts a program, and waits until it is ready. The error of one
// that ends or does not become ready holds the end of its log.
func StartProgram(ctx context.Context, opts ProgramOptions) (*Server, error) {
	bin, err := filepath.Abs(opts.Binary)
	if err == nil {
		err = isExecutable(bin)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s; build its binary first: %w", opts.Name, err)
	}
	server, err := newServer(opts.Name, bin, opts.Dir)
	if err != nil {
		return nil, err
	}
	server.args, server.env, server.ready = opts.Args, opts.Env, answersOK(opts.ReadyURL)
	if err := server.start(ctx); err != nil {
		return nil, errors.Join(err, server.Kill())
	}
	return server, nil
}
