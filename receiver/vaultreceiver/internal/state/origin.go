// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Origin is the request that has issued a lease.
type Origin struct {
	Trace, Span string // IDs of its span, in hexadecimal

	// Likely says that it was concluded from path and time, as no audit entry
	// names the lease.
	Likely bool `json:",omitempty"`
}

// Issue is a request that has issued leases, as the audit stream tells it.
type Issue struct {
	Trace, Span string
	Path        string
	Prefix      string // of the ID of the lease that it names, see FolderOf
	Hash        string // of that ID, see HashOf; empty: it names none
	From, Until time.Time
}

// Origins knows the requests that have issued leases, the newest. Vault names the
// lease of a secret in the entry of the response. It does not name that of a token,
// nor of what it has wrapped. But the ID of each lease begins with the path that it
// was asked for at, and its time of issue lies within the request.
type Origins struct {
	ring   []issued
	next   int // the oldest, when the ring is full
	limit  int
	named  map[string]*Origin   // by the hash of the ID of the lease
	folder map[string][]*issued // by what the IDs of leases begin with, in the order in which they came
}

type issued struct {
	lease       string // hash of its ID; empty: it is not named
	path        string
	from, until int64
	origin      Origin
}

// NewOrigins remembers at most limit requests.
func NewOrigins(limit int) *Origins {
	return &Origins{limit: limit, ring: make([]issued, 0, limit), named: map[string]*Origin{}, folder: map[string][]*issued{}}
}

// Take takes in a request. One that names a lease which is not below its path has
// not issued it: it was renewed.
func (o *Origins) Take(i Issue) {
	path := strings.TrimSuffix(i.Path, "/")
	if i.Hash != "" && !strings.HasPrefix(i.Prefix+"/", path+"/") {
		return
	}
	to := o.room()
	*to = issued{path: path, from: i.From.UnixNano(), until: i.Until.UnixNano(), origin: Origin{Trace: i.Trace, Span: i.Span, Likely: i.Hash == ""}}
	if i.Hash == "" {
		o.folder[path] = append(o.folder[path], to)
		return
	}
	to.lease = i.Hash
	o.named[to.lease] = &to.origin
}

// room returns where the next one goes, and forgets the oldest if it has to.
func (o *Origins) room() *issued {
	if len(o.ring) < o.limit {
		o.ring = append(o.ring, issued{})
		return &o.ring[len(o.ring)-1]
	}
	oldest := &o.ring[o.next]
	o.next = (o.next + 1) % o.limit
	if oldest.lease == "" {
		if same := o.folder[oldest.path]; len(same) > 1 {
			o.folder[oldest.path] = same[1:]
		} else {
			delete(o.folder, oldest.path)
		}
	} else if o.named[oldest.lease] == &oldest.origin {
		delete(o.named, oldest.lease)
	}
	return oldest
}

// Of returns the request that has issued a lease, or nil when none is known. One
// that does not name it counts if it is the only one that the lease can be of. The
// time is zero when it is not known; then nothing can be concluded from it.
func (o *Origins) Of(lease string, at time.Time) *Origin {
	if len(o.ring) == 0 {
		return nil
	}
	if named := o.named[HashOf(lease)]; named != nil {
		origin := *named
		return &origin
	}
	if at.IsZero() {
		return nil
	}
	var only *issued
	moment := at.UnixNano()
	for _, i := range o.folder[FolderOf(lease)] {
		switch {
		case moment < i.from || moment > i.until:
		case only != nil:
			return nil
		default:
			only = i
		}
	}
	if only == nil {
		return nil
	}
	origin := only.origin
	return &origin
}

// HashOf returns what stands for the ID of a lease, or for an accessor, where that is
// not to be told: the first 16 hex digits of its SHA-256.
func HashOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// FolderOf returns the ID of a lease without its last part: the path at which it
// was asked for.
func FolderOf(lease string) string { return lease[:max(0, strings.LastIndexByte(lease, '/'))] }
