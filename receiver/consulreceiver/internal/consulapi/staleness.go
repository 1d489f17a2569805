// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulapi

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// DefaultMaxStaleness is longer than an election takes, and shorter than Prometheus
// remembers a series.
const DefaultMaxStaleness = time.Minute

// Never is the LastContact of a server that has not heard from a leader since it
// started. Consul then sends the longest duration there is, in milliseconds.
const Never = math.MaxInt64 / time.Millisecond * time.Millisecond

// StaleError is the error of an answer of a server that has not heard from a leader for
// longer than MaxStaleness. Such a server answers stale reads for ever.
type StaleError struct{ LastContact time.Duration }

// Error implements error.
func (e *StaleError) Error() string {
	if e.LastContact == Never {
		return "the server that answers has not heard from a leader since it started"
	}
	return fmt.Sprintf("the server that answers has not heard from a leader for %s, which is longer than max_staleness", e.LastContact.Round(time.Second))
}

// IsStale reports whether err is a StaleError.
func IsStale(err error) bool {
	var stale *StaleError
	return errors.As(err, &stale)
}
