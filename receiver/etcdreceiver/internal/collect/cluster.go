// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

const (
	// StatusOf begins the name of the condition of a member.
	StatusOf = "status of "

	// endpointsCondition is the condition of the endpoints as a whole.
	endpointsCondition = "endpoints"

	// roundEvery is how often the members are asked for their status, so that
	// a time without a leader is observed: a member answers that from its memory.
	roundEvery = time.Second

	// patience is how long a round waits for the members. One that takes longer
	// did not answer in that round, and may still answer later.
	patience = time.Second

	// clusterKey is the key under which the state of the cluster is stored.
	clusterKey = "cluster"
)

var (
	errNoMember = errors.New("no member answers")

	// ErrMixed is the error of endpoints that are not of one cluster.
	ErrMixed = errors.New("they are of several clusters: give each cluster a receiver of its own")
)

// Part is a kind of thing that is observed in rounds, in which all members are asked.
type Part interface {
	// Poll makes the requests that are due.
	Poll(r Requests)

	// Step takes in a round, and returns what renders the changes that came of it, or
	// nil. It is not called at the same time as Record, nor are the States.
	Step(now time.Time, round Round) func(*Renderer)

	// Record records what is known of the cluster as metrics.
	Record(m Metrics)
}

// Round is what was observed of a cluster in one round.
type Round struct {
	Members []etcdapi.Status // of the cluster; those that answered
	Gap     bool             // in the round before, no member answered
}

// States are the states of all parts, and S what of them survives a restart.
type States[S any] interface {
	// Begin forgets what was known, as another cluster is observed, and goes on from
	// what was saved, if that is of this cluster.
	Begin(cluster uint64, saved S)

	// Save returns what has to survive a restart.
	Save(cluster uint64) S
}

// Cluster asks the members of a cluster in rounds how they are, and what they agree
// on. It goes on asking while a consumer refuses events, as the metrics are of the
// answers.
type Cluster[S any] struct {
	*Env
	parts  []Part
	states States[S]

	ready chan struct{} // there are answers that were not stepped
	first chan struct{} // closed when all members were asked once
	once  sync.Once

	mu      sync.Mutex
	members []*member
	gap     bool   // no member had answered in the last step
	id      uint64 // 0: nothing was observed yet
	saved   S      // by an earlier process, until something is observed
}

// member is a member of the cluster, as it is configured.
type member struct {
	endpoint string
	client   *etcdapi.Client
	status   Poll[etcdapi.Status]
	answered bool // in the last round
}

// NewCluster returns what observes the cluster with these endpoints. The effects of a
// round are in the order of the parts.
func NewCluster[S any](e *Env, endpoints []string, states States[S], parts ...Part) *Cluster[S] {
	c := &Cluster[S]{Env: e, parts: parts, states: states, ready: make(chan struct{}, 1), first: make(chan struct{})}
	for _, endpoint := range endpoints {
		m := &member{endpoint: endpoint}
		m.status.Name = StatusOf + address.HostPort(endpoint)
		c.members = append(c.members, m)
	}
	return c
}

// Run observes until ctx ends. connect makes a client of one endpoint.
func (c *Cluster[S]) Run(ctx context.Context, connect func(endpoint string) *etcdapi.Client) {
	for _, m := range c.members {
		m.client = connect(m.endpoint)
		defer m.client.Close()
	}
	slot := Slot[S](c.Env, clusterKey, clusterKey)
	if saved, found := slot.Load(ctx); found {
		c.saved = saved
	}
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { c.ask(ctx, &background) })
	watch.Loop[round]{
		Next:      c.next,
		Step:      c.step,
		Delivery:  c.Delivery,
		Commit:    func(ctx context.Context) { c.commit(ctx, slot) },
		Condition: func(error) {}, // Each request has a condition of its own.
	}.Run(ctx)
}

// ask asks in rounds until ctx ends.
func (c *Cluster[S]) ask(ctx context.Context, background *sync.WaitGroup) {
	pace := rate.NewLimiter(rate.Every(min(c.Interval, roundEvery)), 1)
	for pace.Wait(ctx) == nil {
		c.askMembers(ctx, background)
		r := Requests{ctx: ctx, env: c.Env, background: background, answered: c.signal}
		r.API, r.Members = c.spokesman()
		for _, part := range c.parts {
			part.Poll(r)
		}
		c.signal()
	}
}

func (c *Cluster[S]) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// askMembers asks each member for its status, unless it still owes the last one.
func (c *Cluster[S]) askMembers(ctx context.Context, background *sync.WaitGroup) {
	began := time.Now()
	answers := make(chan struct{}, len(c.members))
	pending := 0
	for _, m := range c.members {
		r := Requests{API: m.client, ctx: ctx, env: c.Env, background: background, answered: func() { answers <- struct{}{} }}
		if m.status.Request(r, 0, readStatus) {
			pending++
		}
	}
	impatient := time.NewTimer(patience)
	defer impatient.Stop()
	for ; pending > 0; pending-- {
		select {
		case <-answers:
		case <-impatient.C:
			pending = 1
		case <-ctx.Done():
			return
		}
	}
	defer c.once.Do(func() { close(c.first) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		m.answered = m.status.AnsweredSince(began)
	}
}

func readStatus(ctx context.Context, api *etcdapi.Client) (etcdapi.Status, error) {
	return api.Status(ctx)
}

// spokesman returns who can answer for the cluster: the leader, or else a member that
// follows one and is no learner, which would refuse. With it come the members that
// answered.
func (c *Cluster[S]) spokesman() (via *etcdapi.Client, members []etcdapi.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cluster, leads := c.id, false
	for _, m := range c.members {
		status := m.status.Value()
		if cluster == 0 && m.answered {
			cluster = status.Cluster
		}
		if !m.answered || status.Cluster != cluster {
			continue
		}
		members = append(members, status)
		if status.LeaderID != 0 && !status.Learner && !leads {
			via, leads = m.client, status.Leads()
		}
	}
	return via, members
}

// round is what the members answered, of whichever cluster they are.
type round struct {
	members []etcdapi.Status
	gap     bool
}

// answered returns what the members answered in the last round.
func (c *Cluster[S]) answered() (members []etcdapi.Status) {
	for _, m := range c.members {
		if m.answered {
			members = append(members, m.status.Value())
		}
	}
	return members
}

// next waits for answers.
func (c *Cluster[S]) next(ctx context.Context) (round, error) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return round{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	observed := round{members: c.answered(), gap: c.gap}
	if c.gap = len(observed.members) == 0; c.gap {
		return observed, errNoMember
	}
	c.Condition.Set(endpointsCondition, sameCluster(observed.members))
	return observed, nil
}

func sameCluster(members []etcdapi.Status) error {
	if len(of(members[0].Cluster, members)) < len(members) {
		return ErrMixed
	}
	return nil
}

// of returns those of the members that are of a cluster.
func of(cluster uint64, members []etcdapi.Status) []etcdapi.Status {
	return slices.DeleteFunc(slices.Clone(members), func(m etcdapi.Status) bool { return m.Cluster != cluster })
}

// step steps the parts. A cluster is observed as long as a member of it answers.
func (c *Cluster[S]) step(now time.Time, observed round) watch.Telemetry {
	c.mu.Lock()
	defer c.mu.Unlock()
	members := of(c.id, observed.members)
	if len(members) == 0 {
		c.begin(observed.members[0].Cluster)
		members = of(c.id, observed.members)
	}
	var changes []func(*Renderer)
	for _, part := range c.parts {
		if render := part.Step(now, Round{Members: members, Gap: observed.gap}); render != nil {
			changes = append(changes, render)
		}
	}
	if len(changes) == 0 {
		return watch.EmptyTelemetry()
	}
	cluster := Hex(c.id)
	r := NewRenderer(c.Events, c.Settings, now, cluster)
	for _, render := range changes {
		render(r)
	}
	return r.Emit(ClusterResource(metadata.NewResourceBuilder(c.Events.ResourceAttributes), cluster))
}

func (c *Cluster[S]) begin(id uint64) {
	var none S
	saved := c.saved
	c.id, c.saved = id, none
	c.states.Begin(id, saved)
}

// commit saves what has to survive a restart. What fails is tried again soon.
func (c *Cluster[S]) commit(ctx context.Context, slot checkpoint.Slot[S]) {
	c.mu.Lock()
	saved := c.saved
	if c.id != 0 {
		saved = c.states.Save(c.id)
	}
	c.mu.Unlock()
	_ = slot.Save(ctx, saved)
}

// WaitForFirst waits until all members were asked once, and reports whether they were.
func (c *Cluster[S]) WaitForFirst(ctx context.Context) bool {
	select {
	case <-c.first:
		return true
	case <-ctx.Done():
		return false
	}
}

// EachMember calls record with what is known of each endpoint: the last status of the
// member, and whether it is up. One that answered nothing for too long is down.
func (c *Cluster[S]) EachMember(now time.Time, record func(endpoint string, status etcdapi.Status, up bool)) {
	for _, m := range c.members {
		status, up := m.status.Fresh(now, c.maxAge())
		record(m.endpoint, status, up)
	}
}

// maxAge is how long an answer counts.
func (c *Cluster[S]) maxAge() time.Duration { return max(2*c.Interval, roundEvery+2*patience) }

// Answers reports whether a member answered in the last round.
func (c *Cluster[S]) Answers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.answered()) > 0
}

// Record records what the members agree on, and returns the ID of their cluster, or 0
// if it is not known.
func (c *Cluster[S]) Record(m Metrics) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id == 0 {
		return 0
	}
	m.MaxAge, m.Members = c.maxAge(), of(c.id, c.answered())
	for _, part := range c.parts {
		part.Record(m)
	}
	return c.id
}
