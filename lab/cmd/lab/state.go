// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// state is what a running lab leaves for lab env and lab down to read.
type state struct {
	PID     int      `json:"pid"`
	Started string   `json:"started"` // of the process; guards against a reused PID
	Dir     string   `json:"dir"`
	Env     []string `json:"env"` // holds secrets; none yet while starting
}

var errNoLab = errors.New("no lab is running; start one with lab up")

func statePath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder; set HOME or XDG_CACHE_HOME: %w", err)
	}
	return filepath.Join(cache, "otelcol-infra", "lab.json"), nil
}

// claimState makes the state file for this process; one lab runs at a time.
func claimState() (*state, error) {
	if other, err := runningState(); err == nil {
		return nil, fmt.Errorf("a lab is already running (pid %d, %s); use it with eval \"$(bin/lab env)\" or end it with bin/lab down", other.PID, other.Dir)
	} else if !errors.Is(err, errNoLab) {
		return nil, err
	}
	path, err := statePath()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the state file: %w", err)
	}
	own := &state{PID: os.Getpid(), Started: processStart(os.Getpid())}
	draft, err := own.draft(path)
	if err != nil {
		return nil, err
	}
	defer os.Remove(draft)
	// Link fails if the file exists, so of two labs that start at once one wins.
	if err := os.Link(draft, path); err != nil {
		return nil, fmt.Errorf("another lab starts just now: %w; wait for it, or end it with lab down", err)
	}
	return own, nil
}

// draft writes the state beside its place; readers see a file whole or not at all.
func (s *state) draft(path string) (string, error) {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode the state file: %w", err)
	}
	draft := fmt.Sprintf("%s.%d", path, s.PID)
	if err := os.WriteFile(draft, content, 0o600); err != nil {
		return "", fmt.Errorf("write the state file: %w", err)
	}
	return draft, nil
}

func (s *state) save() error {
	path, err := statePath()
	if err != nil {
		return err
	}
	draft, err := s.draft(path)
	if err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("write the state file: %w", err)
	}
	return nil
}

func (s *state) remove() error {
	path, err := statePath()
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the state file: %w", err)
	}
	return nil
}

// runningState reads the state of the running lab. It is errNoLab if there is
// none; what a killed lab has left is then removed.
func runningState() (*state, error) {
	path, err := statePath()
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoLab
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of the lab: %w", err)
	}
	s := &state{}
	if err := json.Unmarshal(content, s); err != nil {
		return nil, fmt.Errorf("the state file %s is damaged; remove it: %w", path, err)
	}
	if !s.running() {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove the state of a lab that is gone: %w", err)
		}
		return nil, errNoLab
	}
	return s, nil
}
