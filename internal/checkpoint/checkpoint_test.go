// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"golang.org/x/sync/errgroup"
)

type state struct {
	Index    uint64
	Services map[string]string
	Key      []byte
}

var (
	fileStorage = component.MustNewID("file_storage")
	receiver    = component.MustNewIDWithName("consul", "eu")
)

// host runs one extension: file_storage, which counts what is written.
type host struct {
	storage.Extension

	mu     sync.Mutex
	writes int
	refuse error // what a write that was done returns
	dieAt  int   // the writes that one Batch does, one by one, before it fails; 0: all, at once
}

func (h *host) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{fileStorage: h}
}

func (h *host) GetClient(ctx context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	client, err := h.Extension.GetClient(ctx, kind, id, name)
	return countingClient{client, h}, err
}

type countingClient struct {
	storage.Client

	host *host
}

func (c countingClient) Batch(ctx context.Context, ops ...*storage.Operation) error {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	c.host.writes++
	if c.host.dieAt > 0 {
		n := min(c.host.dieAt, len(ops))
		for _, op := range ops[:n] {
			if err := c.Client.Batch(ctx, op); err != nil {
				return err
			}
		}
		return errors.New("killed")
	}
	return errors.Join(c.Client.Batch(ctx, ops...), c.host.refuse)
}

func newHost(t *testing.T) *host {
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = t.TempDir()
	extension, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), config)
	require.NoError(t, err)
	require.NoError(t, extension.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, extension.Shutdown(context.Background())) })
	return &host{Extension: extension.(storage.Extension)}
}

func open(t *testing.T, host component.Host) *Store {
	store, err := Open(t.Context(), host, &fileStorage, component.KindReceiver, receiver, "checks")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return store
}

func TestStateOutlivesARestart(t *testing.T) {
	host := newHost(t)
	saved := state{Index: 7, Services: map[string]string{"web": "passing", "db": "critical"}, Key: []byte("\xff/lock")}

	store := open(t, host)
	loaded := state{Index: 1}
	found, err := store.Load(t.Context(), "services", &loaded)
	require.NoError(t, err)
	assert.False(t, found)
	assert.Equal(t, state{Index: 1}, loaded)
	require.NoError(t, store.Save(t.Context(), "services", saved))
	require.NoError(t, store.Close(t.Context()))

	store = open(t, host)
	loaded = state{Services: map[string]string{"not": "merged"}}
	found, err = store.Load(t.Context(), "services", &loaded)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, saved, loaded)
}

func TestAnUnchangedStateIsNotWritten(t *testing.T) {
	host := newHost(t)
	first, second := state{Services: map[string]string{"a": "1", "b": "2"}}, state{Index: 2}

	store := open(t, host)
	require.NoError(t, store.Save(t.Context(), "services", first))
	require.NoError(t, store.Save(t.Context(), "services", first))
	assert.Equal(t, 1, host.writes)
	require.NoError(t, store.Save(t.Context(), "nodes", first))
	assert.Equal(t, 2, host.writes, "another key")
	require.NoError(t, store.Close(t.Context()))

	store = open(t, host)
	var loaded state
	_, err := store.Load(t.Context(), "services", &loaded)
	require.NoError(t, err)
	require.NoError(t, store.Save(t.Context(), "services", loaded))
	assert.Equal(t, 2, host.writes, "it is what was loaded")
	require.NoError(t, store.Save(t.Context(), "services", second))
	require.NoError(t, store.Save(t.Context(), "services", first))
	assert.Equal(t, 4, host.writes)
}

func TestAfterAWriteThatFailedTheNextIsDone(t *testing.T) {
	host := newHost(t)
	store := open(t, host)
	require.NoError(t, store.Save(t.Context(), "services", 1))
	host.refuse = errors.New("deadline exceeded")
	require.EqualError(t, store.Save(t.Context(), "services", 2),
		"services cannot be saved in storage file_storage, check its space and permissions: deadline exceeded")
	host.refuse = nil
	require.NoError(t, store.Save(t.Context(), "services", 1))

	var loaded int
	_, err := store.Load(t.Context(), "services", &loaded)
	require.NoError(t, err)
	assert.Equal(t, 1, loaded)
}

func TestWhatCannotBeDecodedIsAsIfNotFound(t *testing.T) {
	host := newHost(t)
	store := open(t, host)
	for name, older := range map[string]string{
		"another type": `{"Services":{"web":"passing"},"Index":"7"}`,
		"cut off":      `{"Services":{"web":"pas`,
		"empty":        ``,
	} {
		require.NoError(t, store.client.Set(t.Context(), name, []byte(older)))
		loaded := state{Index: 1}
		found, err := store.Load(t.Context(), name, &loaded)
		require.ErrorContains(t, err, name+" in storage file_storage cannot be decoded")
		assert.False(t, found)
		assert.Equal(t, state{Index: 1}, loaded, "nothing of it is taken")

		require.NoError(t, store.Save(t.Context(), name, state{Index: 2}))
		found, err = store.Load(t.Context(), name, &loaded)
		require.NoError(t, err)
		assert.True(t, found)
		assert.Equal(t, state{Index: 2}, loaded)
	}
}

func TestWithoutStorageNothingIsKept(t *testing.T) {
	store, err := Open(t.Context(), componenttest.NewNopHost(), nil, component.KindReceiver, receiver, "")
	require.NoError(t, err)
	for _, store := range []*Store{store, nil} {
		require.NoError(t, store.Save(t.Context(), "services", state{Index: 1}))
		require.NoError(t, store.Save(t.Context(), "never encoded", func() {}))
		var loaded state
		found, err := store.Load(t.Context(), "services", &loaded)
		require.NoError(t, err)
		assert.False(t, found)
		require.NoError(t, store.Close(t.Context()))
	}
}

type notStorage struct {
	component.StartFunc
	component.ShutdownFunc
}

type hostOf map[component.ID]component.Component

func (h hostOf) GetExtensions() map[component.ID]component.Component { return h }

func TestOpenSaysWhatToDo(t *testing.T) {
	absent := component.MustNewIDWithName("file_storage", "absent")
	_, err := Open(t.Context(), newHost(t), &absent, component.KindReceiver, receiver, "")
	require.EqualError(t, err, "storage is file_storage/absent, which does not run: add it under extensions: and to service::extensions")

	health := component.MustNewID("health_check")
	_, err = Open(t.Context(), hostOf{health: notStorage{}}, &health, component.KindReceiver, receiver, "")
	require.EqualError(t, err, "storage is health_check, which is not a storage extension: "+
		"name one, such as file_storage, that is under extensions: and in service::extensions")

	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = t.TempDir()
	extension, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), config)
	require.NoError(t, err)
	require.NoError(t, os.Remove(config.Directory))
	_, err = Open(t.Context(), hostOf{fileStorage: extension}, &fileStorage, component.KindReceiver, receiver, "")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "storage file_storage cannot be opened, check its settings and that no other collector uses it: ")
}

func TestErrorsNameTheStateAndTheStorage(t *testing.T) {
	store := open(t, newHost(t))
	require.ErrorContains(t, store.Save(t.Context(), "services", func() {}), "services cannot be encoded for storage file_storage: ")
	require.NoError(t, store.Close(t.Context()))
	require.ErrorContains(t, store.Save(t.Context(), "services", 1), "services cannot be saved in storage file_storage, check its space and permissions: ")
	_, err := store.Load(t.Context(), "services", new(int))
	require.ErrorContains(t, err, "services cannot be read from storage file_storage, check its settings: ")
}

func TestKeysAreUsedAtTheSameTime(t *testing.T) {
	store := open(t, newHost(t))
	var group errgroup.Group
	for i := range 8 {
		key := strconv.Itoa(i)
		group.Go(func() error {
			for n := range 10 {
				var loaded int
				if err := store.Save(t.Context(), key, i*n); err != nil {
					return err
				}
				if _, err := store.Load(t.Context(), key, &loaded); err != nil {
					return err
				}
				if loaded != i*n {
					return fmt.Errorf("%s: loaded %d, saved %d", key, loaded, i*n)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

// What each lane finds after a restart: its own state, or the common one.
func TestLanesAreEachAtTheirOwnPoint(t *testing.T) {
	host := newHost(t)
	var store *Store
	slot := func() Slot[int] {
		return Slot[int]{Store: store, Key: "health", Report: func(err error) { require.NoError(t, err) }}
	}
	save := func(common int, lanes ...Lane) []string {
		t.Helper()
		same, err := slot().SaveLanes(t.Context(), common, lanes)
		require.NoError(t, err)
		return same
	}
	requireStored := func(common int, own map[string]*int) {
		t.Helper()
		require.NoError(t, store.Close(t.Context()))
		store = open(t, host) // a restart
		found, lanes := slot().LoadLanes(t.Context(), "logs", "traces")
		require.NotNil(t, found)
		assert.Equal(t, common, *found)
		assert.Equal(t, own, lanes)
	}
	of := func(state int) *int { return &state }
	logs, traces := Lane{Name: "logs"}, Lane{Name: "traces"}
	behind := func(l Lane) Lane { l.Behind = true; return l }
	own := func(l Lane, state int) Lane { l.Own = state; return l }

	store = open(t, host)
	require.NoError(t, store.Save(t.Context(), "health", 1)) // as an earlier version did
	requireStored(1, map[string]*int{})
	save(2, logs, traces)
	requireStored(2, map[string]*int{})
	save(3, behind(logs), traces)
	save(4, behind(logs), traces)
	requireStored(4, map[string]*int{"logs": of(2)})
	save(5, behind(logs), traces)
	requireStored(5, map[string]*int{"logs": of(2)})
	save(6, logs, behind(traces))
	requireStored(6, map[string]*int{"traces": of(5)})
	writes := host.writes
	save(6, logs, behind(traces))
	assert.Equal(t, writes, host.writes, "nothing has changed")
	save(7, logs, traces)
	requireStored(7, map[string]*int{})
	assert.Empty(t, save(8, own(logs, 80), traces))
	requireStored(8, map[string]*int{"logs": of(80)})
	assert.Equal(t, []string{"logs"}, save(9, own(logs, 9), behind(traces)))
	requireStored(9, map[string]*int{"traces": of(8)})
	save(9, logs, traces)
	requireStored(9, map[string]*int{})
}

func TestALaneOfWhichNothingWasSavedHasNothing(t *testing.T) {
	store := open(t, newHost(t))
	slot := Slot[int]{Store: store, Key: "health", Report: func(err error) { require.NoError(t, err) }}
	common, own := slot.LoadLanes(t.Context(), "logs")
	assert.Nil(t, common)
	assert.Empty(t, own)
	_, err := slot.SaveLanes(t.Context(), 1, []Lane{{Name: "logs", Behind: true}, {Name: "traces"}})
	require.NoError(t, err)
	common, own = slot.LoadLanes(t.Context(), "logs", "traces")
	require.NotNil(t, common)
	assert.Equal(t, 1, *common)
	assert.Equal(t, map[string]*int{"logs": nil}, own)
}

// A prefix of keys in Consul may end like the name of a lane.
func TestALaneHasNoKeyOfAnotherSlot(t *testing.T) {
	store := open(t, newHost(t))
	of := func(key string) Slot[int] {
		return Slot[int]{Store: store, Key: key, Report: func(err error) { require.NoError(t, err) }}
	}
	for _, state := range []int{1, 2} {
		_, err := of("keys/app").SaveLanes(t.Context(), state, []Lane{{Name: "logs", Behind: state == 2}})
		require.NoError(t, err)
	}
	common, own := of("keys/app/logs").LoadLanes(t.Context(), "logs", "traces")
	assert.Nil(t, common)
	assert.Empty(t, own)
	_, own = of("keys/app").LoadLanes(t.Context(), "logs")
	require.Contains(t, own, "logs")
	assert.Equal(t, 1, *own["logs"])
}

// It knows nothing of the lanes, and has reported what a lane still lacked.
func TestALanesOwnStateEndsWhenAnEarlierVersionHasSaved(t *testing.T) {
	host := newHost(t)
	store := open(t, host)
	slot := func() Slot[int] {
		return Slot[int]{Store: store, Key: "health", Report: func(err error) { require.NoError(t, err) }}
	}
	behind := []Lane{{Name: "logs", Behind: true}, {Name: "traces"}}
	restart := func() (*int, map[string]*int) {
		require.NoError(t, store.Close(t.Context()))
		store = open(t, host)
		return slot().LoadLanes(t.Context(), "logs", "traces")
	}
	for _, state := range []int{1, 2} {
		_, err := slot().SaveLanes(t.Context(), state, behind)
		require.NoError(t, err)
	}
	require.NoError(t, slot().Save(t.Context(), 3)) // as an earlier version does
	common, own := restart()
	assert.Equal(t, 3, *common)
	assert.Empty(t, own)

	_, err := slot().SaveLanes(t.Context(), 4, behind)
	require.NoError(t, err)
	common, own = restart()
	assert.Equal(t, 4, *common)
	require.Contains(t, own, "logs")
	assert.Equal(t, 3, *own["logs"], "it goes on from what the earlier version had")
}

// Where a batch is not done at once. A lane may then go on from an earlier point than it
// was at, but never from a later one, as that would lose what is in between.
func TestWhereverASaveBreaksOffNoLaneGoesOnFromALaterPoint(t *testing.T) {
	const none = -1                         // A lane has the common state.
	for _, before := range []int{none, 5} { // the own state of traces
		for name, traces := range map[string]Lane{
			"behind":        {Name: "traces", Behind: true},
			"apart":         {Name: "traces", Own: 15},
			"caught up":     {Name: "traces", Own: 20},
			"as the common": {Name: "traces"},
		} {
			for dieAt := range 8 {
				host := newHost(t)
				store := open(t, host)
				slot := func() Slot[int] {
					return Slot[int]{Store: store, Key: "health", Report: func(error) {}}
				}
				save := func(common int, lanes ...Lane) { _, _ = slot().SaveLanes(t.Context(), common, lanes) }
				save(5, Lane{Name: "logs"}, Lane{Name: "traces"})
				save(10, Lane{Name: "logs"}, Lane{Name: "traces", Behind: before != none})
				host.dieAt = dieAt
				save(20, Lane{Name: "logs", Behind: true}, traces)
				host.dieAt = 0
				require.NoError(t, store.Close(t.Context()))
				store = open(t, host)
				common, own := slot().LoadLanes(t.Context(), "logs", "traces")
				at := func(lane string) int {
					if state, found := own[lane]; found {
						return *state
					}
					return *common
				}
				assert.Equal(t, 10, at("logs"), "%s, %d of the writes", name, dieAt)
				wasAt := map[int]int{none: 10, 5: 5}[before]
				possible := []int{wasAt, 10}
				switch {
				case traces.Behind:
					possible = []int{wasAt}
				case name == "apart":
					possible = []int{wasAt, 15}
				default:
					possible = append(possible, 20)
				}
				assert.Contains(t, possible, at("traces"), "%s, %d of the writes", name, dieAt)
				if dieAt == 0 {
					assert.Equal(t, possible[len(possible)-1], at("traces"), name)
				}
			}
		}
	}
}

func TestWithoutStorageLanesAreCompared(t *testing.T) {
	var store *Store
	same, err := store.SaveLanes(t.Context(), "health", 1, []Lane{{Name: "logs", Own: 1}, {Name: "traces", Own: 2}})
	require.NoError(t, err)
	assert.Equal(t, []string{"logs"}, same)
	same, err = store.SaveLanes(t.Context(), "health", func() {}, []Lane{{Name: "logs"}})
	require.NoError(t, err, "it is not encoded")
	assert.Empty(t, same)
}
