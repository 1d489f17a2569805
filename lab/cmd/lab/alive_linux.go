// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
)

// running says whether the very process that wrote the state still runs.
func (s *state) running() bool {
	return s.PID > 0 && s.Started != "" && processStart(s.PID) == s.Started
}

// processStart is the start time of a process in clock ticks since boot; empty
// if it is gone, or has ended and waits for its parent to notice.
func processStart(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field, the name in brackets, may hold anything: begin after it.
	fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
	const stateField, startField = 0, 19 // the 3rd and 22nd of all
	if len(fields) <= startField || string(fields[stateField]) == "Z" {
		return ""
	}
	return string(fields[startField])
}
