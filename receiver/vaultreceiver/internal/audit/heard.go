// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import "time"

// Heard is until when all that was sent is told. Looks are some time apart,
// so what was sent before one look has come by the next one, also if the
// process did not run in between. It is not safe for concurrent use.
type Heard struct {
	until  time.Time
	looked time.Time

	mark  time.Time // zero: there is none; else what was sent before it
	count int64     // is among the first entries, of which there are so many
}

// NewHeard returns a Heard of what is sent from now on.
func NewHeard(now time.Time) *Heard { return &Heard{until: now, looked: now} }

// Look takes a look at now: so many entries have come, so many of the first of
// them are told or wait for their other half, and the earliest half that waits
// is of the time oldest; zero when none does.
func (h *Heard) Look(now time.Time, came, done int64, oldest time.Time) {
	if h.mark.IsZero() {
		h.mark, h.count = h.looked, came
	}
	if h.looked = now; done < h.count {
		return
	}
	until := h.mark
	if h.mark = (time.Time{}); !oldest.IsZero() && oldest.Before(until) {
		until = oldest
	}
	if until.After(h.until) { // Whoever dials can make up times.
		h.until = until
	}
}

// Looked returns the time of the last look.
func (h *Heard) Looked() time.Time { return h.looked }

// Until returns until when all that was sent is told.
func (h *Heard) Until() time.Time { return h.until }
