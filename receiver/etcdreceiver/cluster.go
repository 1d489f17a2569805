// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

const (
	// statusEvery is how often the members are asked for their status, so that
	// a time without a leader is seen: a member answers that from its memory.
	statusEvery = time.Second

	// patience is how long a round waits for the members. One that takes longer
	// did not answer in that round, and may still answer later.
	patience = time.Second

	// storedCluster is the key under which the state of the cluster is stored.
	storedCluster = "cluster"
)

var (
	errNoMember = errors.New("no member answers")
	errMixed    = errors.New("they are of several clusters: give each cluster a receiver of its own")
)

// cluster asks the members how they are, and what they agree on. It goes on
// asking while a consumer refuses events, as the metrics are of the answers.
type cluster struct {
	*watcher
	key   string        // that is read to find out about compactions
	ready chan struct{} // there are answers that were not looked at

	asked chan struct{} // closed when all members were asked once
	once  sync.Once

	mu       sync.Mutex
	members  []*member
	gap      bool // no member had answered when that was last looked at
	machine  state.Cluster
	peers    question[map[uint64]state.Peer]
	alarms   question[map[state.Alarm]struct{}]
	alarming string          // what the members complained of when alarms were last asked for
	oldest   question[int64] // revision that can be read; 0: the user may not
}

// member is a member of the cluster, as it is configured.
type member struct {
	endpoint string
	client   *etcdapi.Client
	status   question[state.Member]
	answered bool // in the last round
}

func newCluster(w *watcher) *cluster {
	c := &cluster{watcher: w, key: "/", ready: make(chan struct{}, 1), asked: make(chan struct{})}
	if covering := w.cfg.prefixes().Covering(); len(covering) > 0 {
		c.key = covering[0]
	}
	c.peers.name, c.alarms.name, c.oldest.name = listMembers, listAlarms, findCompactions
	for _, endpoint := range w.cfg.Endpoints {
		m := &member{endpoint: endpoint}
		m.status.name = statusOf + address.HostPort(endpoint)
		c.members = append(c.members, m)
	}
	return c
}

// run observes until ctx ends.
func (c *cluster) run(ctx context.Context, options etcdapi.Options) {
	for _, m := range c.members {
		m.client = etcdapi.New(ctx, options, m.endpoint)
		defer m.client.Close()
	}
	c.restore(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { c.ask(ctx, &asking) })
	watch.Loop[state.ClusterObservation]{
		Next:      c.next,
		Step:      c.step,
		Delivery:  c.Delivery(),
		Commit:    c.keep,
		Condition: func(error) {}, // Each question has a condition of its own.
	}.Run(ctx)
}

// ask asks in rounds until ctx ends.
func (c *cluster) ask(ctx context.Context, asking *sync.WaitGroup) {
	interval := c.cfg.Scrape.CollectionInterval
	pace := rate.NewLimiter(rate.Every(min(interval, statusEvery)), 1)
	for pace.Wait(ctx) == nil {
		c.askMembers(ctx, asking)
		c.askCluster(ctx, asking, interval)
		c.signal()
	}
}

func (c *cluster) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// askMembers asks each member for its status, unless it still owes the last one.
func (c *cluster) askMembers(ctx context.Context, asking *sync.WaitGroup) {
	began := time.Now()
	answers := make(chan struct{}, len(c.members))
	waits := 0
	for _, m := range c.members {
		if ask(ctx, c, asking, &m.status, 0, statusOfMember(m.client), func() { answers <- struct{}{} }) {
			waits++
		}
	}
	impatient := time.NewTimer(patience)
	defer impatient.Stop()
	for ; waits > 0; waits-- {
		select {
		case <-answers:
		case <-impatient.C:
			waits = 1
		case <-ctx.Done():
			return
		}
	}
	defer c.once.Do(func() { close(c.asked) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		m.answered = !m.status.waits && m.status.err == nil && !m.status.asked.Before(began)
	}
}

// askCluster asks for what the members agree on. Without a leader they agree on
// nothing.
func (c *cluster) askCluster(ctx context.Context, asking *sync.WaitGroup, every time.Duration) {
	via, complaints := c.spokesman()
	if via == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		now := time.Now()
		c.peers.skip(now, every)
		c.alarms.skip(now, every)
		c.oldest.skip(now, every)
		return
	}
	ask(ctx, c, asking, &c.peers, every, peersOf(via), c.signal)
	ask(ctx, c, asking, &c.oldest, every, func(ctx context.Context) (int64, error) {
		c.mu.Lock()
		before := c.oldest.value
		c.mu.Unlock()
		return via.OldestRevision(ctx, c.key, before)
	}, c.signal)
	c.askAlarms(ctx, asking, every, via, complaints)
}

// askAlarms asks for the alarms when what the members complain of has changed,
// and from time to time while there are any.
func (c *cluster) askAlarms(ctx context.Context, asking *sync.WaitGroup, every time.Duration, via *etcdapi.Client, complaints string) {
	c.mu.Lock()
	none := !c.alarms.waits && complaints == "" && len(c.alarms.value) == 0
	if none {
		c.alarming = ""
		c.alarms.answer(time.Now(), map[state.Alarm]struct{}{}, nil)
	}
	if complaints != c.alarming {
		every = 0
	}
	c.mu.Unlock()
	if none {
		c.Condition.Set(c.alarms.name, nil)
	} else if ask(ctx, c, asking, &c.alarms, every, alarmsOf(via), c.signal) {
		c.mu.Lock()
		c.alarming = complaints
		c.mu.Unlock()
	}
}

// spokesman returns who can be asked for what the members agree on: the leader,
// or else a member that follows one and is no learner, which would refuse. With
// it comes what the members complain of.
func (c *cluster) spokesman() (via *etcdapi.Client, complaints string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cluster, leads := c.machine.ID(), false
	var all []string
	for _, m := range c.members {
		said := m.status.value
		if cluster == 0 && m.answered {
			cluster = said.Cluster
		}
		if !m.answered || said.Cluster != cluster {
			continue
		}
		if said.Errors != "" {
			all = append(all, said.Errors)
		}
		if said.LeaderID != 0 && !said.Learner && !leads {
			via, leads = m.client, said.Leads()
		}
	}
	slices.Sort(all)
	return via, strings.Join(slices.Compact(all), "\n")
}

func statusOfMember(client *etcdapi.Client) func(context.Context) (state.Member, error) {
	return func(ctx context.Context) (state.Member, error) {
		status, err := client.Status(ctx)
		return state.Member(status), err
	}
}

func peersOf(client *etcdapi.Client) func(context.Context) (map[uint64]state.Peer, error) {
	return func(ctx context.Context) (map[uint64]state.Peer, error) {
		members, err := client.Members(ctx)
		if err != nil {
			return nil, err
		}
		peers := make(map[uint64]state.Peer, len(members))
		for _, m := range members {
			peers[m.ID] = state.Peer{Name: m.Name, Learner: m.Learner}
		}
		return peers, nil
	}
}

func alarmsOf(client *etcdapi.Client) func(context.Context) (map[state.Alarm]struct{}, error) {
	return func(ctx context.Context) (map[state.Alarm]struct{}, error) {
		raised, err := client.Alarms(ctx)
		if err != nil {
			return nil, err
		}
		alarms := make(map[state.Alarm]struct{}, len(raised))
		for _, a := range raised {
			alarms[state.Alarm{Member: a.Member, Type: state.AlarmType(a.Type)}] = struct{}{}
		}
		return alarms, nil
	}
}

// said returns what the members said in the last round.
func (c *cluster) said() (members []state.Member) {
	for _, m := range c.members {
		if m.answered {
			members = append(members, m.status.value)
		}
	}
	return members
}

// next waits for answers.
func (c *cluster) next(ctx context.Context) (state.ClusterObservation, error) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return state.ClusterObservation{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := state.ClusterObservation{Members: c.said(), Gap: c.gap}
	if c.gap = len(o.Members) == 0; c.gap {
		return o, errNoMember
	}
	c.Condition.Set(allEndpoints, sameCluster(o.Members))
	o.Peers, o.Alarms, o.Compact = c.peers.take(), c.alarms.take(), c.oldest.take()
	o.Compact.Known = o.Compact.Value > 0
	return o, nil
}

func sameCluster(members []state.Member) error {
	for _, m := range members {
		if m.Cluster != members[0].Cluster {
			return errMixed
		}
	}
	return nil
}

func (c *cluster) step(now time.Time, o state.ClusterObservation) watch.Telemetry {
	c.mu.Lock()
	before := c.machine.ID()
	effects := c.machine.Step(now, o)
	if before != 0 && c.machine.ID() != before {
		c.oldest.value = 0 // of another history
	}
	id := collect.Hex(c.machine.ID())
	c.mu.Unlock()
	res := collect.ClusterResource(metadata.NewResourceBuilder(c.cfg.Events.ResourceAttributes), id)
	return c.story.RenderCluster(now, id, res, effects)
}

// restore takes in what an earlier process saved. What cannot be read is said,
// and done without.
func (c *cluster) restore(ctx context.Context) {
	var saved state.ClusterState
	found, err := c.env.Store.Load(ctx, storedCluster, &saved)
	c.Condition.Set(storageOf+storedCluster, err)
	if found && err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.machine.Restore(saved)
	}
}

// keep saves what has to survive a restart. What fails is tried again soon.
func (c *cluster) keep(ctx context.Context) {
	c.mu.Lock()
	saved := c.machine.Save()
	c.mu.Unlock()
	c.Condition.Set(storageOf+storedCluster, c.env.Store.Save(ctx, storedCluster, saved))
}
