// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestEndedLeasesAreForgottenInTheEnd(t *testing.T) {
	now := time.Unix(1, 0)
	ls := New(2, true)
	ls.Step(now, Observation{Listed: true})
	for id := range int64(9) {
		ls.Step(now, Observation{Listed: true, IDs: []int64{id + 1}})
		ls.Step(now, Observation{Answers: []Answer{{ID: id + 1, At: now, Remaining: -1}}})
	}
	assert.Len(t, ls.over, 2)
	assert.Len(t, ls.order, 2)
	assert.Equal(t, map[Cause]int64{EndUnknown: 9, Revoked: 0, Expired: 0}, ls.Counts().Ended)
	assert.Equal(t, int64(9), ls.Counts().Granted)
	assert.NoError(t, ls.Verify())
}

func TestRestoredLeases(t *testing.T) {
	ls := New(1, true)
	ls.Restore(time.Unix(1, 0), []Saved{{ID: 1, Names: make([][]byte, 100)}, {ID: 2}})
	assert.Len(t, ls.known, 1, "no more than are followed")
	assert.Len(t, ls.known[1].Names, maxKeys)
}
