// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"time"
)

// doubtFor is how long after the last sign that several servers answer nothing
// is believed that they say of themselves.
const doubtFor = time.Minute

// Doubt remembers whether several servers answer, as behind a load balancer.
type Doubt struct {
	node  string
	last  time.Time
	times int
}

// See takes in which node has answered at now, empty if it is not told, and
// whether its answers contradict each other. It returns whether they are to be
// doubted. Once can be a server that changes at that moment, or a failover.
func (d *Doubt) See(now time.Time, node string, contradicts bool) bool {
	if node != "" && d.node != "" && node != d.node {
		contradicts = true
	}
	d.node = cmp.Or(node, d.node)
	if now.Sub(d.last) > doubtFor {
		d.times = 0
	}
	if contradicts {
		d.times, d.last = d.times+1, now
	}
	return contradicts || d.Lasts()
}

// Lasts says whether there was more than one sign.
func (d *Doubt) Lasts() bool { return d.times > 1 }
