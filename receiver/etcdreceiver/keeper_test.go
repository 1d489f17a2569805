// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// What cannot be kept, as another loop has not told what it knows, is tried
// again in its time: a loop that asks for it must not spin.
func TestWhatCannotBeKeptIsTriedInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, can := 0, false
		k := keeper{w: &watcher{}, every: time.Second, keep: func(context.Context) bool {
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
