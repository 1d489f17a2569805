// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is a span in seconds after begin.
func at(start, end float64) readback.Span {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return readback.Span{Start: begin.Add(seconds(start)), Duration: seconds(end - start)}
}

func TestASpanThatEndsTooEarlyDoesNotCoverAnOutage(t *testing.T) {
	r := Report{Begin: begin, Down: begin.Add(time.Second), Up: begin.Add(5 * time.Second), End: begin.Add(6 * time.Second)}
	require.NoError(t, r.covers(at(1.5, 5.5)))
	require.ErrorContains(t, r.covers(at(1.5, 4.9)), "ends at 00:00:04.900, and not between 00:00:05.000 and 00:00:08.000")
	require.Error(t, r.covers(at(1.5, 8.1)), "ends too late")
	require.Error(t, r.covers(at(3.1, 5.5)), "begins too late")
	require.Error(t, r.covers(at(-0.1, 5.5)), "begins before")
}

func TestAWrongHolderIsFound(t *testing.T) {
	made := func(instance, key string, wait, held readback.Span, holder string) hold {
		held.Instance, held.Attributes = instance, map[string]any{"etcd.lock.key": key, "etcd.revision": held.Start.Unix()}
		return hold{wait: wait, hold: held, holder: holder}
	}
	first := made("stock-1", "a", at(0, 0), at(0, 1), "")
	second := made("stock-2", "b", at(0.5, 1), at(1, 2), "stock-1")
	for name, test := range map[string]struct {
		third hold
		wrong bool
	}{
		"the other instance":                   {made("stock-1", "a", at(0.5, 2), at(2, 3), "stock-2"), false},
		"an own request":                       {made("stock-2", "b", at(1.5, 2), at(2, 3), "stock-2"), false},
		"an own request that had ended before": {made("stock-2", "b", at(2.5, 3), at(3, 4), "stock-2"), true},
		"not the one before":                   {made("stock-2", "b", at(0.5, 2), at(2, 3), "stock-1"), true},
		"nobody known":                         {made("stock-1", "a", at(0.5, 2), at(2, 3), "unknown"), true},
	} {
		t.Run(name, func(t *testing.T) {
			_, waited, err := waits([]hold{first, second, test.third})
			if test.wrong {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 2, waited)
		})
	}
}

func TestAttemptsAreReadFromTheHistory(t *testing.T) {
	const scheduled = `{"eventId":"5","activityTaskScheduledEventAttributes":{"activityType":{"name":"ReserveInventory"}}}`
	history := ""
	temporal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/namespaces/default/workflows/order-1/history", r.URL.Path)
		_, _ = w.Write([]byte(`{"history":{"events":[{"eventId":"1"},` + history + `]}}`))
	}))
	defer temporal.Close()
	e := &Environment{Lab: &lab.Lab{Temporal: &lab.Temporal{HTTP: temporal.URL}}}

	history = scheduled + `,{"eventId":"6","activityTaskStartedEventAttributes":{"scheduledEventId":"5","attempt":2}}`
	attempts, err := e.attempts(t.Context(), "order-1")
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"ReserveInventory": 2}, attempts)

	history = scheduled + "," + scheduled
	_, err = e.attempts(t.Context(), "order-1")
	require.ErrorContains(t, err, "activity ReserveInventory of order order-1 was scheduled twice")
}
