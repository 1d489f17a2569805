// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatComesIsSoundOrNot(t *testing.T) {
	for name, tc := range map[string]struct {
		came string // each second: g(ood), b(ad), m(ixed) or nothing
		want string // each second: s(ound) or u(nsound)
	}{
		"nothing":                          {"--------", "ssssssss"},
		"good ones":                        {"gg-g---g", "ssssssss"},
		"a bad one, and no good one since": {"gb------", "ssssssuu"},
		"a bad one, and a good one soon":   {"gb--g---", "ssssssss"},
		"both":                             {"mmmmmmmmmmm", "sssssssssss"},
		"good ones seldom":                 {"bbbbbbbgbbbbbbbbg", "sssssuuuuuuuuuuuu"},
		"mended":                           {"bbbbbbbg--------", "sssssuuuuuusssss"},
		"mended, later":                    {"b-----------g---", "sssssuuuuuuussss"},
	} {
		t.Run(name, func(t *testing.T) {
			var s Sound
			now, got := time.Unix(1_800_000_000, 0), strings.Builder{}
			for _, came := range tc.came {
				if s.Look(now, came == 'g' || came == 'm', came == 'b' || came == 'm') {
					got.WriteByte('s')
				} else {
					got.WriteByte('u')
				}
				now = now.Add(time.Second)
			}
			assert.Equal(t, tc.want, got.String())
		})
	}
}
