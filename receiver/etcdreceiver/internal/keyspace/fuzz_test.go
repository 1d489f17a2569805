// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// etcd is a small etcd with leases, the truth that a Machine is to find out.
type etcd struct {
	now      time.Time
	revision int64
	keys     map[string]key.Key
	leases   map[int64]*granted // those that are there
	ended    map[int64]string   // how the others ended
	history  []key.Change       // with the whole key, also when it is deleted
	why      map[int64]string   // keys were deleted at a revision
	next     int64              // lease
}

type granted struct {
	ttl    time.Duration
	expiry time.Time
}

func newEtcd() *etcd {
	return &etcd{
		now: at(1000), revision: 1, keys: map[string]key.Key{}, leases: map[int64]*granted{},
		ended: map[int64]string{}, why: map[int64]string{}, next: 0xa0,
	}
}

func (e *etcd) grant(ttl int) int64 {
	e.next++
	e.leases[e.next] = &granted{ttl: time.Duration(ttl) * time.Second}
	e.renew(e.next)
	return e.next
}

func (e *etcd) renew(id int64) {
	if l := e.leases[id]; l != nil {
		l.expiry = e.now.Add(l.ttl)
	}
}

// put puts a key at the present revision.
func (e *etcd) put(name string, lease int64, size int) {
	if e.leases[lease] == nil {
		lease = 0
	}
	k := e.keys[name]
	if k.Version == 0 {
		k = key.Key{Name: name, Created: e.revision}
	}
	k.Modified, k.Lease, k.Size = e.revision, lease, size
	k.Version++
	e.keys[name] = k
	e.history = append(e.history, put(k))
}

func (e *etcd) delete(name, why string) {
	old, there := e.keys[name]
	if !there {
		return
	}
	delete(e.keys, name)
	e.history = append(e.history, key.Change{Key: key.Key{Name: name, Modified: e.revision}, Deleted: true, Before: &old})
	e.why[e.revision] = why
}

// end ends a lease, and with it all its keys in one revision.
func (e *etcd) end(id int64, how string) {
	if e.leases[id] == nil {
		return
	}
	delete(e.leases, id)
	e.ended[id] = how
	var names []string
	for name, key := range e.keys {
		if key.Lease == id {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	e.revision++
	for _, name := range names {
		e.delete(name, how)
	}
}

// pass lets time pass, and leases expire.
func (e *etcd) pass(d time.Duration) {
	e.now = e.now.Add(d)
	due := slices.SortedFunc(maps.Keys(e.leases), func(a, b int64) int {
		return cmp.Or(e.leases[a].expiry.Compare(e.leases[b].expiry), cmp.Compare(a, b))
	})
	for _, id := range due {
		if !e.leases[id].expiry.After(e.now) {
			e.end(id, "expired")
		}
	}
}

// answer answers for a lease as it is now, to a question of some time ago.
func (e *etcd) answer(id int64, asked time.Time) lease.Answer {
	l := e.leases[id]
	if l == nil {
		return lease.Answer{ID: id, At: asked, Remaining: -1}
	}
	return lease.Answer{ID: id, At: asked, TTL: int64(l.ttl / time.Second), Remaining: int64(l.expiry.Sub(e.now) / time.Second)}
}

// list lists the keys under a prefix as they were at a revision.
func (e *etcd) list(prefix string, revision int64) Observation {
	keys := map[string]key.Key{}
	for _, c := range e.history {
		switch {
		case c.Key.Modified > revision || !strings.HasPrefix(c.Key.Name, prefix):
		case c.Deleted:
			delete(keys, c.Key.Name)
		default:
			keys[c.Key.Name] = c.Key
		}
	}
	o := list(revision, slices.Collect(maps.Values(keys))...)
	o.Prefix = prefix
	return o
}

// changes returns the changes under a prefix after a revision, of at most n
// revisions, and the revision up to which they are all.
func (e *etcd) changes(prefix string, after int64, n int) (changes []key.Change, upTo int64) {
	upTo = after
	for _, c := range e.history {
		if c.Key.Modified <= after {
			continue
		}
		if c.Key.Modified > upTo {
			if n--; n < 0 {
				return changes, upTo
			}
			upTo = c.Key.Modified
		}
		if strings.HasPrefix(c.Key.Name, prefix) {
			changes = append(changes, c)
		}
	}
	return changes, e.revision
}

// observer observes an etcd with a Machine, and keeps what it reports.
type observer struct {
	t        *testing.T
	etcd     *etcd
	m        *Machine
	prefixes Prefixes
	limits   Limits
	partly   bool // a lock can be partly beyond the bound
	restarts bool // and then some of it is reported again

	seen     map[string]int64 // revision by covering prefix
	late     map[string]int64
	saved    map[string]Saved
	leases   []byte // as they were saved
	asked    bool   // of all leases that are doubtful
	older    bool   // it was restarted from what was kept some time ago
	reported map[string]int
	attempts map[string]string // as they were reported
	granted  map[int64]int
	ended    map[int64]int
	holders  map[string]string // of locks
}

func newObserver(t *testing.T, e *etcd, prefixes Prefixes, limits Limits) *observer {
	o := &observer{
		t: t, etcd: e, prefixes: prefixes, limits: limits, m: NewMachine(prefixes, limits, true),
		seen: map[string]int64{}, late: map[string]int64{}, saved: map[string]Saved{},
		reported: map[string]int{}, attempts: map[string]string{}, granted: map[int64]int{}, ended: map[int64]int{}, holders: map[string]string{},
	}
	for _, prefix := range prefixes.Covering() {
		o.list(prefix)
	}
	o.keepLeases()
	return o
}

func (o *observer) step(observed Observation) {
	o.take(o.m.Step(o.etcd.now, observed))
	o.seen[observed.Prefix] = o.m.parts[observed.Prefix].revision
}

func (o *observer) list(prefix string) {
	o.step(o.etcd.list(prefix, o.etcd.revision))
	o.late[prefix] = o.etcd.revision
	delete(o.saved, prefix)
}

// watch delivers the changes of a number of revisions, some of them again.
func (o *observer) watch(prefix string, n int, again, ask bool) {
	from := o.seen[prefix]
	if again {
		from = max(1, from-3)
	}
	changes, upTo := o.etcd.changes(prefix, from, n)
	observed := Observation{Prefix: prefix, Revision: upTo, Changes: slices.Clone(changes), Late: o.late[prefix]}
	for i := range changes {
		if !again {
			continue
		}
		observed.Changes[i].Before = nil // without prev_kv
	}
	if ask {
		for _, id := range o.m.Ambiguous(o.etcd.now, prefix, changes, 5) {
			observed.Answers = append(observed.Answers, o.etcd.answer(id, o.etcd.now))
		}
	}
	o.asked = ask && len(observed.Answers) < 5
	o.step(observed)
	o.asked = false
}

// ask asks for the leases that are due; the answers take some time.
func (o *observer) ask(takes time.Duration) {
	for range 3 {
		id, due := o.m.DueLease(o.etcd.now)
		if !due {
			return
		}
		asked := o.etcd.now
		o.etcd.pass(takes)
		o.take(o.m.StepLeases(o.etcd.now, lease.Observation{Answers: []lease.Answer{o.etcd.answer(id, asked)}}))
	}
}

func (o *observer) listLeases() {
	ids := slices.Sorted(maps.Keys(o.etcd.leases))
	o.take(o.m.StepLeases(o.etcd.now, lease.Observation{Listed: true, IDs: ids}))
}

func (o *observer) keep(prefix string) { o.saved[prefix], _ = o.m.Save(prefix) }

func (o *observer) keepLeases() { o.leases, _ = json.Marshal(o.m.SaveLeases()) }

// restart goes on in another process: from what was kept now, or from what was
// kept some time ago, or with changes that are lost.
func (o *observer) restart(older, gap bool) {
	if !older {
		o.keepLeases()
	}
	before := o.m
	o.restarts, o.older = true, o.older || older
	o.m = NewMachine(o.prefixes, o.limits, true)
	var leases []lease.Saved
	check(o.t, json.Unmarshal(o.leases, &leases))
	o.m.RestoreLeases(o.etcd.now, leases)
	maps.DeleteFunc(o.granted, func(id int64, _ int) bool {
		_, known := o.m.leases.Get(id)
		return !known
	})
	for _, prefix := range o.prefixes.Covering() {
		saved, kept := o.saved[prefix]
		if !older || !kept {
			saved, _ = before.Save(prefix)
		}
		text, err := json.Marshal(saved)
		check(o.t, err)
		var restored Saved
		check(o.t, json.Unmarshal(text, &restored))
		revision := restored.Revision
		if gap {
			revision = o.etcd.revision
			delete(o.saved, prefix)
		}
		observed := o.etcd.list(prefix, revision)
		observed.Saved = &restored
		o.step(observed)
		o.late[prefix] = o.etcd.revision
	}
}

func check(t *testing.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// take takes in what was reported, and checks it against the truth.
func (o *observer) take(effects []Effect) {
	for _, e := range all(o.etcd.now, effects) {
		if testing.Verbose() {
			o.t.Logf("restarted %t: %s", o.restarts, brief(e))
		}
		switch e.what {
		case "gap", "queried":
		case "granted", "ended":
			o.takeLease(e)
		case "put", "deleted":
			o.count(e, e.key.Name, e.key.Created)
		default:
			o.takeAttempt(e)
		}
	}
	o.check()
}

func (o *observer) count(e happened, key string, created int64) {
	id := fmt.Sprintf("%s %s#%d %d", e.what, key, created, e.revision)
	if o.reported[id]++; o.reported[id] > 1 && !o.restarts {
		o.t.Fatalf("%s is reported twice", id)
	}
}

func (o *observer) takeAttempt(e happened) {
	a := *e.attempt
	id := fmt.Sprintf("%s#%d", a.Key, a.Created)
	o.count(e, a.Key, a.Created)
	if a.PreviousHolder != nil {
		id += fmt.Sprintf(" behind %s#%d", a.PreviousHolder.Key, a.PreviousHolder.Created)
	}
	o.attempts[fmt.Sprintf("%s %s#%d %d", e.what, a.Key, a.Created, e.revision)] = fmt.Sprintln(
		id, a.Election, a.Prefix, a.Position, a.Queued.Unix(), a.Acquired.Unix(), a.Ended.Unix(), a.BeganBefore, a.HeldBefore, a.Unordered)
	id = fmt.Sprintf("%s#%d", a.Key, a.Created)
	switch e.what {
	case "acquired":
		if holder := o.holders[a.Lock]; holder != "" && holder != id && !o.partly && !o.restarts {
			o.t.Fatalf("%s and %s hold %s", holder, id, a.Lock)
		}
		o.holders[a.Lock] = id
	case "released", "abandoned":
		if o.holders[a.Lock] == id {
			delete(o.holders, a.Lock)
		}
		if a.Cause == lock.ByClient && !e.reconciled && o.etcd.why[e.revision] == "expired" {
			o.t.Fatalf("%s is released at %d, where its lease expired", id, e.revision)
		}
		if a.Cause == lock.LeaseExpired && o.asked && o.etcd.leases[a.Lease] != nil && o.etcd.why[e.revision] == "deleted" {
			o.t.Fatalf("%s is lost with its lease at %d, which is still there", id, e.revision)
		}
	}
	if e.what == "released" && a.Holds() && a.Ended.Before(a.Acquired) || a.Holds() && a.Acquired.Before(a.Queued) {
		o.t.Fatalf("the times of %s are out of order: %v", id, a)
	}
}

func (o *observer) takeLease(e happened) {
	l := *e.lease
	if e.what == "granted" {
		o.granted[l.ID]++
		if n := o.granted[l.ID]; n > 1 && !o.restarts && !o.partly {
			o.t.Fatalf("lease %x is granted %d times", l.ID, n)
		}
		return
	}
	o.ended[l.ID]++
	truth := o.etcd.ended[l.ID]
	switch {
	case truth == "":
		o.t.Fatalf("lease %x has not ended", l.ID)
	case o.ended[l.ID] > 1 && !o.restarts && !o.partly:
		o.t.Fatalf("lease %x ended %d times", l.ID, o.ended[l.ID])
	case l.Certain && (truth != "revoked" || l.Cause != lease.Revoked):
		o.t.Fatalf("lease %x is said to be revoked for certain, but %s", l.ID, truth)
	case l.Keys < 0 || l.Ended.Before(l.Since):
		o.t.Fatalf("lease %x: %+v", l.ID, l)
	}
}

// check checks the invariants of the machine.
func (o *observer) check() {
	m := o.m
	check(o.t, m.keys.Verify())
	check(o.t, m.leases.Verify())
	var queues []*lock.Queues
	for prefix, p := range m.parts {
		queues = append(queues, p.locks)
		check(o.t, p.locks.Verify(!o.partly))
		attached := map[int64]int{}
		for key := range p.keys.All() {
			if key.Lease != 0 {
				attached[key.Lease]++
			}
		}
		check(o.t, p.leases.Verify(attached))
		for _, name := range p.locks.Names() {
			a := p.locks.Attempt(name)
			if k, there := p.keys.Get(name); !there || k.Created != a.Created || name != a.Key {
				o.t.Fatalf("the attempt of %s has no key", name)
			}
		}
		truth := o.etcd.list(prefix, o.seen[prefix])
		if o.seen[prefix] == p.revision && o.seen[prefix] > 0 && p.keys.Count() != len(truth.Keys) {
			o.t.Fatalf("knows of %d keys under %s, there are %d", p.keys.Count(), prefix, len(truth.Keys))
		}
	}
	check(o.t, m.locks.Verify(queues...))
}

// catchUp lets the observer see all there is, and compares what it knows.
func (o *observer) catchUp() {
	for prefix := range o.m.parts {
		o.watch(prefix, 1000, false, true)
	}
	counts := o.m.Counts()
	for prefix, c := range counts.Keys {
		keys, size := 0, 0
		for name, key := range o.etcd.keys {
			under := func(p string) bool { return strings.HasPrefix(name, p) }
			watched := (Prefixes{Watch: o.prefixes.Watch}).under("").Watch // the longest first
			if i := slices.IndexFunc(watched, under); i >= 0 && watched[i] == prefix {
				keys++
				size += len(name) + key.Size
			}
		}
		if !o.partly && (c.Keys != int64(keys) || c.Size != int64(size)) {
			o.t.Fatalf("%d keys of %d bytes under %s, not %+v", keys, size, prefix, c)
		}
	}
}

// finish lets the observer see the end of all leases.
func (o *observer) finish() {
	o.catchUp()
	defer func(now time.Time) { o.etcd.now = now }(o.etcd.now)
	for range 100 {
		o.ask(0)
		o.etcd.now = o.etcd.now.Add(500 * time.Millisecond)
	}
	if o.partly {
		return
	}
	for _, id := range o.m.leases.IDs() {
		if o.etcd.leases[id] == nil {
			o.t.Fatalf("lease %x has ended: %+v", id, leaseOf(o.m, id))
		}
	}
	for id := range o.granted {
		if o.etcd.leases[id] == nil && o.ended[id] == 0 {
			o.t.Fatalf("lease %x was granted and has ended, which is not reported", id)
		}
	}
}

// FuzzMachine lets two observers observe an etcd: one from the beginning to the
// end, and one that is restarted. Both report the same.
func FuzzMachine(f *testing.F) {
	f.Add([]byte("012345678901234567890123456789"))
	f.Add([]byte{0, 20, 0, 21, 20, 0x80, 60, 60, 60, 0x81, 0x90, 0xa0, 20, 0x88, 0xb0})
	f.Add([]byte{0, 1, 20, 21, 22, 23, 0x80, 0xc0, 70, 71, 0x80, 0x90, 10, 11, 0xc1, 0x80})
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 300)]
		limits := Limits{Keys: 100, Leases: 100}
		partly := len(script)%4 == 1
		if partly {
			limits = Limits{Keys: 4, Leases: 2}
		}
		prefixes := Prefixes{Watch: []string{"/l/e/", "/p/", "/p/deep/"}, Locks: []string{"/l/"}, Elections: []string{"/l/e/"}}
		truth := newEtcd()
		through, restarted := newObserver(t, truth, prefixes, limits), newObserver(t, truth, prefixes, limits)
		through.partly, restarted.partly = partly, partly
		same := !partly
		var slots [4]int64
		for _, b := range script {
			if testing.Verbose() {
				t.Logf("%x at %d", b, truth.revision)
			}
			if b < 0x80 {
				change(truth, &slots, int(b))
				continue
			}
			n := int(b & 0x0f)
			prefix := []string{"/l/", "/p/"}[n%2]
			if b>>4 == 0xc && through.seen[prefix] != restarted.seen[prefix] {
				same = false // They do not miss the same.
			}
			for _, o := range []*observer{through, restarted} {
				switch b >> 4 {
				case 0x8, 0x9:
					o.watch(prefix, 1+n/2, false, true)
				case 0xa:
					o.watch(prefix, 1+n/2, true, n&2 == 0)
				case 0xb:
					o.ask(0)
				case 0xc:
					o.list(prefix)
				case 0xd:
					o.listLeases()
				}
			}
			switch b >> 4 {
			case 0xb: // The time that answers take is the same for both.
				restarted.ask(time.Duration(n) * 300 * time.Millisecond)
			case 0xc:
				delete(restarted.saved, prefix)
			case 0xe:
				if n&1 == 0 {
					restarted.keep(prefix)
				} else {
					restarted.keepLeases()
				}
			case 0xf:
				gap := n == 15
				same = same && !gap
				restarted.restart(n&1 == 1, gap)
			}
		}
		through.catchUp()
		restarted.catchUp()
		truth.pass(time.Hour)
		through.finish()
		restarted.finish()
		if same {
			for id := range through.reported {
				if restarted.reported[id] == 0 {
					t.Fatalf("%s is not reported by the one that was restarted", id)
				}
			}
			for id, attempt := range through.attempts {
				if got := restarted.attempts[id]; got != attempt && !restarted.older {
					t.Fatalf("%s is reported as %s, not %s", id, got, attempt)
				}
			}
			for id := range restarted.reported {
				if through.reported[id] == 0 {
					t.Fatalf("%s is reported by the one that was restarted only", id)
				}
			}
		}
	})
}

// change makes one of many changes.
func change(e *etcd, slots *[4]int64, b int) {
	slot := b % 4
	lease := slots[slot]
	names := []string{"/l/x", "/l/y", "/l/e/a", "/p/el"}
	plain := []string{"/p/1", "/p/2", "/p/deep/3", "/l/z", "/p/4"}
	contend := func(name string) {
		key := fmt.Sprintf("%s/%x", name, lease)
		switch _, there := e.keys[key]; {
		case lease == 0 || e.leases[lease] == nil:
		case there:
			e.revision++
			e.delete(key, "deleted")
		default:
			e.revision++
			e.put(key, lease, len(name)-4)
		}
	}
	switch b / 4 {
	case 0, 1, 2:
		slots[slot] = e.grant(1 + b/4*2)
	case 3, 4, 5, 6, 7, 8:
		contend(names[b/4%4])
	case 9, 10:
		e.renew(lease)
	case 11:
		e.end(lease, "revoked")
	case 12, 13, 14:
		e.revision++
		e.put(plain[b/4-12+slot%2], lease, b%7)
	case 15, 16:
		e.revision++
		e.put(plain[b/4-12], 0, b%7)
	case 17, 18, 19:
		if name := plain[(b/4+slot)%5]; e.keys[name].Version > 0 {
			e.revision++
			e.delete(name, "deleted")
		}
	case 20: // a client deletes all there is
		if len(e.keys) > 0 {
			e.revision++
			for _, name := range slices.Sorted(maps.Keys(e.keys)) {
				e.delete(name, "deleted")
			}
		}
	case 21: // a transaction: a lock is given back, and something is put
		if key := fmt.Sprintf("/l/x/%x", lease); e.keys[key].Version > 0 {
			e.revision++
			e.delete(key, "deleted")
			e.put("/l/z", lease, 1)
		}
	case 22: // a candidate proclaims
		if key := fmt.Sprintf("/l/e/a/%x", lease); e.keys[key].Version > 0 {
			e.revision++
			e.put(key, lease, b)
		}
	case 23: // a lock's key is moved to another lease
		if key := fmt.Sprintf("/l/y/%x", lease); e.keys[key].Version > 0 {
			e.revision++
			e.put(key, slots[(slot+1)%4], 0)
		}
	case 24, 25, 26, 27, 28:
		e.pass(time.Duration(b-95) * 150 * time.Millisecond)
	default:
		e.pass(100 * time.Millisecond)
	}
}

func brief(e happened) string {
	if e.lease != nil {
		return fmt.Sprintf("%s lease %x %+v", e.what, e.lease.ID, *e.lease)
	}
	if e.attempt != nil {
		return fmt.Sprintf("%s at %d: %s#%d of %x, cause %d, reconciled %t", e.what, e.revision, e.attempt.Key, e.attempt.Created, e.attempt.Lease, e.attempt.Cause, e.reconciled)
	}
	return fmt.Sprintf("%s at %d: %s %v", e.what, e.revision, e.key.Name, e.gap)
}
