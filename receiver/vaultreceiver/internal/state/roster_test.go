// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var rosterStart = time.Unix(1_000_000, 0)

func after(seconds int) time.Time { return rosterStart.Add(time.Duration(seconds) * time.Second) }

// script drives a Roster, and notes what it tells.
type script struct {
	t    *testing.T
	r    *Roster[string]
	told []string
	last LifeEffect[string]
}

func newScript(t *testing.T, limit int) *script {
	return &script{t: t, r: NewRoster[string](limit, time.Hour, 0)}
}

func (s *script) take(effects []LifeEffect[string]) {
	for _, e := range effects {
		line := []string{"created", "renewed", "expiring", "ended"}[e.Event] + " " + e.Life.ID + " " + strconv.Itoa(int(e.At.Sub(rosterStart).Seconds()))
		if e.Event == LifeEnded {
			line += " " + []string{"unknown", "revoked", "expired"}[e.Life.Cause] + " " + []string{"none", "likely", "certain"}[e.Life.Confidence]
		}
		if e.Reconciled {
			line += " reconciled"
		}
		s.told = append(s.told, line)
		s.last = e
	}
}

func (s *script) list(at int, gap bool, ids ...string) {
	s.r.Begin("p")
	for _, id := range ids {
		s.r.See(after(at), "p", id, gap)
	}
	s.take(s.r.Finish(after(at), "p", gap))
}

func (s *script) due(at int, want string) {
	s.t.Helper()
	id, _ := s.r.Due(after(at))
	require.Equal(s.t, want, id)
}

// answer is of one that was issued at a time, and renewed at another unless that
// is below 0, and expires at one, unless that is below 0.
func (s *script) answer(at int, id string, issued, renewed, expires int, renewable bool) {
	f := Facts{Issued: after(issued), Renewable: renewable}
	if renewed >= 0 {
		f.Renewed = after(renewed)
	}
	if expires >= 0 {
		f.Expires = after(expires)
		f.Left = time.Duration(expires-at) * time.Second
	}
	s.take(s.r.Answer(after(at), after(at), id, f, new("detail")))
}

func (s *script) require(told ...string) {
	s.t.Helper()
	require.Equal(s.t, told, s.told)
	s.told = nil
}

func TestTheBaselineIsNoNewsAndWhatComesAfterItIs(t *testing.T) {
	s := newScript(t, 10)
	s.list(0, false, "a", "b")
	s.due(0, "a")
	s.answer(1, "a", -50, -1, 1000, false)
	s.due(1, "b")
	s.list(60, false, "a", "b", "c")
	s.due(60, "c") // before the baseline
	s.answer(61, "c", 42, -1, 1042, false)
	s.require("created c 42")
	assert.Equal(t, 1000*time.Second, s.last.Life.TTL)
	s.due(61, "b")
	s.answer(62, "b", -50, -1, -1, false)
	s.due(700, "")
	s.list(70, false, "b", "c")
	s.require("ended a 70 revoked certain")
	assert.Equal(t, after(-50), s.last.Life.Start(), "its true start is known")
	assert.False(t, s.last.Life.BeganBefore)
	s.list(80, false)
	s.require("ended b 80 revoked certain", "ended c 80 revoked certain")
}

func TestAPartOfAListEndsNothing(t *testing.T) {
	s := newScript(t, 10)
	s.list(0, false, "a", "b")
	s.r.Begin("p")
	s.r.See(after(10), "p", "a", false) // and then it failed
	s.r.Begin("other")
	s.take(s.r.Finish(after(11), "other", false))
	s.require()
	s.list(20, false, "a", "b", "c")
	s.list(30, false, "a")
	s.require("ended b 30 unknown none", "created c 20 reconciled", "ended c 30 unknown none")
	s.take(s.r.Finish(after(31), "p", false))
	s.require()
}

func TestWhyOneEnded(t *testing.T) {
	for name, test := range map[string]struct {
		play func(s *script)
		want []string
	}{
		"never read":                    {func(s *script) { s.list(10, false) }, []string{"ended a 10 unknown none"}},
		"before its end":                {func(s *script) { s.answer(1, "a", 0, -1, 100, false); s.list(50, false) }, []string{"ended a 50 revoked certain"}},
		"before its end, renewable":     {func(s *script) { s.answer(1, "a", 0, -1, 100, true); s.list(50, false) }, []string{"ended a 50 revoked likely"}},
		"so short before that clocks":   {func(s *script) { s.answer(1, "a", 0, -1, 100, false); s.list(99, false) }, []string{"ended a 100 expired likely"}},
		"after its end":                 {func(s *script) { s.answer(1, "a", 0, -1, 100, false); s.list(130, false) }, []string{"ended a 100 expired likely"}},
		"never to end":                  {func(s *script) { s.answer(1, "a", 0, -1, -1, false); s.list(130, false) }, []string{"ended a 130 revoked certain"}},
		"after its end, not asked":      {func(s *script) { s.answer(1, "a", 0, -1, 100, true); s.list(130, false) }, []string{"ended a 130 unknown none"}},
		"nobody looked":                 {func(s *script) { s.answer(1, "a", 0, -1, 100, true); s.list(130, true) }, []string{"ended a 130 unknown none reconciled"}},
		"found out by asking":           {func(s *script) { s.answer(1, "a", 0, -1, 100, true); s.take(s.r.Gone(after(75), "a")) }, []string{"ended a 75 revoked likely"}},
		"it was there after it":         {func(s *script) { s.answer(1, "a", 0, -1, 100, false); s.list(103, false, "a"); s.list(160, false) }, []string{"ended a 100 expired certain"}},
		"it was there, but may be more": {func(s *script) { s.answer(1, "a", 0, -1, 100, true); s.list(103, false, "a"); s.list(160, false) }, []string{"ended a 160 unknown none"}},
		"asked for shortly before": {func(s *script) {
			s.answer(1, "a", 0, -1, 100, true)
			s.due(74, "")
			s.due(75, "a")
			s.answer(75, "a", 0, -1, 100, true)
			s.list(103, false)
		}, []string{"expiring a 75", "ended a 100 expired likely"}},
		"asked for after it": {func(s *script) {
			s.answer(1, "a", 0, -1, 100, true)
			s.answer(75, "a", 0, -1, 100, true)
			s.due(103, "")
			s.list(103, false, "a")
			s.due(103, "a")
			s.answer(104, "a", 0, -1, 100, false)
			s.list(110, false, "a")
			s.due(1000, "")
			s.list(120, false)
		}, []string{"expiring a 75", "ended a 100 expired certain"}},
		"while it was being revoked": {func(s *script) {
			s.answer(1, "a", 0, -1, 100, true)
			s.answer(75, "a", 0, -1, 74, false)
			s.due(1000, "")
			s.list(103, false)
		}, []string{"ended a 74 revoked certain"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, 10)
			s.list(0, false, "a")
			test.play(s)
			s.require(test.want...)
			assert.Empty(t, s.r.known)
			s.due(10_000, "")
		})
	}
}

func TestOneEndsWhenItsFolderIsReadAndNotWhenTheListIsMade(t *testing.T) {
	for name, test := range map[string]struct {
		limit int
		read  func(s *script)
		want  string
	}{
		"before its end":          {9, func(s *script) { s.read(50, "a/", "a/b/") }, "ended a/b/c 50 revoked certain"},
		"its folder is gone, too": {9, func(s *script) { s.read(50, "a/"); s.read(60, "a/d/") }, "ended a/b/c 50 revoked certain"},
		"there are no folders":    {9, func(s *script) { s.read(50, "") }, "ended a/b/c 50 revoked certain"},
		"after its end":           {9, func(s *script) { s.read(50, "a/"); s.read(130, "a/b/") }, "ended a/b/c 100 expired likely"},
		"there are too many":      {1, func(s *script) { s.read(50, "a/", "a/b/") }, "ended a/b/c 100 expired likely"},
		"none is known":           {9, func(*script) {}, "ended a/b/c 100 expired likely"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, test.limit)
			s.r.Begin("p")
			s.read(0, "a/", "a/b/")
			s.r.See(after(0), "p", "a/b/c", false)
			s.take(s.r.Finish(after(0), "p", false))
			s.answer(1, "a/b/c", 0, -1, 100, false)
			s.r.Begin("p")
			test.read(s)
			s.take(s.r.Finish(after(300), "p", false))
			s.require(test.want)
		})
	}
}

func (s *script) read(at int, folders ...string) {
	for _, folder := range folders {
		s.r.Read(after(at), "p", folder)
	}
}

func TestARenewalIsToldWithItsTimeAndPutsOffTheEnd(t *testing.T) {
	s := newScript(t, 10)
	s.list(0, false, "a")
	s.answer(1, "a", 0, -1, 100, true)
	s.answer(75, "a", 0, 66, 166, true)
	s.require("renewed a 66")
	s.due(140, "")
	s.due(141, "a")
	s.answer(141, "a", 0, 66, 166, true)
	s.require("expiring a 141")
	s.due(165, "")
	s.list(170, false, "a")
	s.due(170, "a")
	s.answer(170, "a", 0, 160, 460, true) // just in time
	s.require("renewed a 160")
	s.due(384, "")
	s.answer(385, "a", 0, 160, 460, true)
	s.require("expiring a 385")
	s.list(470, false)
	s.require("ended a 460 expired likely")
	assert.Equal(t, []Renewal{{after(66), 100 * time.Second}, {after(160), 300 * time.Second}}, s.last.Life.Renewals)
	assert.Equal(t, 100*time.Second, s.last.Life.TTL)
}

func TestARenewalBeforeTheBaselineIsNoNews(t *testing.T) {
	s := newScript(t, 10)
	s.list(0, false, "a")
	s.answer(1, "a", -100, -10, 100, true)
	s.require()
	s.list(2, false, "a", "b")
	s.answer(3, "b", 1, 2, 102, true)
	s.require("created b 1", "renewed b 2")
	assert.Zero(t, s.last.Life.TTL, "how long it was issued for is not known any more")
}

func TestTheNewestRenewalsAreRemembered(t *testing.T) {
	s := newScript(t, 10)
	s.list(0, false, "a")
	s.answer(1, "a", 0, -1, 100, true)
	for i := range maxRenewals + 3 {
		s.answer(10+i, "a", 0, 10+i, 110+i, true)
	}
	s.list(50, false)
	assert.Len(t, s.last.Life.Renewals, maxRenewals)
	assert.Equal(t, 3, s.last.Life.DroppedRenewals)
	assert.Equal(t, after(10+maxRenewals+2), s.last.Life.Renewals[maxRenewals-1].At)
}

func TestWhatIsNewIsLeftAloneToSettle(t *testing.T) {
	s := newScript(t, 10)
	s.r = NewRoster[string](10, time.Hour, 5*time.Second)
	s.list(0, false, "a")
	s.list(2, false, "a", "b")
	s.due(4, "")
	s.due(5, "a")
	s.answer(5, "a", 0, -1, -1, false)
	s.due(6, "")
	s.due(7, "b")
	s.r.Silent(after(7), "b")
	s.due(11, "")
	s.due(12, "b")
}

func TestWhatCannotBeAskedForIsLeftAlone(t *testing.T) {
	s := newScript(t, 10)
	s.list(0, false, "a", "b")
	s.r.Failed(after(1), "a")
	s.due(1, "b")
	s.r.Failed(after(1), "b")
	s.due(60, "")
	s.due(61, "a")
}

func TestWhatIsListedInSilenceIsAskedForEverMoreSeldom(t *testing.T) {
	s := newScript(t, 10)
	s.list(0, false, "a")
	s.due(0, "a")
	s.r.Silent(after(0), "a")
	s.due(0, "")
	for at, pause := 1, 1; at < 20_000; at, pause = at+pause, min(at+pause, 3600) {
		s.r.Silent(after(at), "a")
		s.due(at+pause-1, "")
		s.due(at+pause, "a")
	}
	s.list(20_000, false)
	s.require("ended a 20000 unknown none")
	s.r.Silent(after(20_000), "a")
	s.due(30_000, "")
}

func TestOneThatIsFoundGoneDuringAListDoesNotComeBack(t *testing.T) {
	s := newScript(t, 10)
	s.list(0, false, "a")
	s.r.Begin("p")
	s.take(s.r.Gone(after(1), "a"))
	s.require("ended a 1 unknown none")
	s.r.See(after(1), "p", "a", false) // answered before
	s.take(s.r.Finish(after(2), "p", false))
	s.require()
	s.due(10, "")
	s.list(3, false, "a") // It really is there again.
	s.due(3, "a")
}

func TestTheLimit(t *testing.T) {
	s := newScript(t, 2)
	s.list(0, false, "a", "b", "c")
	counts := s.r.Count(after(0), func(string, string) string { return "m" })
	assert.Equal(t, RosterCounts{Followed: map[Standing]int64{}, Groups: map[string]int64{"m": 2}, Unread: 2, Unfollowed: 1}, counts)
	s.answer(1, "a", -5, -1, -1, false)
	s.answer(1, "b", -5, -1, 31, false)
	s.list(40, false, "a", "c", "d")
	s.require("ended b 31 expired likely")
	s.list(50, false, "a", "c", "d")
	s.answer(50, "c", -3, -1, 1000, false)
	s.require()
	s.list(60, false, "a", "d")
	s.require("ended c 60 revoked certain")
	s.list(70, false, "a", "d")
	s.answer(70, "d", 35, -1, 1000, false)
	s.require("created d 35")
	counts = s.r.Count(after(71), func(string, string) string { return "m" })
	assert.Equal(t, RosterCounts{Followed: map[Standing]int64{{"m", ExpiryNever}: 1, {"m", ExpiryHour}: 1}, Groups: map[string]int64{"m": 2}}, counts)
}

func TestExpiryOf(t *testing.T) {
	for left, want := range map[time.Duration]Expiry{
		-time.Second: ExpiryPassed, 0: ExpiryPassed, 1: ExpiryMinute, time.Minute: ExpiryMinute, time.Minute + 1: ExpiryTenMinutes,
		time.Hour: ExpiryHour, 24 * time.Hour: ExpiryDay, 7 * 24 * time.Hour: ExpiryWeek, 8 * 24 * time.Hour: ExpiryLater,
	} {
		assert.Equal(t, want, ExpiryOf(left), left)
	}
}

// restart goes on in another process.
func (s *script) restart(limit int, parts ...string) {
	s.t.Helper()
	stored, err := json.Marshal(s.r.Save())
	require.NoError(s.t, err)
	var saved SavedRoster[string]
	require.NoError(s.t, json.Unmarshal(stored, &saved))
	s.r = NewRoster[string](limit, time.Hour, 0)
	s.r.Restore(saved, parts...)
}

func TestWhatHappenedBetweenTwoProcesses(t *testing.T) {
	s := newScript(t, 20)
	s.list(0, false, "bound", "forever", "renewable", "stays", "unread", "warned")
	s.answer(1, "bound", 0, -1, 100, false)
	s.answer(1, "forever", 0, -1, -1, false)
	s.answer(1, "renewable", 0, -1, 100, true)
	s.answer(1, "stays", 0, -1, 1000, true)
	s.answer(80, "warned", 0, -1, 100, true)
	s.list(81, false, "bound", "forever", "renewable", "stays", "unread", "warned", "untold")
	s.require("expiring warned 80")
	s.restart(20, "p")
	s.list(200, true, "stays", "new", "untold")
	s.require("ended bound 100 expired likely reconciled", "ended forever 200 revoked certain reconciled",
		"ended renewable 200 unknown none reconciled", "ended unread 200 unknown none reconciled", "ended warned 200 unknown none reconciled")
	s.answer(201, "new", 150, -1, 1150, false)
	s.require("created new 150 reconciled")
	s.answer(201, "untold", 70, -1, 1070, false)
	s.require("created untold 70")
	s.list(220, false, "new", "untold")
	s.require("ended stays 220 revoked likely")
	s.due(749, "")
}

func TestTheVersionTellsWhetherThereIsSomethingToSave(t *testing.T) {
	s := newScript(t, 20)
	s.list(0, false, "a", "b")
	s.answer(1, "a", 0, -1, 100, false)
	s.list(2, false, "a", "b")
	before, version := s.r.Save(), s.r.Version()
	s.list(3, false, "a", "b")
	s.due(3, "b")
	s.r.Change("a", func(*string) bool { return false })
	assert.Equal(t, before, s.r.Save())
	assert.Equal(t, version, s.r.Version())
	for name, change := range []func(){
		func() { s.list(4, false, "a", "b", "c") },
		func() { s.answer(5, "c", 4, -1, 100, false) },
		func() { s.r.Failed(after(6), "b") },
		func() { s.r.Change("a", func(detail *string) bool { *detail = "other"; return true }) },
		func() { s.list(110, false, "a", "b", "c") },
		func() { s.list(111, false, "b", "c") },
		func() { s.r.Gone(after(112), "b") },
	} {
		before, version := s.r.Save(), s.r.Version()
		change()
		require.NotEqual(t, before, s.r.Save(), name)
		require.NotEqual(t, version, s.r.Version(), name)
	}
}

func TestAPartThatIsNewBeginsWithABaseline(t *testing.T) {
	s := newScript(t, 20)
	s.list(0, false, "a", "b", "c")
	s.restart(2, "p", "q")
	s.r.Begin("q")
	s.r.See(after(10), "q", "d", true)
	s.take(s.r.Finish(after(10), "q", true))
	s.require()
	assert.Equal(t, int64(2), s.r.Count(after(10), func(string, string) string { return "" }).Unfollowed, "the limit is lower, too")
	s.restart(20, "q")
	assert.Empty(t, s.r.known)
}

// FuzzRoster checks that whatever is listed and answered, each is told to be
// created and to end at most once, in that order, and that the counts are right.
func FuzzRoster(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	f.Add([]byte("list and answer and list again, for long enough that something ends"))
	f.Fuzz(func(t *testing.T, script []byte) {
		r := NewRoster[int](5, time.Hour, 0)
		now := rosterStart
		lives := map[string]bool{} // is told to be there
		parts := []string{"p", "q"}
		take := func(effects []LifeEffect[int]) {
			for _, e := range effects {
				switch e.Event {
				case LifeCreated:
					require.False(t, lives[e.Life.ID], "it is there already")
					lives[e.Life.ID] = true
				case LifeEnded:
					delete(lives, e.Life.ID)
					require.NotContains(t, r.known, e.Life.ID)
					require.Equal(t, e.Life.Cause == EndUnknown, e.Life.Confidence == NotConfident)
					require.False(t, e.Life.Ended.IsZero())
				default:
					require.True(t, e.Life.Read)
				}
			}
		}
		for i := 0; i+2 < len(script); i += 3 {
			what, a, b := script[i], script[i+1], script[i+2]
			now = now.Add(time.Duration(b) * time.Second / 4)
			name := parts[int(a)%2]
			id := fmt.Sprint(name, int(a)%14)
			switch what % 10 {
			case 0, 1:
				r.Begin(name)
			case 2, 3, 4:
				if r.part(name).listing {
					r.Read(now, name, name[:int(b)%2])
					r.See(now, name, id, b%2 == 0)
				}
			case 5:
				take(r.Finish(now, name, b%2 == 0))
			case 6, 7:
				due, ok := r.Due(now)
				if !ok {
					due = id
				}
				facts := Facts{Issued: rosterStart.Add(time.Duration(b) * time.Second), Renewable: b%2 == 0, Left: time.Duration(int(a)-100) * time.Second}
				if a%5 > 0 {
					facts.Expires = now.Add(facts.Left)
				}
				if b%3 == 0 {
					facts.Renewed = facts.Issued.Add(time.Duration(a) * time.Second)
				}
				take(r.Answer(now, now.Add(time.Duration(a)*time.Millisecond), due, facts, new(int(a))))
			case 8:
				take(r.Gone(now, id))
				r.Failed(now, fmt.Sprint(name, int(b)%14))
				r.Silent(now, fmt.Sprint(name, int(b)%13))
			case 9:
				saved := r.Save()
				r = NewRoster[int](5, time.Hour, 0)
				r.Restore(saved, parts[:1+a%2]...)
				for id := range lives {
					if _, known := r.known[id]; !known {
						delete(lives, id)
					}
				}
			}
			counts := r.Count(now, func(string, int) string { return "" })
			read := int64(0)
			for _, n := range counts.Followed {
				read += n
			}
			require.Equal(t, counts.Groups[""], read+counts.Unread)
			require.LessOrEqual(t, counts.Groups[""], int64(5))
			require.GreaterOrEqual(t, min(counts.Unread, counts.Unfollowed), int64(0))
			for queue, d := range []dues[int]{r.soon, r.later} {
				for at, l := range d {
					require.Equal(t, at, int(l.index))
					require.NotZero(t, l.due)
					require.Equal(t, queue == 1, l.waits)
					require.Same(t, l, r.known[l.id])
				}
			}
		}
	})
}

// What one takes in memory.
func BenchmarkRoster(b *testing.B) {
	const many = 20_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	ids := make([]string, many)
	for i := range ids {
		ids[i] = fmt.Sprintf("auth/userpass/login/ann/h%064d", i)
	}
	before := heap()
	r := NewRoster[struct{}](many, time.Hour, 0)
	now := rosterStart
	list := func() {
		r.Begin("auth/userpass")
		for _, id := range ids {
			r.See(now, "auth/userpass", id, false)
		}
		r.Finish(now, "auth/userpass", false)
	}
	list()
	for id, ok := r.Due(now); ok; id, ok = r.Due(now) {
		r.Answer(now, now, id, Facts{Issued: now, Expires: now.Add(time.Hour), Left: time.Hour, Renewable: true}, nil)
	}
	size := float64(heap()-before) / many
	for b.Loop() {
		list()
	}
	b.ReportMetric(size, "heap-B/lease")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/listed")
	runtime.KeepAlive(r)
}
