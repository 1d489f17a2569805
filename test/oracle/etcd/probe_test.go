// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// probeName begins the last part of the names of what only shows that a watch goes on.
const probeName = "probe-"

// probed are the events that a probe causes, with the attribute that names it.
var probed = []struct{ event, attribute, prefix string }{
	{eventPut, attrKey, prefixApp},
	{eventPut, attrKey, prefixDeep},
	{eventQueued, attrLockName, prefixLocks},
	{eventElected, attrElectionName, prefixElections},
}

// observed returns once each watch has reported a change that was made since.
func (s *system) observed(ctx context.Context) error {
	ctx, enough := context.WithTimeout(ctx, 90*time.Second)
	defer enough()
	first := s.probes.Load() + 1
	_, before := s.sink.EventsAfter(0)
	for {
		s.probe(ctx, s.probes.Add(1))
		for range 20 {
			if s.reported(first, before) {
				return nil
			}
			if !oracle.Sleep(ctx, 50*time.Millisecond) {
				return fmt.Errorf("the collector has not reported the probes since %d:\n%s", first, s.collector.LogTail(30))
			}
		}
	}
}

// probe makes a change under each prefix, and takes it back.
func (s *system) probe(ctx context.Context, number int64) {
	ctx, enough := context.WithTimeout(ctx, 3*time.Second)
	defer enough()
	grant, err := s.client.Grant(ctx, 60)
	if err != nil {
		return
	}
	lease, name := int64(grant.ID), fmt.Sprintf("%s%d", probeName, number)
	s.granted(lease, 60)
	defer func() { _ = s.revoke(ctx, lease) }()
	lock, candidacy := prefixLocks+name+"/"+hex(lease), prefixElections+name+"/"+hex(lease)
	s.tries(lock)
	s.tries(candidacy)
	if _, err := s.client.Txn(ctx).Then(
		clientv3.OpPut(prefixApp+name, ""), clientv3.OpPut(prefixDeep+name, ""),
		clientv3.OpPut(lock, "", clientv3.WithLease(grant.ID)), clientv3.OpPut(candidacy, "x", clientv3.WithLease(grant.ID)),
	).Commit(); err != nil {
		return
	}
	_, _ = s.client.Txn(ctx).Then(clientv3.OpDelete(prefixApp+name), clientv3.OpDelete(prefixDeep+name)).Commit()
}

// reported says whether each watch has reported a probe of that number or a later one, in
// the events that arrived after so many.
func (s *system) reported(first int64, before int) bool {
	events, _ := s.sink.EventsAfter(before)
	for _, want := range probed {
		if !slices.ContainsFunc(events, func(e oracle.Event) bool {
			var number int64
			name, found := strings.CutPrefix(e.Attributes[want.attribute], want.prefix+probeName)
			_, err := fmt.Sscanf(name, "%d", &number)
			return e.Name == want.event && found && err == nil && number >= first
		}) {
			return false
		}
	}
	return true
}
