// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// LeaseDetail is what else is known of a lease.
type LeaseDetail struct {
	Irrevocable bool    `json:",omitempty"`
	Origin      *Origin `json:",omitempty"` // nil: not known
}

// Lease is a lease, as it is told.
type Lease = Life[LeaseDetail]

// LeaseName is what the ID of a lease tells: "database/creds/app/1" is of the
// mount database/ and the role app.
type LeaseName struct {
	Mount  string // with a slash at its end
	Prefix string // the ID without its last part
	Role   string // or the user of a login; empty when there is none
}

// NameLease takes the ID of a lease apart. Its mount is the one of those that are
// known, else what the path begins with.
func NameLease(id string, mounts []string) LeaseName {
	prefix := FolderOf(id)
	name := LeaseName{Prefix: prefix, Mount: MountOf(id, mounts)}
	below := strings.TrimPrefix(prefix+"/", name.Mount)
	if parts := strings.Split(strings.Trim(below, "/"), "/"); len(parts) > 1 { // After what it was: creds, issue, login.
		name.Role = parts[len(parts)-1]
	}
	return name
}

// MountOf returns the path of the mount that a path is of.
func MountOf(path string, mounts []string) (found string) {
	for _, mount := range mounts {
		if len(mount) > len(found) && strings.HasPrefix(path, mount) {
			found = mount
		}
	}
	if found != "" {
		return found
	}
	parts := strings.SplitAfter(path, "/")
	if parts[0] == "auth/" && len(parts) > 1 {
		return "auth/" + strings.TrimSuffix(parts[1], "/") + "/"
	}
	return strings.TrimSuffix(parts[0], "/") + "/"
}

// maxIrrevocable is how many leases Vault names at most that it has given up on.
// Twice as many are remembered.
const maxIrrevocable = 10_000

// Irrevocable knows the leases that Vault has given up to revoke. Its zero value
// knows nothing yet.
type Irrevocable struct {
	begun bool
	known map[string]struct{}
}

// Step takes in which ones there are now, and returns those that are new, in
// order, and whether there is something else to be saved. The first time is the baseline. When Vault names as many as it names at
// most, those that it leaves out may be there still.
func (i *Irrevocable) Step(ids []string) (news []string, changed bool) {
	before := len(i.known)
	now := map[string]struct{}{}
	if len(ids) >= maxIrrevocable && i.known != nil {
		now = i.known
	}
	for _, id := range ids {
		if _, known := i.known[id]; !known && i.begun {
			news = append(news, id)
		}
	}
	for _, id := range ids {
		if len(now) < 2*maxIrrevocable {
			now[id] = struct{}{}
		}
	}
	changed = !i.begun || len(now) != before || !maps.Equal(now, i.known)
	i.begun, i.known = true, now
	slices.Sort(news)
	return slices.Compact(news), changed
}

// SavedIrrevocable is what survives a restart.
type SavedIrrevocable struct {
	Begun bool
	IDs   []string
}

// Save returns what has to survive a restart.
func (i *Irrevocable) Save() SavedIrrevocable {
	return SavedIrrevocable{Begun: i.begun, IDs: slices.Sorted(maps.Keys(i.known))}
}

// Restore goes on from what an earlier process saved.
func (i *Irrevocable) Restore(saved SavedIrrevocable) {
	*i = Irrevocable{}
	if saved.Begun {
		i.Step(saved.IDs)
	}
}

// IrrevocableLease returns the effect of one that Vault has given up on at now.
func IrrevocableLease(now time.Time, id string) LifeEffect[LeaseDetail] {
	return LifeEffect[LeaseDetail]{Event: LifeIrrevocable, At: now, Life: Lease{ID: id, Detail: LeaseDetail{Irrevocable: true}}}
}
