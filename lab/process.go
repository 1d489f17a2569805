// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// stopGrace is from SIGTERM to SIGKILL. A Vault that ends during an election
	// waits for the answer of a peer that has gone, up to ten seconds.
	stopGrace = 30 * time.Second
	killGrace = 5 * time.Second // from SIGKILL to giving up
)

// ForkGoroutine is the name of the function whose goroutine starts all
// processes and never ends; tests with goleak name it in IgnoreTopFunction.
const ForkGoroutine = "github.com/otelcol-infra/otelcol-infra/lab.forkLoop"

var (
	forks     = make(chan func())
	startFork sync.Once
)

// forkLoop runs functions on one OS thread that lives as long as the program:
// Linux sends a child its parent-death signal when the thread that forked ends.
func forkLoop() {
	runtime.LockOSThread()
	for fork := range forks {
		fork()
	}
}

// startTied starts cmd such that it is killed when this process ends.
func startTied(cmd *exec.Cmd) error {
	startFork.Do(func() { go forkLoop() })
	tie(cmd)
	started := make(chan error, 1)
	forks <- func() { started <- cmd.Start() }
	return <-started
}

// Command says what a [Process] runs.
type Command struct {
	Name string   // for messages, and the log file <Dir>/<Name>.log
	Path string   // the executable
	Args []string // without the program name
	Env  []string // the whole environment, K=V
	Dir  string   // working directory, and place of the log file
}

// Process is one running or ended program. Its methods may be called at any
// time from any goroutine.
type Process struct {
	name     string
	logPath  string
	logStart int64 // size of the log file before this run
	cmd      *exec.Cmd
	done     chan struct{}
	waitErr  error // valid once done is closed
}

// StartProcess starts the program with its output appended to <Dir>/<Name>.log.
// It does not wait for it to become ready. On Linux the program is killed when
// this process ends, however it ends (but not if the executable is setuid or
// has file capabilities: the kernel then drops that tie).
func StartProcess(c Command) (*Process, error) {
	p := &Process{name: c.Name, logPath: filepath.Join(c.Dir, c.Name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", c.Name, err)
	}
	defer log.Close() // the child has its own
	if info, err := log.Stat(); err == nil {
		p.logStart = info.Size()
	}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Dir, p.cmd.Env = c.Dir, c.Env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := startTied(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go func() {
		p.waitErr = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// LogPath is the file that holds the output of this and earlier runs.
func (p *Process) LogPath() string { return p.logPath }

// LogTail gives the last n lines of this run's output; why it cannot be read, if so.
func (p *Process) LogTail(n int) string { return fileTail(p.logPath, p.logStart, n) }

// Stop ends the process with SIGTERM, and with SIGKILL if it has not ended
// after 30 seconds or when ctx is done; that it took SIGKILL is an error.
// Stopping an ended process does nothing.
func (p *Process) Stop(ctx context.Context) error {
	if p.ended() {
		return nil
	}
	_ = p.Resume() // a suspended process would not act on SIGTERM
	if err := p.signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, p.Kill())
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
		return nil
	case <-grace.C:
	case <-ctx.Done():
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return fmt.Errorf("%s had to be killed, it did not end on SIGTERM; see %s", p.name, p.logPath)
}

// failure holds the status with which the process ended, if it was not 0, and the end
// of its log; nil while it runs, and when a signal ended it.
func (p *Process) failure() error {
	var exit *exec.ExitError
	if p.ended() && errors.As(p.waitErr, &exit) && exit.ExitCode() > 0 {
		return fmt.Errorf("%s ended with %w:\n%s", p.name, exit, p.LogTail(30))
	}
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() error {
	if err := p.signal(os.Kill); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(killGrace):
		return fmt.Errorf("%s (pid %d) still there %s after SIGKILL", p.name, p.PID(), killGrace)
	}
}

// signal sends s; to an ended process that is no error.
func (p *Process) signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s (pid %d): %w", s, p.name, p.PID(), err)
	}
	return nil
}

func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
