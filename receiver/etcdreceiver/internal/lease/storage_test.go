// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

var errFull = errors.New("no space left on device")

// memory is a storage extension that counts what is written.
type memory struct {
	component.StartFunc
	component.ShutdownFunc
	values map[string][]byte
	bytes  int
	writes int
	fails  bool
}

var storageID = component.MustNewID("memory")

func (m *memory) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{storageID: m}
}

func (m *memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}

func (m *memory) Get(_ context.Context, key string) ([]byte, error) { return m.values[key], nil }

func (m *memory) Set(_ context.Context, key string, value []byte) error {
	if m.fails {
		return errFull
	}
	m.bytes += len(value)
	m.writes++
	m.values[key] = value
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	delete(m.values, key)
	return nil
}

func (m *memory) Batch(ctx context.Context, operations ...*storage.Operation) error {
	for _, o := range operations {
		if o.Type != storage.Set {
			return errors.ErrUnsupported
		}
		if err := m.Set(ctx, o.Key, o.Value); err != nil {
			return err
		}
	}
	return nil
}

func (*memory) Close(context.Context) error { return nil }

func (m *memory) open(t testing.TB) *Storage {
	store, err := checkpoint.Open(t.Context(), m, &storageID, component.KindReceiver, component.MustNewID("etcd"), "")
	require.NoError(t, err)
	settings := receivertest.NewNopSettings(metadata.Type)
	return NewStorage(&collect.Env{Settings: settings, Store: store, Condition: condition.NewReporter(settings.Logger)})
}

// changing are leases that are saved, as long as that is allowed.
type changing struct {
	*Leases
	stop    func() bool
	longest time.Duration // that it took to copy some
}

func (c *changing) ChangedLeases(limit int) (SavedChanges, bool, bool) {
	if c.stop != nil && c.stop() {
		return SavedChanges{}, true, false
	}
	began := time.Now()
	changes, more := c.Changed(limit)
	c.longest = max(c.longest, time.Since(began))
	return changes, more, true
}

func (c *changing) ChangeAllLeases() { c.ChangeAll() }

func saved(t *testing.T, m *memory, cluster uint64) []Saved {
	t.Helper()
	all, found := m.open(t).Load(t.Context(), cluster)
	require.True(t, found)
	return all
}

func TestOnlyLeasesThatHaveChangedAreWritten(t *testing.T) {
	const n = 3 * perPart
	m, ls, now := &memory{values: map[string][]byte{}}, New(2*n, true), time.Unix(1, 0).UTC()
	a := ls.Under()
	for id := range int64(n) {
		a.Attach(id+1, "/v", 1, true, When{Now: now})
	}
	s, leases := m.open(t), &changing{Leases: ls}
	require.True(t, s.Save(t.Context(), 7, leases))
	require.Equal(t, 4, m.writes, "the checkpoint, and three parts")
	require.Equal(t, ls.Save(), saved(t, m, 7))

	require.True(t, s.Save(t.Context(), 7, leases)) // which joins them
	all := m.bytes
	require.True(t, s.Save(t.Context(), 7, leases))
	require.Equal(t, all, m.bytes, "nothing has changed")

	ls.Step(now, Observation{Answers: []Answer{{ID: 5, At: now, TTL: 60, Remaining: 50}}})
	a.Detach(6, "/v", 2)
	ls.Step(now, Observation{Answers: []Answer{{ID: 6, At: now, Remaining: -1}}})
	require.True(t, s.Save(t.Context(), 7, leases))
	require.Less(t, m.bytes-all, 500)
	require.Equal(t, ls.Save(), saved(t, m, 7))

	next := New(2*n, true)
	reopened := m.open(t)
	stored, _ := reopened.Load(t.Context(), 7)
	next.ChangeAll()
	next.Restore(now, stored)
	before := m.bytes
	require.True(t, reopened.Save(t.Context(), 7, &changing{Leases: next}))
	require.Equal(t, before, m.bytes, "what was read is stored")
}

func TestLeasesAreStoredWhileWritesFail(t *testing.T) {
	m, ls, now := &memory{values: map[string][]byte{}}, New(100, true), time.Unix(1, 0).UTC()
	a, s := ls.Under(), m.open(t)
	leases := &changing{Leases: ls}
	for id := range int64(9) {
		a.Attach(id+1, "/v", 1, true, When{Now: now})
		m.fails = id%3 == 1
		leases.stop = func() bool { return id%3 == 2 }
		require.Equal(t, id%3 == 0, s.Save(t.Context(), 7, leases))
	}
	m.fails, leases.stop = false, nil
	require.True(t, s.Save(t.Context(), 7, leases))
	require.Equal(t, ls.Save(), saved(t, m, 7))
}

func TestLeasesOfAnotherClusterAreNotMixed(t *testing.T) {
	m, ls, now := &memory{values: map[string][]byte{}}, New(100, true), time.Unix(1, 0).UTC()
	a, s := ls.Under(), m.open(t)
	leases := &changing{Leases: ls}
	a.Attach(1, "/v", 1, true, When{Now: now})
	require.True(t, s.Save(t.Context(), 7, leases))
	a.Detach(1, "/v", 2)
	ls.Step(now, Observation{Answers: []Answer{{ID: 1, At: now, Remaining: -1}}})
	a.Attach(2, "/w", 3, true, When{Now: now})
	require.True(t, s.Save(t.Context(), 8, leases))
	require.Equal(t, ls.Save(), saved(t, m, 8))
	_, found := m.open(t).Load(t.Context(), 7)
	require.False(t, found)
}

// BenchmarkSaveLeases saves 100,000 leases of which 500 have changed, as in five
// seconds with the budget of 100 requests a second, and all of them as one value.
func BenchmarkSaveLeases(b *testing.B) {
	const n, changed = 100_000, 500
	now := time.Unix(1, 0)
	begin := func() (*memory, *Leases) {
		ls := New(n, true)
		a := ls.Under()
		for id := range int64(n) {
			a.Attach(id+1, "/registry/pods/default/some-pod-of-usual-length", 1, true, When{Now: now})
		}
		return &memory{values: map[string][]byte{}}, ls
	}
	change := func(ls *Leases, i int) {
		for k := range changed {
			ls.Step(now, Observation{Answers: []Answer{{ID: int64((i*changed+k)%n + 1), At: now.Add(time.Duration(i) * time.Second), TTL: 60, Remaining: 50}}})
		}
	}
	report := func(b *testing.B, m *memory, longest time.Duration) {
		b.ReportMetric(float64(m.bytes)/float64(b.N), "written-B/save")
		b.ReportMetric(float64(longest.Microseconds())/1000, "longest-lock-ms")
	}
	b.Run("changes", func(b *testing.B) {
		m, ls := begin()
		s, leases := m.open(b), &changing{Leases: ls}
		require.True(b, s.Save(b.Context(), 7, leases))
		m.bytes, leases.longest = 0, 0
		for i := 0; b.Loop(); i++ {
			change(ls, i)
			require.True(b, s.Save(b.Context(), 7, leases))
		}
		report(b, m, leases.longest)
	})
	b.Run("all", func(b *testing.B) {
		m, ls := begin()
		s := m.open(b)
		var longest time.Duration
		for i := 0; b.Loop(); i++ {
			change(ls, i)
			began := time.Now()
			all := ls.Save()
			longest = max(longest, time.Since(began))
			require.NoError(b, s.checkpoint().Save(b.Context(), Checkpoint{Cluster: 7, Leases: all}))
		}
		report(b, m, longest)
	})
}
