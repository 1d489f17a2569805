// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
)

func TestTheSessionsThatEndedLastAreRemembered(t *testing.T) {
	var e Ended
	assert.Zero(t, e.Get("0"))
	change := func(id string, removed bool) snapshot.Change[string, Session] {
		return snapshot.Change[string, Session]{Change: diff.Change[string, Session]{Key: id, Prev: Session{Name: id}, Removed: removed}}
	}
	e.Add([]snapshot.Change[string, Session]{change("lives", false)})
	for i := range maxEnded + 2 {
		e.Add([]snapshot.Change[string, Session]{change(strconv.Itoa(i), true)})
	}
	assert.Zero(t, e.Get("lives"))
	assert.Zero(t, e.Get("1"))
	assert.Equal(t, "2", e.Get("2").Name)
	assert.Equal(t, strconv.Itoa(maxEnded+1), e.Get(strconv.Itoa(maxEnded+1)).Name)
	assert.Len(t, e.sessions, maxEnded)
}
