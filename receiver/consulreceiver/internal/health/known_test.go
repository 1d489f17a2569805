// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server is a Consul with a random history, of which each answer may be old.
type server struct {
	index   uint64
	history []Checks // by index
}

func newServer() *server { return &server{history: []Checks{{}}} }

func (s *server) at(index uint64) Checks { return s.history[index] }

func (s *server) listed(status Status, index uint64) Checks {
	found := Checks{}
	for id, check := range s.at(index) {
		if check.Status == status {
			found[id] = check
		}
	}
	return found
}

// change makes one write.
func (s *server) change(random *rand.Rand) {
	next := maps.Clone(s.at(s.index))
	s.index++
	id := CheckID{fmt.Sprint("n", random.IntN(3)), fmt.Sprint("c", random.IntN(4))}
	check, there := next[id]
	switch random.IntN(8) {
	case 0:
		delete(next, id)
	default:
		if !there {
			check = Check{Node: id.Node, ID: id.Check, Created: s.index}
			if random.IntN(4) > 0 {
				check.ServiceID = fmt.Sprint("s", random.IntN(2))
				check.Service = map[bool]string{true: "Web", false: "web"}[id.Node == "n0"] + check.ServiceID
			}
		}
		check.Status = []Status{Passing, Passing, Warning, Critical, "odd"}[random.IntN(5)]
		check.Index = s.index
		next[id] = check
	}
	s.history = append(s.history, next)
}

// Whatever the order and the age of the answers, what is known after a quiet time is
// what the server has, each change continues the one before, and the counts are those
// of a new tally.
func TestAnswersOfAnyAgeMergeToTheServersState(t *testing.T) {
	for seed := range uint64(300) {
		merge(t, seed, 60)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(uint64(1), 20)
	f.Fuzz(func(t *testing.T, seed uint64, steps int) { merge(t, seed, min(max(steps, 0), 500)) })
}

func merge(t *testing.T, seed uint64, steps int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	s := newServer()
	for range random.IntN(10) {
		s.change(random)
	}
	k := newKnown(maps.Clone(s.at(s.index)), s.index)
	counted := newTally(k.checks)
	mirror := maps.Clone(k.checks)
	take := func(changes []change) {
		t.Helper()
		for _, c := range changes {
			prev, there := mirror[c.Key]
			require.Equal(t, !there, c.Added, "seed %d: %+v", seed, c)
			require.Equal(t, prev, c.Prev, "seed %d: %+v", seed, c)
			if c.Removed {
				delete(mirror, c.Key)
			} else {
				mirror[c.Key] = c.Next
			}
		}
		require.Equal(t, mirror, k.checks, "seed %d", seed)
		counted.apply(time.Unix(1, 0), changes)
	}
	age := map[string]uint64{} // of what an endpoint answered: it does not go back
	old := func(endpoint string) uint64 {
		age[endpoint] += random.Uint64N(s.index - min(age[endpoint], s.index) + 1)
		return age[endpoint]
	}
	for endpoint := range map[string]bool{"critical": true, "warning": true, "any": true} {
		age[endpoint] = s.index
	}
	for range steps {
		switch random.IntN(6) {
		case 0, 1:
			s.change(random)
		case 2:
			index := old("critical")
			take(k.list(Critical, index, s.listed(Critical, index)))
		case 3:
			index := old("warning")
			take(k.list(Warning, index, s.listed(Warning, index)))
		case 4:
			index := old("any")
			take(k.all(index, maps.Clone(s.at(index))))
		case 5:
			nodes, since := k.unresolved()
			for node, ids := range nodes {
				index := since + random.Uint64N(s.index-since+1)
				found := Checks{}
				for _, id := range ids {
					require.Equal(t, node, id.Node)
					if check, there := s.at(index)[id]; there {
						found[id] = check
					}
				}
				take(k.resolve(index, ids, found))
			}
		}
	}
	for _, status := range failing { // all is quiet
		take(k.list(status, s.index, s.listed(status, s.index)))
	}
	nodes, _ := k.unresolved()
	for _, ids := range nodes {
		found := Checks{}
		for _, id := range ids {
			if check, there := s.at(s.index)[id]; there {
				found[id] = check
			}
		}
		take(k.resolve(s.index, ids, found))
	}
	for status := range map[Status]bool{Critical: true, Warning: true} {
		got := Checks{}
		for id, check := range k.checks {
			if check.Status == status {
				got[id] = check
			}
		}
		require.Equal(t, s.listed(status, s.index), got, "seed %d: %s", seed, status)
	}
	take(k.all(s.index, maps.Clone(s.at(s.index))))
	require.Equal(t, s.at(s.index), k.checks, "seed %d", seed)
	require.Empty(t, k.left)
	require.Empty(t, k.gone)
	fresh := newTally(k.checks)
	require.Equal(t, fresh.checks, counted.checks, "seed %d", seed)
	require.Equal(t, fresh.ill, counted.ill, "seed %d", seed)
	later := time.Unix(1, 0).Add(2 * totalsLag)
	require.Equal(t, fresh.instances(later, Known{}), counted.instances(later, Known{}), "seed %d", seed)
	require.Len(t, counted.nodes, len(fresh.nodes))
	require.Len(t, counted.services, len(fresh.services))
}
