// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	endpointLease = "sys/leases/lookup"

	// saysNoLease is how Vault says that there is no such lease.
	saysNoLease = "invalid lease"
)

// leases follows the leases under the configured prefixes. Vault lists the IDs
// of leases like the files of folders.
type leases struct {
	*follower[state.LeaseDetail]
	of          telemetry.LeaseNaming
	counts      *telemetry.LeaseTally
	irrevocable state.Irrevocable
	given       answer[irrevocableLeases] // how many of these there are; the watcher's lock guards it
}

func newLeases(w *watcher) domain {
	cfg := w.cfg.Leases
	l := &leases{of: telemetry.LeaseNaming{Mounts: w.mounts, FullIDs: cfg.FullIDs}}
	l.counts = telemetry.NewLeaseTally(time.Now(), l.of)
	parts := make([]string, len(cfg.Prefixes))
	for i, prefix := range cfg.Prefixes {
		parts[i] = strings.Trim(prefix, "/")
	}
	l.follower = newFollower(w, cfg.FollowConfig, subject[state.LeaseDetail]{
		parts: parts, lookup: endpointLease, also: []string{endpointLeases, endpointIrrevocable}, stored: "leases", depth: cfg.Depth,
		list: func(prefix string) string { return endpointLease + "/" + prefix },
		walk: l.walk, look: l.look, took: l.counts.Take, listed: l.measure,
		idle: func(prefix string) { l.reached(prefix, false) },
		tell: func(observed time.Time, effects []state.LifeEffect[state.LeaseDetail]) watch.Telemetry {
			l.trace(effects)
			return w.story.RenderLeases(observed, w.resource(), l.of, effects)
		},
		more: func() any { return l.irrevocable.Save() },
		resume: func(more json.RawMessage) {
			var saved state.SavedIrrevocable
			_ = json.Unmarshal(more, &saved) // What cannot be read is a baseline.
			l.irrevocable.Restore(saved)
		},
	})
	return l
}

// walk lists a prefix, and the folders below it as deep as is configured.
func (l *leases) walk(ctx context.Context, prefix string, see func(folder string, ids []string)) error {
	type folder struct {
		path  string
		depth int
	}
	deeper := false
	for folders := []folder{{path: prefix + "/"}}; len(folders) > 0; {
		at := folders[len(folders)-1]
		folders = folders[:len(folders)-1]
		if err := l.pace.Wait(ctx); err != nil {
			return err
		}
		names, err := l.w.client.list(ctx, call{
			endpoint: l.list(prefix), path: endpointLease + "/" + at.path, needs: "sudo and list",
		})
		if err != nil {
			return err
		}
		ids := names[:0]
		for _, name := range names {
			switch {
			case !strings.HasSuffix(name, "/"):
				ids = append(ids, at.path+name)
			case at.depth < l.w.cfg.Leases.Depth:
				folders = append(folders, folder{at.path + name, at.depth + 1})
			default:
				deeper = true
			}
		}
		see(at.path, ids)
	}
	l.reached(prefix, deeper)
	return nil
}

// reached takes in whether there are folders that are too deep to be listed.
// How many leases they hold is not known, so they are a condition of their own.
func (l *leases) reached(prefix string, deeper bool) {
	var err error
	if deeper {
		err = fmt.Errorf("leases in folders more than %d levels below %s are not followed: raise leases::depth", l.depth, prefix)
	}
	l.w.Condition.Set("leases::depth of "+prefix, err)
}

// look asks for a lease.
func (l *leases) look(ctx context.Context, id string) (state.Facts, *state.LeaseDetail, error) {
	facts, err := l.w.client.Lease(ctx, id)
	return facts, nil, err
}

// measure takes in what is left of each lease that a list has named.
func (l *leases) measure(now time.Time, prefix string) {
	l.retrace(now, prefix)
	l.roster.EachLeft(now, prefix, func(left time.Duration) { l.counts.Left(now, left) })
}

func (l *leases) record(mb *metadata.MetricsBuilder, now time.Time) {
	ts := pcommon.NewTimestampFromTime(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Record(mb, ts)
	if l.given.fresh(now, max(2*l.cfg.Interval, stale)) {
		telemetry.RecordIrrevocableLeases(mb, ts, l.given.value.LeaseCount)
	}
	if l.current(now) {
		telemetry.RecordLeaseCounts(mb, ts, l.roster.Count(now, l.group()))
	}
}

// group returns what the leases are counted by.
func (l *leases) group() func(id string, _ state.LeaseDetail) string {
	if !l.w.cfg.Metrics.Metrics.VaultLeaseMountCount.Enabled {
		return func(string, state.LeaseDetail) string { return "" }
	}
	mounts := l.w.mounts()
	return func(id string, _ state.LeaseDetail) string { return state.MountOf(id, mounts) }
}

func (l *leases) appendTo(metrics pmetric.MetricSlice, now time.Time) {
	l.counts.AppendTo(metrics, pcommon.NewTimestampFromTime(now))
}

// Lease asks for one lease.
func (c *client) Lease(ctx context.Context, id string) (facts state.Facts, err error) {
	var answer struct {
		Data struct {
			IssueTime   *time.Time `json:"issue_time" answer:"required"`
			ExpireTime  *time.Time `json:"expire_time"`
			LastRenewal *time.Time `json:"last_renewal"`
			TTL         *int64     `json:"ttl" answer:"required"`
			Renewable   bool
		} `json:"data"`
	}
	err = c.do(ctx, call{endpoint: endpointLease, needs: "update", absent: saysNoLease, body: map[string]string{"lease_id": id}}, &answer)
	if err != nil {
		return facts, explainLease(err, id)
	}
	at := func(t *time.Time) (known time.Time) {
		if t != nil {
			known = *t
		}
		return known
	}
	data := answer.Data
	return state.Facts{
		Issued: at(data.IssueTime), Expires: at(data.ExpireTime), Renewed: at(data.LastRenewal),
		Left: time.Duration(*data.TTL) * time.Second, Renewable: data.Renewable,
	}, nil
}

// explainLease finds out whether the lease is gone, and leaves its ID out.
func explainLease(err error, id string) error {
	var refused *refusal
	if !errors.As(err, &refused) {
		return err
	}
	if refused.status == http.StatusBadRequest && strings.Contains(refused.said, saysNoLease) {
		return errGone
	}
	refused.said = strings.ReplaceAll(refused.said, id, "<lease>")
	return err
}
