// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// The objects that a cluster has beside its keys.
const (
	leaderObject     = "leader"
	memberObject     = "member/"
	alarmObject      = "alarm/"
	compactionObject = "compaction"
)

const present = "present"

// watchCluster reads who leads, the members, the alarms and the compacted revision again
// and again.
func (s *system) watchCluster(ctx context.Context) {
	s.baselines = map[string]string{}
	for _, read := range []func(context.Context) (map[string]string, error){s.readLeader, s.readMembers, s.readAlarms, s.readCompacted} {
		d := &oracle.Domain{Read: func(ctx context.Context) (map[string]string, error) {
			ctx, enough := context.WithTimeout(ctx, time.Second)
			defer enough()
			return read(ctx)
		}, Keep: minCluster, Within: within}
		s.domains = append(s.domains, d)
		d.Record(ctx, time.Now())
		for _, object := range d.Objects() {
			s.baselines[object] = d.State(object)
		}
		s.background.Go(func() {
			for oracle.Sleep(ctx, 200*time.Millisecond) {
				d.Poll(ctx)
			}
		})
	}
}

// readLeader reads whom most members of the highest term follow.
func (s *system) readLeader(ctx context.Context) (map[string]string, error) {
	term, followers := uint64(0), map[uint64]int{}
	answered := 0
	for _, endpoint := range s.etcd.Endpoints {
		status, err := s.client.Status(ctx, endpoint)
		if err != nil {
			continue
		}
		answered++
		if status.RaftTerm > term {
			term = status.RaftTerm
			clear(followers)
		}
		if status.RaftTerm == term && status.Leader != 0 {
			followers[status.Leader]++
		}
	}
	if answered == 0 {
		return nil, errors.New("no member answers")
	}
	leader, most := uint64(0), 0
	for id, n := range followers {
		if n > most {
			leader, most = id, n
		}
	}
	if leader == 0 {
		return map[string]string{}, nil
	}
	return map[string]string{leaderObject: hex(leader)}, nil
}

func (s *system) readMembers(ctx context.Context) (map[string]string, error) {
	list, err := s.client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, member := range list.Members {
		role := roleVoter
		if member.IsLearner {
			role = roleLearner
		}
		states[memberObject+hex(member.ID)] = role
	}
	return states, nil
}

func (s *system) readAlarms(ctx context.Context) (map[string]string, error) {
	list, err := s.client.AlarmList(ctx)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, alarm := range list.Alarms {
		states[alarmObject+hex(alarm.MemberID)+"/"+strings.ToLower(alarm.Alarm.String())] = present
	}
	return states, nil
}

// readCompacted reads the compacted revision from the refusal of a watch of what is older.
func (s *system) readCompacted(ctx context.Context) (map[string]string, error) {
	ctx, enough := context.WithTimeout(clientv3.WithRequireLeader(ctx), 5*time.Second)
	defer enough()
	answer, open := <-s.client.Watch(ctx, prefixDeep+"early", clientv3.WithRev(1)) // It is one of the oldest keys.
	switch {
	case !open:
		return nil, errors.New("a watch ended")
	case answer.CompactRevision > 0:
		return map[string]string{compactionObject: strconv.FormatInt(answer.CompactRevision, 10)}, nil
	default:
		return map[string]string{}, answer.Err()
	}
}

func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	return string(page), err
}

// compareDomains compares the events of the cluster with what its members said.
func (s *system) compareDomains(events []oracle.Event, windows []oracle.Window) {
	reports := map[string][]oracle.Report{}
	for object, state := range s.baselines {
		reports[object] = []oracle.Report{{New: state}}
	}
	for _, e := range events {
		object, report := clusterReport(e)
		if object == "" {
			continue
		}
		report.At, report.Reconciled = e.At, e.Attributes[attrReconciled] == "true"
		if e.Name == eventCompaction { // It does not say whether its time is that of the change.
			report.Reconciled = faultyFrom(windows, e.At, e.At)
		}
		if before := reports[object]; object == leaderObject && len(before) > 0 && before[len(before)-1].New == report.New {
			continue // The same one in another term.
		}
		reports[object] = append(reports[object], report)
	}
	for _, d := range s.domains {
		for _, l := range d.Timelines() {
			if s.unlisted(l.Object) {
				delete(reports, l.Object)
				continue
			}
			reported := slices.Concat(reports[l.Object], setBack(l))
			if _, early := s.baselines[l.Object]; early {
				reported[0].At = l.Turns[0].Until
			}
			slices.SortStableFunc(reported, func(a, b oracle.Report) int { return a.At.Compare(b.At) })
			delete(reports, l.Object)
			if why, at := l.Compare(oracle.Once(reported, windows), windows); why != "" {
				s.Differ("%s: %s", why, l.Describe(s.Run, reported, at))
			}
		}
	}
	for object, reported := range reports {
		s.Differ("reported, but there was no such object: %s", (&oracle.Timeline{Object: object}).Describe(s.Run, reported, 0))
	}
}

// unlisted says whether an object is not compared: a proxy lists itself, and the members of
// another cluster are those that there were from its beginning.
func (s *system) unlisted(object string) bool {
	return s.proxied && strings.HasPrefix(object, memberObject) ||
		len(s.formerClusters) > 0 && (strings.HasPrefix(object, memberObject) || object == leaderObject || object == compactionObject)
}

// setBack returns reports of the compacted revisions that a backup brought back: that is no
// compaction, and not reported.
func setBack(l *oracle.Timeline) (reports []oracle.Report) {
	for i, turn := range l.Turns {
		if l.Object == compactionObject && i > 0 && number(turn.State) < number(l.Turns[i-1].State) {
			reports = append(reports, oracle.Report{New: turn.State, OldUnknown: true, At: turn.Until})
		}
	}
	return reports
}

// clusterReport returns the object of an event of the cluster; empty if it has none.
func clusterReport(e oracle.Event) (object string, report oracle.Report) {
	a := e.Attributes
	switch e.Name {
	case eventLeaderElected:
		return leaderObject, oracle.Report{New: a[attrMember], OldUnknown: true}
	case eventLeaderLost:
		return leaderObject, oracle.Report{Old: a[attrMember]}
	case eventMemberAdded:
		return memberObject + a[attrMember], oracle.Report{New: a[attrRole]}
	case eventMemberPromote:
		return memberObject + a[attrMember], oracle.Report{Old: roleLearner, New: a[attrRole]}
	case eventMemberRemoved:
		return memberObject + a[attrMember], oracle.Report{Old: a[attrRole]}
	case eventAlarmRaised:
		return alarmObject + a[attrMember] + "/" + a[attrAlarm], oracle.Report{New: present}
	case eventAlarmCleared:
		return alarmObject + a[attrMember] + "/" + a[attrAlarm], oracle.Report{Old: present}
	case eventCompaction:
		return compactionObject, oracle.Report{New: a[attrCompacted], OldUnknown: true}
	}
	return "", report
}
