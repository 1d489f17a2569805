// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// env prints the running lab's environment for a shell to evaluate.
func env(_ context.Context, c *call) error {
	if err := c.noArguments(); err != nil {
		return err
	}
	state, err := runningState()
	if err != nil {
		return err
	}
	if len(state.Env) == 0 {
		return errors.New("the lab is still starting; try again when lab up has printed the addresses")
	}
	for _, kv := range state.Env {
		key, value, _ := strings.Cut(kv, "=")
		fmt.Fprintf(c.stdout, "export %s=%s\n", key, quote(value))
	}
	return nil
}

// quote makes one word of a POSIX shell out of s.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
