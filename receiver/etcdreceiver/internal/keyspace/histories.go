// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import "sync"

// histories counts those that etcd has had: one more with each backup that was restored.
// One watch finds that out, as it knows a change that was lost, and all are to go on from
// there. Its zero value is in the first one.
type histories struct {
	mu   sync.Mutex
	n    int
	more chan struct{} // closed when there is one more; nil while nobody waits
}

func (h *histories) number() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// after takes in that etcd has another history than that of a number, and returns the
// number of the newest one, which another watch may have found.
func (h *histories) after(known int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == known {
		h.n++
		if h.more != nil {
			close(h.more)
			h.more = nil
		}
	}
	return h.n
}

// next is closed when there is another history than that of a number.
func (h *histories) next(known int) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.more == nil {
		h.more = make(chan struct{})
	}
	if h.n != known {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return h.more
}
