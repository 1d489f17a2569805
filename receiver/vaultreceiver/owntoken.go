// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// What is asked of the token itself.
const (
	endpointLookup = "auth/token/lookup-self"
	endpointRenew  = "auth/token/renew-self"
)

// saysInvalid is how Vault denies any request with a token that it does not
// know, rather than one that may not do something.
const saysInvalid = "invalid token"

// maxDenial is how much of a denial is read.
const maxDenial = 64 << 10

var (
	errInvalidToken = errors.New("the token is not or no longer valid")

	// errDenied is the error of a request that a valid token may not make.
	errDenied = errors.New("status 403")
)

// explainDenial says whether a token is to be replaced, or given a capability.
func explainDenial(endpoint, needs, said string) error {
	if strings.Contains(said, saysInvalid) {
		return &refusal{endpoint: endpoint, said: "status 403: " + said, status: http.StatusForbidden, denial: errInvalidToken}
	}
	said += fmt.Sprintf(" (the token needs %s on %s)", needs, endpoint)
	return &refusal{endpoint: endpoint, said: said, status: http.StatusForbidden, denial: errDenied}
}

// overhear nudges when a request is denied because of its token.
func (s *session) overhear(response *api.Response) {
	if response.StatusCode != http.StatusForbidden {
		return
	}
	said, _ := io.ReadAll(io.LimitReader(response.Body, maxDenial)) // what there is of it
	_ = response.Body.Close()                                       // It was read.
	response.Body = io.NopCloser(bytes.NewReader(said))
	if bytes.Contains(said, []byte(saysInvalid)) {
		s.nudge()
	}
}

// look looks the token up, to know its end and whether it works.
func (s *session) look(ctx context.Context) error {
	token, err := s.Read()
	if err != nil {
		s.report(endpointLookup, err)
		return err
	}
	s.looked = id(token)
	var answer struct {
		Data struct {
			TTL       *int64 `json:"ttl" answer:"required"`
			Period    int64
			Renewable bool
			Until     time.Time `json:"expire_time"` // null: it has no end
		} `json:"data"`
	}
	now := time.Now()
	err = s.client.get(ctx, s.client.as(token), endpointLookup, nil, &answer)
	if errors.Is(err, errSealed) { // since a moment ago
		return err
	}
	s.report(endpointLookup, err)
	switch {
	case err == nil:
		data := answer.Data
		ttl := time.Duration(*data.TTL) * time.Second
		if s.method == nil {
			s.life = givenLife(now, ttl, time.Duration(data.Period)*time.Second, data.Renewable && s.fixed != s.looked)
		}
		s.accept(token, now, ttl, data.Until)
		return nil
	case errors.Is(err, errInvalidToken):
		s.lose()
		return nil
	case errors.Is(err, errDenied): // It may not be looked up, but works.
		s.adopt(state.OwnToken{ID: s.looked, Renewals: s.renewals, Kept: s.life.Longest})
		return nil
	default:
		return err
	}
}

// givenLife is that of a token that the receiver has not logged in for. A
// periodic one is for a service that renews it; any other is left to its owner.
func givenLife(now time.Time, ttl, period time.Duration, renewable bool) state.OwnLife {
	if period == 0 || !renewable {
		return state.OwnLife{}
	}
	return state.OwnLife{}.Given(now.Add(ttl-period), period, true)
}

// lose takes in that the token is not valid.
func (s *session) lose() {
	s.life = state.OwnLife{}
	if s.method != nil {
		s.use("")
	}
	s.see(func(before state.OwnSight) state.OwnSight { return before.Deny(state.InvalidToken) })
}

// renew renews the token. What Vault does not renew is not asked for again.
func (s *session) renew(ctx context.Context) error {
	token, err := s.Read()
	if err != nil {
		return err
	}
	now := time.Now()
	var answer struct {
		Auth struct {
			ClientToken   string `json:"client_token" answer:"required"`
			LeaseDuration *int64 `json:"lease_duration" answer:"required"`
			Renewable     bool
		} `json:"auth"`
	}
	response, err := s.client.as(token).write(ctx, endpointRenew, []byte("{}"))
	_, err = take(endpointRenew, "update", response, err, &answer)
	s.client.requests.Count(endpointRenew, err)
	status := refusedWith(err)
	switch {
	case errors.Is(err, errSealed): // since a moment ago
		return err
	case errors.Is(err, errInvalidToken):
		s.lose()
		return nil
	case status != 0 && status < http.StatusInternalServerError:
		s.life.Renewable = false
		s.fixed = id(token)
		if s.method == nil { // else it logs in anew
			s.report(endpointRenew, err)
		}
		return nil
	case err != nil:
		s.report(endpointRenew, err)
		return err
	}
	s.report(endpointRenew, nil)
	s.renewals++
	ttl := time.Duration(*answer.Auth.LeaseDuration) * time.Second
	s.life = s.life.Given(now, ttl, answer.Auth.Renewable)
	s.accept(token, now, ttl, time.Time{})
	return nil
}

// record records the end of the token.
func (s *session) record(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
	if sight, _ := s.Sight(); s.cfg.Enabled {
		telemetry.RecordOwnToken(mb, now, s.source, sight)
	}
}

// tell tells what happens to the token until ctx ends.
func (w *watcher) tell(ctx context.Context) {
	s := w.client.session
	if !s.configured() || !s.cfg.Enabled {
		return
	}
	var story state.OwnStory
	var changed <-chan struct{}
	watch.Loop[state.OwnSight]{
		Next: func(ctx context.Context) (state.OwnSight, error) {
			if changed != nil {
				select {
				case <-ctx.Done():
					return state.OwnSight{}, ctx.Err()
				case <-changed:
				}
			}
			var sight state.OwnSight
			sight, changed = s.Sight()
			return sight, nil
		},
		Step: func(now time.Time, sight state.OwnSight) watch.Telemetry {
			s.mu.Lock()
			cluster := s.cluster
			s.mu.Unlock()
			res := resource(metadata.NewResourceBuilder(w.cfg.Events.ResourceAttributes), w.cfg.HTTP.Endpoint, cluster)
			return w.story.RenderOwnToken(now, s.source, res, story.Step(now, sight, s.cfg.ExpiryWarning))
		},
		Delivery:  w.Delivery(),
		Condition: func(error) {}, // The session reports its own.
	}.Run(ctx)
}
