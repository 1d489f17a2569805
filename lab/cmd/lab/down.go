// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const downTimeout = 80 * time.Second // a lab stops within 35 s, and so does the collector of a demo

// down asks the running lab to end, and waits until it has.
func down(ctx context.Context, c *call) error {
	if err := c.noArguments(); err != nil {
		return err
	}
	state, err := runningState()
	if err != nil {
		return err
	}
	process, err := os.FindProcess(state.PID)
	if err == nil {
		err = process.Signal(syscall.SIGTERM)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the lab (pid %d): %w", state.PID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for state.running() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the lab (pid %d) did not end: %w; end it with kill -9 %d", state.PID, ctx.Err(), state.PID)
		case <-poll.C:
		}
	}
	fmt.Fprintf(c.stderr, "lab: ended (pid %d)\n", state.PID)
	return nil
}
