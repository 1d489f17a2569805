// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestValuesComeOutInTheirOrder(t *testing.T) {
	q := New[string](10)
	began := time.Unix(1000, 0)
	require.True(t, q.Put("a", 1, began))
	require.True(t, q.Put("b", 2, began.Add(time.Second)))

	value, size, ok := q.Head(t.Context())
	require.True(t, ok)
	assert.Equal(t, "a", value)
	assert.Equal(t, 1, size)
	waiting, since := q.Waiting()
	assert.Equal(t, 3, waiting, "what is being delivered still waits")
	assert.Equal(t, began, since)

	assert.False(t, q.Remove())
	_, since = q.Waiting()
	assert.Equal(t, began.Add(time.Second), since)
	assert.True(t, q.Remove())
	waiting, since = q.Waiting()
	assert.Zero(t, waiting)
	assert.Zero(t, since)
}

func TestAFullQueueTakesNothingMore(t *testing.T) {
	q := New[string](2)
	require.True(t, q.Put("a", 1, time.Time{}))
	assert.False(t, q.Full())
	require.True(t, q.Put("b", 5, time.Time{}), "a value of any size has a place")
	assert.True(t, q.Full())
	assert.False(t, q.Put("c", 1, time.Time{}))

	q.Head(t.Context())
	q.Remove()
	assert.True(t, q.Full())
	q.Head(t.Context())
	q.Shrink("b", 1)
	assert.False(t, q.Full(), "a part of it was accepted")
	value, size, _ := q.Head(t.Context())
	assert.Equal(t, "b", value)
	assert.Equal(t, 1, size)
}

func TestHeadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[string](1)
		go func() {
			time.Sleep(time.Hour)
			q.Put("a", 1, time.Now())
		}()
		value, _, ok := q.Head(t.Context())
		require.True(t, ok)
		assert.Equal(t, "a", value)
	})
}

func TestWhatIsLeftComesOutAfterTheEnd(t *testing.T) {
	q := New[string](2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.True(t, q.Put("a", 1, time.Time{}))
	_, _, ok := q.Head(ctx)
	require.True(t, ok)
	q.Remove()
	_, _, ok = q.Head(ctx)
	assert.False(t, ok)
}

func TestWhatWaitsIsMerged(t *testing.T) {
	q := NewMerging(100, 4, func(values []string) string { return strings.Join(values, "+") })
	began := time.Unix(1000, 0)
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		require.True(t, q.Put(name, 1, began.Add(time.Duration(i)*time.Second)))
	}
	require.True(t, q.Put("large", 10, began.Add(time.Minute)))
	require.True(t, q.Put("f", 1, began.Add(time.Minute)))
	for _, want := range []struct {
		value string
		size  int
	}{{"a+b+c+d", 4}, {"e", 1}, {"large", 10}, {"f", 1}} {
		_, since := q.Waiting()
		value, size, ok := q.Head(t.Context())
		require.True(t, ok)
		assert.Equal(t, want.value, value)
		assert.Equal(t, want.size, size)
		_, still := q.Waiting()
		assert.Equal(t, since, still)
		q.Remove()
	}
}
