// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import "time"

// soundAfter is how long only the one or the other has to come.
const soundAfter = 5 * time.Second

// Sound judges what comes by signs that it is sound and others that it is not, of
// which both may come for a while: a port scan is no trouble while Vault sends, nor is
// the last line of a device that was mended. It is not safe for concurrent use.
type Sound struct {
	good, bad time.Time // last
	since     time.Time // of bad signs without a good one; zero: there are none
	unsound   bool
}

// Look takes in which signs came since the last look, and says whether what comes is
// sound. It is not when bad signs came and no good one for a while since, and is again
// when good ones came and no bad one for a while.
func (s *Sound) Look(now time.Time, good, bad bool) bool {
	if bad {
		s.bad = now
		if s.since.IsZero() {
			s.since = now
		}
	}
	if good {
		s.good, s.since = now, time.Time{}
	}
	switch {
	case !s.since.IsZero() && now.Sub(s.since) >= soundAfter:
		s.unsound = true
	case s.since.IsZero() && now.Sub(s.bad) >= soundAfter:
		s.unsound = false
	}
	return !s.unsound
}
