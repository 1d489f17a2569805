// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// gauge is one metric, and what etcd says that it must be, by the attributes' values.
type gauge struct {
	metric     string
	attributes []string
	want       map[string]float64
}

// compareGauges waits until all gauges are as etcd has them, and records those that are not.
func (s *system) compareGauges(ctx context.Context) {
	s.CompareGauges(ctx, s.sink, s.wrongGauges)
}

func (s *system) wrongGauges(ctx context.Context) (wrong []string) {
	gauges, err := s.gauges(context.WithoutCancel(ctx))
	if err != nil {
		return []string{fmt.Sprintf("gauges cannot be compared: %v", err)}
	}
	for _, g := range gauges {
		got := s.sink.Series(g.metric, g.attributes...)
		for _, series := range slices.Sorted(maps.Keys(g.want)) {
			if value, ok := got[series]; !ok || value != g.want[series] {
				wrong = append(wrong, fmt.Sprintf("%s{%s} is %v (there: %t), and etcd says %v", g.metric, series, value, ok, g.want[series]))
			}
		}
		for _, series := range slices.Sorted(maps.Keys(got)) {
			if _, ok := g.want[series]; !ok && got[series] != 0 && !s.former(series) {
				wrong = append(wrong, fmt.Sprintf("%s{%s} is %v, and etcd has no such thing", g.metric, series, got[series]))
			}
		}
	}
	return wrong
}

// former says whether a series is of a cluster that was there before.
func (s *system) former(series string) bool {
	return slices.ContainsFunc(s.formerClusters, func(id string) bool { return strings.HasSuffix(series, " "+id) || series == id })
}

// gauges reads what they must be from etcd itself.
func (s *system) gauges(ctx context.Context) ([]gauge, error) {
	ctx, enough := context.WithTimeout(ctx, 10*time.Second)
	defer enough()
	all, err := s.client.Get(ctx, "\x00", clientv3.WithFromKey())
	if err != nil {
		return nil, err
	}
	cluster := hex(all.Header.ClusterId)
	keys := map[string]key{}
	for _, kv := range all.Kvs {
		keys[string(kv.Key)] = keyOf(kv)
	}
	of := func(parts ...string) string { return strings.Join(append(parts, cluster), " ") }
	count, size := map[string]float64{}, map[string]float64{}
	for _, prefix := range s.prefixes.watch {
		count[of(prefix)], size[of(prefix)] = 0, 0
	}
	queues := map[string]map[string]float64{metricHolders: {}, metricWaiters: {}, metricLeaders: {}, metricCandidates: {}}
	for metric, configured := range map[string][]string{
		metricHolders: s.prefixes.locks, metricWaiters: s.prefixes.locks, metricLeaders: s.prefixes.elections, metricCandidates: s.prefixes.elections,
	} {
		for _, prefix := range configured {
			queues[metric][of(prefix)] = 0
		}
	}
	attached, leases := 0, map[int64]bool{}
	for _, covering := range s.prefixes.covering() {
		m := newModel(s.prefixes, covering, keys)
		for _, k := range m.keys {
			if prefix, watched := longest(k.name, s.prefixes.watch); watched {
				count[of(prefix)]++
				size[of(prefix)] += float64(len(k.name) + k.size)
			}
			if k.lease != 0 {
				attached++
				leases[k.lease] = true
			}
		}
		for _, a := range m.alive {
			metric := map[[2]bool]string{
				{false, true}: metricHolders, {false, false}: metricWaiters, {true, true}: metricLeaders, {true, false}: metricCandidates,
			}[[2]bool{a.election, a.acquired != 0}]
			queues[metric][of(a.prefix)]++
		}
	}
	alive := float64(len(leases))
	if !detachedLeasesDoNotCount {
		if alive, err = s.withDetached(ctx, leases, s.sink.Series(metricLeases, attrCluster)[cluster]); err != nil {
			return nil, err
		}
	}
	gauges := []gauge{
		{metricKeys, []string{attrPrefix, attrCluster}, count},
		{metricKeySize, []string{attrPrefix, attrCluster}, size},
		{metricLeases, []string{attrCluster}, map[string]float64{cluster: alive}},
		{metricLeaseKeys, []string{attrCluster}, map[string]float64{cluster: float64(attached)}},
		{metricUnobserved, []string{attrObject, attrCluster}, map[string]float64{of("key"): 0, of("lease"): 0}},
	}
	for _, metric := range slices.Sorted(maps.Keys(queues)) {
		gauges = append(gauges, gauge{metric, []string{attrPrefix, attrCluster}, queues[metric]})
	}
	members, err := s.memberGauges(ctx, cluster)
	return append(gauges, members...), err
}

// withDetached returns how many leases there are, if that is what is reported: those that
// keys are attached to, and some of those that have lost them.
func (s *system) withDetached(ctx context.Context, attached map[int64]bool, reported float64) (float64, error) {
	alive, err := s.aliveLeases(ctx)
	if err != nil {
		return 0, err
	}
	most := len(attached)
	for id, l := range s.lifetimes(nil) {
		if alive[id] && !attached[l.id] {
			most++
		}
	}
	return min(max(reported, float64(len(attached))), float64(most)), nil
}

// memberGauges reads what concerns the members, and what they agree on.
func (s *system) memberGauges(ctx context.Context, cluster string) ([]gauge, error) {
	of := func(part string) string { return part + " " + cluster }
	list, err := s.client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	roles := map[string]float64{of(roleVoter): 0, of(roleLearner): 0}
	for _, member := range list.Members {
		if member.IsLearner {
			roles[of(roleLearner)]++
		} else {
			roles[of(roleVoter)]++
		}
	}
	raised, err := s.client.AlarmList(ctx)
	if err != nil {
		return nil, err
	}
	alarms := map[string]float64{of("nospace"): 0, of("corrupt"): 0}
	for _, alarm := range raised.Alarms {
		alarms[of(strings.ToLower(alarm.Alarm.String()))]++
	}
	compacted, err := s.readCompacted(ctx)
	if err != nil {
		return nil, err
	}
	gauges := []gauge{
		{metricMembers, []string{attrRole, attrCluster}, roles},
		{metricAlarms, []string{attrAlarm, attrCluster}, alarms},
		{metricHasLeader, []string{attrCluster}, map[string]float64{cluster: 1}},
	}
	if revision, ok := compacted[compactionObject]; ok {
		gauges = append(gauges, gauge{metricCompacted, []string{attrCluster}, map[string]float64{cluster: float64(number(revision))}})
	}
	if s.proxied {
		return gauges[:0], nil // A proxy answers for the members.
	}
	byMember := map[string]map[string]float64{metricUp: {}, metricLeader: {}, metricLearner: {}, metricRevision: {}, metricTerm: {}, metricQuota: {}, metricSize: {}}
	var away []string // What was last reported of these is not compared.
	for _, endpoint := range s.observedEndpoints {
		_, instance, _ := strings.Cut(endpoint, "://")
		asking, enough := context.WithTimeout(ctx, time.Second)
		status, err := s.client.Status(asking, endpoint)
		enough()
		if err != nil {
			byMember[metricUp][instance] = 0
			away = append(away, instance)
			continue
		}
		for metric, value := range map[string]float64{
			metricUp: 1, metricLeader: yes(status.Leader == status.Header.MemberId), metricLearner: yes(status.IsLearner),
			metricRevision: float64(status.Header.Revision), metricTerm: float64(status.RaftTerm),
			metricQuota: float64(status.DbSizeQuota), metricSize: float64(status.DbSize),
		} {
			byMember[metric][instance] = value
		}
	}
	for _, instance := range away {
		for metric := range byMember {
			if value, ok := s.sink.Series(metric, attrInstance)[instance]; ok && metric != metricUp {
				byMember[metric][instance] = value
			}
		}
	}
	for _, metric := range slices.Sorted(maps.Keys(byMember)) {
		gauges = append(gauges, gauge{metric, []string{attrInstance}, byMember[metric]})
	}
	return gauges, nil
}

func yes(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
