// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const hour = 3600

// token returns one that ends at a second, by both clocks.
func token(id string, end int) OwnToken {
	return OwnToken{ID: id, Known: true, Expires: at(end), Until: at(end).Add(time.Hour)}
}

// kept returns one that is kept alive in turns of ttl seconds.
func kept(id string, end, ttl, renewals int) OwnToken {
	return OwnToken{ID: id, Known: true, Expires: at(end), Kept: time.Duration(ttl) * time.Second, Renewals: renewals}
}

func renewedHere(t OwnToken, renewals int) OwnToken {
	t.Renewals = renewals
	return t
}

func works(t OwnToken) func(OwnSight) OwnSight {
	return func(s OwnSight) OwnSight { return s.Accept(t) }
}

func fails(why Denial) func(OwnSight) OwnSight {
	return func(s OwnSight) OwnSight { return s.Deny(why) }
}

// both is for what comes between two steps.
func both(changes ...func(OwnSight) OwnSight) func(OwnSight) OwnSight {
	return func(s OwnSight) OwnSight {
		for _, change := range changes {
			s = change(s)
		}
		return s
	}
}

func TestTheStoryOfTheOwnToken(t *testing.T) {
	endless := OwnToken{ID: "a", Known: true}
	for name, tc := range map[string]struct {
		// What is seen, once in 100 seconds. The warning is an hour.
		saw  []func(OwnSight) OwnSight
		want []string
	}{
		"the first token is not news": {
			[]func(OwnSight) OwnSight{works(token("a", 3*hour)), works(token("a", 3*hour))},
			nil,
		},
		"nor is one without an end": {
			[]func(OwnSight) OwnSight{works(endless), works(endless)},
			nil,
		},
		"nothing is known yet": {
			[]func(OwnSight) OwnSight{both(), both()},
			nil,
		},
		"a token that never worked is": {
			[]func(OwnSight) OwnSight{fails(LoginRefused), fails(LoginRefused)},
			[]string{"0: denied login_refused"},
		},
		"a denial is told once until it works again": {
			[]func(OwnSight) OwnSight{
				works(endless), fails(InvalidToken), fails(InvalidToken), fails(LoginRefused),
				works(endless), fails(LoginRefused),
			},
			[]string{"1: denied invalid_token", "5: denied login_refused"},
		},
		"a denial that is over when it is looked at": {
			[]func(OwnSight) OwnSight{works(endless), both(fails(InvalidToken), works(token("b", 9*hour)))},
			[]string{"1: denied invalid_token", "1: replaced, 8h58m20s left"},
		},
		"another token": {
			[]func(OwnSight) OwnSight{works(endless), works(token("b", 9*hour)), works(endless)},
			[]string{"1: replaced, 8h58m20s left", "2: replaced, 0s left"},
		},
		"a renewal by others": {
			[]func(OwnSight) OwnSight{works(token("a", 3*hour)), works(token("a", 4*hour)), works(token("a", 4*hour))},
			[]string{"1: renewed, 3h58m20s left"},
		},
		"an own renewal is told once, whatever Vault says of its end": {
			[]func(OwnSight) OwnSight{
				works(token("a", 3*hour)),
				both(works(kept("a", 4*hour, hour, 1)), works(renewedHere(token("a", 4*hour), 1))),
				works(kept("a", 5*hour, hour, 2)),
				works(renewedHere(token("a", 5*hour), 2)),
			},
			[]string{"1: renewed, 3h58m20s left", "2: renewed, 4h56m40s left"},
		},
		"an end that is near is told once of each token": {
			[]func(OwnSight) OwnSight{
				works(token("a", hour)), works(token("a", hour)), works(token("b", hour)), works(token("b", hour)),
			},
			[]string{"0: expiring, 1h0m0s left", "2: replaced, 56m40s left", "2: expiring, 56m40s left"},
		},
		"a renewal that leaves the end near does not tell it again": {
			[]func(OwnSight) OwnSight{works(token("a", hour)), works(token("a", hour+60)), works(token("a", 2*hour)), works(token("a", 2*hour+60))},
			[]string{
				"0: expiring, 1h0m0s left", "1: renewed, 59m20s left",
				"2: renewed, 1h56m40s left", "3: renewed, 1h56m0s left",
			},
		},
		"an end that was far again is told again": {
			[]func(OwnSight) OwnSight{works(token("a", hour)), works(token("a", 3*hour)), both(), works(token("a", 1000))},
			[]string{"0: expiring, 1h0m0s left", "1: renewed, 2h58m20s left", "3: expiring, 11m40s left"},
		},
		"a token that is kept alive may be short": {
			[]func(OwnSight) OwnSight{works(kept("a", 800, 800, 0)), both(), both(), both(), both(), both(), both()},
			[]string{"6: expiring, 3m20s left"},
		},
		"an end that has passed": {
			[]func(OwnSight) OwnSight{both(), works(token("a", 50))},
			[]string{"1: expiring, 0s left"},
		},
		"a token that may not look itself up": {
			[]func(OwnSight) OwnSight{works(OwnToken{ID: "a"}), works(OwnToken{ID: "a"}), works(OwnToken{ID: "b"})},
			[]string{"2: replaced, 0s left"},
		},
		"what was known of its end stays known": {
			[]func(OwnSight) OwnSight{works(token("a", 3700)), works(OwnToken{ID: "a"})},
			[]string{"1: expiring, 1h0m0s left"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var story OwnStory
			var sight OwnSight
			var told []string
			for i, change := range tc.saw {
				sight = change(sight)
				for _, e := range story.Step(at(i*100), sight, time.Hour) {
					line := fmt.Sprintf("%d: %s", i, e.Event)
					if e.Event == TokenDenied {
						line += " " + string(e.Denial)
					} else {
						line += fmt.Sprintf(", %s left", e.Left)
					}
					told = append(told, line)
				}
			}
			assert.Equal(t, tc.want, told)
		})
	}
}

func TestWhatIsLeftOfTheOwnToken(t *testing.T) {
	for name, tc := range map[string]struct {
		sight OwnSight
		want  time.Duration
		ok    bool
	}{
		"nothing is known":   {OwnSight{}, 0, false},
		"no end":             {OwnSight{}.Accept(OwnToken{ID: "a", Known: true}), 0, false},
		"its end is unknown": {OwnSight{}.Accept(OwnToken{ID: "a"}), 0, false},
		"an end":             {OwnSight{}.Accept(token("a", 160)), time.Minute, true},
		"an end that passed": {OwnSight{}.Accept(token("a", 10)), 0, true},
		"it does not work":   {OwnSight{}.Accept(token("a", 160)).Deny(InvalidToken), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			left, ok := tc.sight.Left(at(100))
			assert.Equal(t, tc.want, left)
			assert.Equal(t, tc.ok, ok)
		})
	}
}

func TestTheLifeOfTheOwnToken(t *testing.T) {
	const minute = time.Minute
	login := OwnLife{LogsIn: true}
	for name, tc := range map[string]struct {
		life OwnLife
		want OwnAction
		at   int
	}{
		"nothing is known":                          {login, Rest, 0},
		"no end":                                    {login.Given(at(0), 0, true), Rest, 0},
		"renewed after two thirds":                  {login.Given(at(0), minute, true), Renew, 40},
		"not renewable, logged in anew":             {login.Given(at(0), minute, false), LogIn, 40},
		"renewed again":                             {login.Given(at(0), minute, true).Given(at(40), minute, true), Renew, 80},
		"near the end that no renewal moves":        {login.Given(at(0), minute, true).Given(at(40), minute/2, true), LogIn, 60},
		"given for a second less":                   {login.Given(at(0), minute, true).Given(at(40), minute-time.Second, true), Renew, 79},
		"of others, periodic":                       {OwnLife{}.Given(at(0), minute, true), Renew, 40},
		"of others, which cannot be renewed":        {OwnLife{}.Given(at(0), minute, false), Rest, 0},
		"of others, near the end that is not moved": {OwnLife{}.Given(at(0), minute, true).Given(at(40), minute/2, true), Rest, 0},
	} {
		t.Run(name, func(t *testing.T) {
			action, due := tc.life.Next()
			assert.Equal(t, tc.want, action)
			if action == Rest {
				assert.Zero(t, due)
			} else {
				assert.Equal(t, at(tc.at).Unix(), due.Unix())
			}
		})
	}
}

// Vault locks an AppRole out for whoever uses it after five wrong logins, of
// which each comes within 15 minutes of the one before.
func TestRefusedLoginsDoNotLockTheRoleOut(t *testing.T) {
	const longest = 16 * time.Minute
	wrong, worst := 1, 1
	for n := 1; n < 10; n++ {
		if RefusedPause(n, longest) > 15*time.Minute {
			wrong = 0
		}
		wrong++
		worst = max(worst, wrong)
	}
	assert.Equal(t, 3, worst)
	assert.Equal(t, 10*time.Second, RefusedPause(1, time.Minute))
	for n := 2; n < 5; n++ {
		assert.Equal(t, time.Minute, RefusedPause(n, time.Minute))
	}
}
