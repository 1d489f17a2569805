// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

type host struct{ events []*componentstatus.Event }

func (*host) GetExtensions() map[component.ID]component.Component { return nil }

func (h *host) Report(e *componentstatus.Event) { h.events = append(h.events, e) }

func (h *host) last() componentstatus.Status { return h.events[len(h.events)-1].Status() }

func newReporter() (*Reporter, *host, *observer.ObservedLogs, *time.Time) {
	core, logs := observer.New(zap.DebugLevel)
	r, h, now := NewReporter(zap.New(core)), &host{}, time.Unix(1000, 0)
	r.now = func() time.Time { return now }
	r.AddHost(h)
	return r, h, logs, &now
}

func TestAFailureThatLastsIsLoggedEverMoreSeldom(t *testing.T) {
	r, _, logs, now := newReporter()
	for range 181 {
		r.Set("health", errors.New("connection refused"))
		*now = now.Add(time.Second)
	}
	require.Equal(t, 3, logs.Len())
	assert.Equal(t, int64(59), logs.All()[1].ContextMap()["failures_not_logged"])
	assert.Equal(t, int64(119), logs.All()[2].ContextMap()["failures_not_logged"])

	r.Set("health", nil)
	r.Set("health", nil)
	require.Equal(t, 4, logs.Len())
	assert.Equal(t, "observing health again", logs.All()[3].Message)
}

func TestAFailureThatLastsForDaysIsLoggedOnceAnHour(t *testing.T) {
	r, _, logs, now := newReporter()
	for range 24 * 60 {
		r.Set("health", errors.New("connection refused"))
		*now = now.Add(time.Minute)
	}
	assert.InDelta(t, 29, logs.Len(), 1)
}

func TestWhatRestsIsNeitherFailingNorSaidToBeWell(t *testing.T) {
	r, h, logs, _ := newReporter()
	r.Set("health", errors.New("connection refused"))
	r.Rest("health", "other")
	assert.Equal(t, componentstatus.StatusOK, h.last())
	r.Set("health", nil)
	assert.Equal(t, 1, logs.Len(), "its failure")
}

func TestAHostThatComesLaterIsTold(t *testing.T) {
	r, _, _, _ := newReporter()
	r.Set("a", errors.New("refused"))
	later := &host{}
	r.AddHost(later)
	assert.Equal(t, componentstatus.StatusRecoverableError, later.last())
}

func TestWhatIsCutOffSaysNothing(t *testing.T) {
	r, h, logs, _ := newReporter()
	r.Set("health", fmt.Errorf("health: %w", context.Canceled))
	assert.Empty(t, h.events)
	assert.Zero(t, logs.Len())
}

func TestAnEndpointThatFlapsDoesNotFlood(t *testing.T) {
	r, h, logs, now := newReporter()
	for range 60 {
		r.Set("health", errors.New("refused"))
		r.Set("health", nil)
		*now = now.Add(time.Second)
	}
	assert.Equal(t, 6, logs.Len(), "three failures and their ends")
	assert.Len(t, h.events, 120, "the status follows nonetheless")
	*now = now.Add(time.Minute)
	r.Set("health", errors.New("refused"))
	assert.Equal(t, 7, logs.Len())
}

func TestAnEndpointThatFlapsForLongerDoesNotFloodEither(t *testing.T) {
	r, _, logs, now := newReporter()
	for range 15 {
		for range 3 {
			r.Set("health", errors.New("refused"))
			*now = now.Add(time.Second)
		}
		r.Set("health", nil)
	}
	assert.Equal(t, 6, logs.Len(), "three failures and their ends")
}

func TestStatusIsRecoverableWhileAnyEndpointFails(t *testing.T) {
	r, h, _, _ := newReporter()
	r.Set("a", nil)
	assert.Empty(t, h.events, "nothing changed, so nothing is reported")

	r.Set("b", errors.New("denied"))
	r.Set("a", errors.New("refused"))
	assert.Equal(t, componentstatus.StatusRecoverableError, h.last())
	require.EqualError(t, h.events[1].Err(), "a: refused\nb: denied")

	r.Set("a", nil)
	assert.Equal(t, componentstatus.StatusRecoverableError, h.last())
	r.Set("b", nil)
	assert.Equal(t, componentstatus.StatusOK, h.last())
}

func TestAConsumerThatRefusesIsLoggedOnceWithWhatWaits(t *testing.T) {
	r, h, logs, now := newReporter()
	r.Refused("logs", 3, errors.New("queue is full"))
	*now = now.Add(24 * time.Hour)
	r.Refused("logs", 312, errors.New("still full"))
	require.Equal(t, 1, logs.Len())
	assert.Equal(t, "the next consumer refuses logs; 3 records wait", logs.All()[0].Message)
	assert.Equal(t, componentstatus.StatusRecoverableError, h.last())

	r.Accepted("traces", true)
	assert.Equal(t, componentstatus.StatusRecoverableError, h.last(), "of another signal")
	r.Accepted("logs", true)
	require.Equal(t, 2, logs.Len())
	assert.Equal(t, "the next consumer accepts logs again", logs.All()[1].Message)
	assert.Equal(t, 24*time.Hour, logs.All()[1].ContextMap()["after"])
	assert.Equal(t, componentstatus.StatusOK, h.last())
}

func TestAConsumerThatFlapsDoesNotFlood(t *testing.T) {
	r, _, logs, now := newReporter()
	for range 60 {
		r.Refused("logs", 1, errors.New("queue is full"))
		r.Accepted("logs", true)
		*now = now.Add(time.Second)
	}
	assert.Equal(t, 6, logs.Len(), "three refusals and their ends")
}

func TestARefusalThatLastsIsLoggedAlsoAfterShortOnes(t *testing.T) {
	r, _, logs, now := newReporter()
	for range 10 {
		r.Refused("logs", 1, errors.New("queue is full"))
		r.Accepted("logs", true)
	}
	before := logs.Len()
	for range 6 * 60 {
		r.Refused("logs", 5, errors.New("down"))
		*now = now.Add(time.Minute)
	}
	r.Accepted("logs", true)
	assert.Equal(t, before+2, logs.Len(), "its begin and its end")
}
