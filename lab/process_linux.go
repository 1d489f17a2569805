// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"os"
	"os/exec"
	"syscall"
)

// tie has the kernel kill the child when its parent ends, and keeps a
// terminal's Ctrl-C away from it, so that its parent can stop it in order.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// interrupt sends SIGINT to a tied process and its children, as a terminal does.
func interrupt(process *os.Process) error { return syscall.Kill(-process.Pid, syscall.SIGINT) }

// Suspend halts the process (SIGSTOP): it keeps its connections and does not answer.
func (p *Process) Suspend() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a suspended process go on (SIGCONT).
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }
