// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// course takes in entries like "a?" (a request) and "a!" (its response), one a
// second, with limit 3 and a wait of 4 s, and describes what is over.
func course(entries string) (told string, p *Pairing) {
	p = NewPairing(3, 4*time.Second)
	var all []string
	tell := func(at int, over []Exchange) {
		for _, x := range over {
			line := fmt.Sprintf("%d:%s", at, x.Known().ID)
			if x.Request != nil {
				line += "?"
			}
			if x.Response != nil {
				line += "!"
			}
			all = append(all, line)
		}
	}
	for i, token := range strings.Fields(entries) {
		now := time.Unix(int64(i), 0)
		if token == "-" {
			tell(i, p.Expire(now))
			continue
		}
		kind := Request
		if strings.HasSuffix(token, "!") {
			kind = Response
		}
		tell(i, p.Take(now, &Entry{Kind: kind, ID: token[:len(token)-1]}))
	}
	return strings.Join(all, " "), p
}

func TestCourses(t *testing.T) {
	for name, tc := range map[string]struct{ entries, want string }{
		"a request and its response":                 {"a? a!", "1:a?!"},
		"exchanges overlap":                          {"a? b? a! b!", "2:a?! 3:b?!"},
		"a response comes first, on another way":     {"a! a?", "1:a?!"},
		"what several devices write counts once":     {"a? a? a! a! a?", "2:a?!"},
		"a request without a response waits so long": {"a? - - - - -", "4:a?"},
		"a response without a request, too":          {"a! - - - -", "4:a!"},
		"what comes after that is not told again":    {"a? - - - - a!", "4:a?"},
		"the oldest makes room":                      {"a? b? c? d? b! a!", "3:a? 4:b?!"},
		"in the order in which they came":            {"a? b? - - - -", "4:a? 5:b?"},
	} {
		t.Run(name, func(t *testing.T) {
			told, _ := course(tc.entries)
			assert.Equal(t, tc.want, told)
		})
	}
}

func TestWhatWaitsIsDrained(t *testing.T) {
	_, p := course("a? b! c? a?")
	assert.Equal(t, 3, p.Waiting())
	assert.Equal(t, []*Entry{{Kind: Request, ID: "a"}, {Kind: Response, ID: "b"}, {Kind: Request, ID: "c"}}, p.Halves())
	assert.EqualValues(t, 1, p.Repeated())
	over := p.Drain()
	require.Len(t, over, 3)
	assert.False(t, over[0].Whole())
	assert.Zero(t, p.Waiting())
	assert.Empty(t, p.Drain())
	assert.Empty(t, p.Halves())
}

func TestWhatIsAsked(t *testing.T) {
	p := NewPairing(3, time.Minute)
	asked := time.Unix(10, 0)
	p.Take(asked, &Entry{Kind: Request, ID: "a", Path: "auth/token/create/", Time: asked})
	p.Take(asked, &Entry{Kind: Response, ID: "b", Path: "auth/app/login", Time: asked})
	assert.True(t, p.Asked("auth/token/create", asked))
	assert.False(t, p.Asked("auth/token/create", asked.Add(-1)), "it came later")
	assert.False(t, p.Asked("auth/token", asked))
	assert.False(t, p.Asked("auth/app/login", asked), "it was answered")
	p.Take(asked, &Entry{Kind: Response, ID: "a"})
	assert.False(t, p.Asked("auth/token/create", asked), "it is over")
}

// Whatever comes in whichever order: each exchange ends once, and memory is
// bounded.
func FuzzPairing(f *testing.F) {
	f.Add([]byte("aAbBcC"))
	f.Add([]byte("AabcdeABCDE"))
	f.Fuzz(func(t *testing.T, entries []byte) {
		const limit = 8
		p := NewPairing(limit, 5*time.Second)
		ended := map[string]int{}
		count := func(over []Exchange) {
			for _, x := range over {
				require.NotEmpty(t, x.Known().ID)
				ended[x.Known().ID]++
			}
		}
		sent := map[string]bool{}
		for i, b := range entries {
			e := &Entry{Kind: Request, ID: string(rune(b&0x0f) + 'a')}
			if b&0x10 != 0 {
				e.Kind = Response
			}
			sent[e.ID] = true
			count(p.Take(time.Unix(int64(i), 0), e))
			require.LessOrEqual(t, p.Waiting(), limit)
			require.LessOrEqual(t, len(p.done), limit)
			require.Len(t, p.order, len(p.done))
			require.Len(t, p.waiting, p.queue.Len())
		}
		count(p.Drain())
		for id := range sent {
			require.Positive(t, ended[id], id)
			if len(sent) <= limit {
				require.Equal(t, 1, ended[id], id)
			}
		}
	})
}
