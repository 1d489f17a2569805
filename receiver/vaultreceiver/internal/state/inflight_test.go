// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRequestsInFlight(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(seconds) * time.Second) }
	var f InFlight
	assert.Zero(t, f.Age())
	f = f.With("/v1/sys/in-flight-req", at(10))
	assert.Zero(t, f.Count, "the receiver's own")
	assert.Zero(t, f.Age())
	f = f.With("/v1/database/creds/app", at(8)).With("/v1/database/creds/app", at(3)).With("/v1/team/sys/in-flight-req", at(1))
	assert.Equal(t, int64(2), f.Count)
	assert.Equal(t, 7*time.Second, f.Age(), "by the clock of the server")
	assert.Equal(t, f, InFlight{}.With("/v1/database/creds/app", at(3)).With("/v1/sys/in-flight-req", at(10)).With("/v1/database/creds/app", at(8)),
		"in whichever order they come")
}
