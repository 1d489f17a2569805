// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBeginnings(t *testing.T) {
	at := func(s int64) time.Time { return process.Add(time.Duration(s) * time.Second) }
	var b Beginnings
	b.Look(at(10), process)
	assert.Equal(t, process, b.Of("a", 5))
	b.Look(at(20), process)
	assert.Equal(t, process, b.Of("a", 5))
	assert.Equal(t, process, b.Of("b", 1), "nobody has seen it count anything else")
	b.Look(at(30), process)
	assert.Equal(t, at(20), b.Of("a", 2), "vault had forgotten it")
	b.Look(at(40), process)
	assert.Equal(t, at(20), b.Of("a", 7))
	b.Look(at(50), process)
	b.Look(at(60), process)
	assert.Equal(t, at(50), b.Of("a", 1), "it was not there in the look before")
	b.Look(at(70), at(65))
	assert.Equal(t, at(65), b.Of("a", 0), "vault was restarted")
	b.Look(at(80), time.Time{})
	assert.Zero(t, b.Of("a", 9), "who does not know when it began does not tell it")
	b.Look(at(90), time.Time{})
	assert.Equal(t, at(80), b.Of("a", 8), "but sees it begin anew")
}

func TestBeginningsAreBounded(t *testing.T) {
	var b Beginnings
	b.Look(process, process)
	for i := range maxBeginnings + 5 {
		b.Of(strconv.Itoa(i), 1)
	}
	assert.Len(t, b.seen, maxBeginnings)
	assert.Equal(t, process, b.Of("one more", 0))
}
