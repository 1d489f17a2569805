// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// What cannot be saved, as another loop has not delivered what it knows, is tried
// again in its time: a loop that asks for it must not spin.
func TestWhatCannotBeSavedIsTriedInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, can := 0, false
		k := checkpointer{c: &Collector{}, every: time.Second, save: func(context.Context) bool {
			tries++
			return can
		}}
		k.delivered(t.Context())
		assert.Equal(t, 1, tries)
		assert.False(t, k.overdue())
		k.delivered(t.Context())
		assert.Equal(t, 1, tries)
		time.Sleep(time.Second)
		assert.True(t, k.overdue())
		can = true
		k.delivered(t.Context())
		assert.Equal(t, 2, tries)
		time.Sleep(time.Second)
		assert.False(t, k.overdue(), "nothing is pending")
	})
}
