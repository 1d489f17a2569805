// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strings"
	"time"
)

// pathInFlight is how the path of the request ends that asks for the requests.
const pathInFlight = "/sys/in-flight-req"

// InFlight is what is known of the requests that a server is handling.
type InFlight struct {
	// Count is how many there are.
	Count int64

	oldest, newest time.Time // when they began, by the server's clock
}

// With takes in one more request. One that asks for the requests does not count;
// but as it has only just begun, it says what time it is on the server.
func (f InFlight) With(path string, began time.Time) InFlight {
	if began.After(f.newest) {
		f.newest = began
	}
	if strings.HasSuffix(path, pathInFlight) {
		return f
	}
	if f.Count == 0 || began.Before(f.oldest) {
		f.oldest = began
	}
	f.Count++
	return f
}

// Age is for how long the oldest request has been handled; 0 when there is none.
func (f InFlight) Age() time.Duration {
	if f.Count == 0 {
		return 0
	}
	return f.newest.Sub(f.oldest)
}
