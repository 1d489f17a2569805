// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package lab

import (
	"errors"
	"os"
	"os/exec"
)

// tie does nothing here: only Linux can end a child with its parent.
func tie(*exec.Cmd) {}

// interrupt reaches the process only: its children are interrupted by the terminal, as they are not tied.
func interrupt(process *os.Process) error { return process.Signal(os.Interrupt) }

// Suspend is an error: a process can be halted on Linux only.
func (p *Process) Suspend() error { return errors.ErrUnsupported }

// Resume is an error: see Suspend.
func (p *Process) Resume() error { return errors.ErrUnsupported }
