// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package snapshottest makes observations for tests, and describes what trackers
// make of them in lines.
package snapshottest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
)

// At returns a time that is so many seconds after the epoch.
func At(seconds int) time.Time { return time.Unix(int64(seconds), 0).UTC() }

// Stored returns a value as it comes back from a storage.
func Stored[T any](t *testing.T, value T) (loaded T) {
	t.Helper()
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &loaded))
	return loaded
}

// AfterGap returns the observation as one that follows a failed one.
func AfterGap[K, V comparable](o snapshot.Observation[K, V]) snapshot.Observation[K, V] {
	o.Gap = true
	return o
}

// Rebased returns the observation as one by another view.
func Rebased[K, V comparable](o snapshot.Observation[K, V]) snapshot.Observation[K, V] {
	o.Rebased = true
	return o
}

// DescribeGap returns one line, or none without a gap.
func DescribeGap(step int, gap *snapshot.Gap) []string {
	if gap == nil {
		return nil
	}
	return []string{fmt.Sprintf("%d: gap %d-%d", step, gap.Old, gap.New)}
}

// Words returns those whose condition holds, in order, each after a space.
func Words(conditions map[string]bool) string {
	all := []string{""}
	for word, holds := range conditions {
		if holds {
			all = append(all, word)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
