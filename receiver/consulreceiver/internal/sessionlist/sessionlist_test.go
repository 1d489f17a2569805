// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package sessionlist

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTwoListsShowBetweenWhichIndexesASessionEnded(t *testing.T) {
	var l Lists
	l.Add(5, map[string]uint64{"a": 2, "b": 3, "c": 5})
	l.Add(9, map[string]uint64{"b": 3, "c": 5, "d": 7})
	l.Add(4, map[string]uint64{"a": 2, "b": 3})                     // older
	l.Add(9, map[string]uint64{"b": 3, "c": 5, "d": 7})             // the same
	l.Add(12, map[string]uint64{"d": 7, "e": 12})                   // two at once
	l.Add(13, map[string]uint64{"d": 7, "e": 12, "f": 13})          // none
	l.Add(14, map[string]uint64{"d": 7, "e": 12, "f": 13, "a": 14}) // Consul never gives an ID twice.

	end, found := l.End("a")
	assert.True(t, found)
	assert.Equal(t, End{Lived: 5, Gone: 9, Alone: true, Created: []uint64{7}}, end)
	for _, id := range []string{"b", "c"} {
		end, _ = l.End(id)
		assert.Equal(t, End{Lived: 9, Gone: 12, Created: []uint64{12}}, end)
	}
	_, found = l.End("d")
	assert.False(t, found, "it lives")

	l.Forget()
	_, found = l.End("a")
	assert.False(t, found)
	l.Add(3, map[string]uint64{"x": 3})
	l.Add(4, nil)
	end, _ = l.End("x")
	assert.Equal(t, End{Lived: 3, Gone: 4, Alone: true}, end, "indexes begin anew")
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	var l Lists
	l.Add(1, map[string]uint64{"0": 1})
	for i := range uint64(2 * maxEnded) {
		l.Add(i+2, map[string]uint64{strconv.FormatUint(i+1, 10): i + 2})
	}
	assert.Len(t, l.ended, maxEnded)
	_, found := l.End("0")
	assert.False(t, found)
	_, found = l.End(strconv.Itoa(2*maxEnded - 1))
	assert.True(t, found)

	many := map[string]uint64{}
	for i := range uint64(maxCreated + 1) {
		many["n"+strconv.FormatUint(i, 10)] = 10_000 + i
	}
	l.Add(20_000, many)
	_, found = l.End(strconv.Itoa(2 * maxEnded))
	assert.False(t, found, "too many were created")
}
