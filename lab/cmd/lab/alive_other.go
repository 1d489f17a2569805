// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import (
	"os"
	"syscall"
)

// running says whether there is a process of this ID; a reused ID is not noticed here.
func (s *state) running() bool {
	process, err := os.FindProcess(s.PID)
	return s.PID > 0 && err == nil && process.Signal(syscall.Signal(0)) == nil
}

func processStart(int) string { return "" }
