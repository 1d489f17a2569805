// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/goleak"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is a call of Step.
type step struct {
	after time.Duration
	read  Result[int]
}

func TestPollerReadsAtItsIntervalAndReportsGaps(t *testing.T) {
	base, err := watch.NewBase(receivertest.NewNopSettings(component.MustNewType("test")))
	require.NoError(t, err)
	var steps []step
	var failures int
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(60*time.Second, cancel)
		began, reads := time.Now(), 0
		Poller[int]{
			Interval: 10 * time.Second,
			Read: func(context.Context) (int, error) {
				if reads++; reads == 3 {
					return 0, errors.New("no answer")
				}
				return reads, nil
			},
			Step: func(now time.Time, read Result[int]) watch.Telemetry {
				steps = append(steps, step{now.Sub(began).Truncate(10 * time.Second), read})
				return watch.EmptyTelemetry()
			},
			Delivery: base.Delivery(),
			Condition: func(err error) {
				if err != nil {
					failures++
				}
			},
		}.Run(ctx)
	})
	base.Stop()
	require.GreaterOrEqual(t, len(steps), 5)
	assert.Equal(t, []step{
		{0, Result[int]{Value: 1}},
		{10 * time.Second, Result[int]{Value: 2}},
		{20 * time.Second, Result[int]{Value: 4, Gap: true}}, // tried again at once
	}, steps[:3])
	assert.False(t, steps[3].read.Gap, "a gap ends with the read after it")
	assert.Equal(t, 1, failures)
}
