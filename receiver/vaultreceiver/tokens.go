// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	endpointAccessors = "auth/token/accessors"
	endpointToken     = "auth/token/lookup-accessor"

	// saysNoToken is how Vault says that there is no token with the accessor.
	saysNoToken = "invalid accessor"

	// noAccessor is one that no token has.
	noAccessor = "none"
)

// tokens follows the tokens by their accessors, of which Vault has one list. The
// accessors are kept in memory alone.
type tokens struct {
	*follower[state.Token]
	warnings *state.Warnings
}

func newTokens(w *watcher) domain {
	t := &tokens{warnings: state.NewWarnings(w.cfg.Tokens.Limit)}
	t.follower = newFollower(w, w.cfg.Tokens.FollowConfig, subject[state.Token]{
		parts: []string{""}, lookup: endpointToken, stored: "tokens", secret: true, settle: w.cfg.Tokens.LookupDelay,
		list: func(string) string { return endpointAccessors },
		walk: func(ctx context.Context, _ string, see func(string, []string)) error { return t.walk(ctx, see) },
		look: t.look, news: t.warnings.Take,
		tell: func(observed time.Time, effects []state.TokenEffect) watch.Telemetry {
			return w.story.RenderTokens(observed, w.resource(), w.mounts(), effects)
		},
		more: func() any { return t.warnings.Save(time.Now()) },
		resume: func(more json.RawMessage) {
			var saved state.SavedWarnings
			_ = json.Unmarshal(more, &saved) // What cannot be read is told again.
			t.warnings.Restore(time.Now(), saved)
		},
	})
	return t
}

func (t *tokens) walk(ctx context.Context, see func(folder string, accessors []string)) error {
	if err := t.pace.Wait(ctx); err != nil {
		return err
	}
	accessors, err := t.w.client.list(ctx, call{endpoint: endpointAccessors, needs: "sudo and list"})
	if err == nil {
		see("", accessors)
	}
	return err
}

func (t *tokens) record(mb *metadata.MetricsBuilder, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current(now) {
		mounts := t.w.mounts()
		telemetry.RecordTokenCounts(mb, pcommon.NewTimestampFromTime(now),
			t.roster.Count(now, func(_ string, token state.Token) string { return token.Mount(mounts) }))
	}
}

// look asks for a token. That of a token which is being revoked, or was lost while
// its accessor was not, is denied just like one that the policy does not allow. So
// what the policy allows is found out with another.
func (t *tokens) look(ctx context.Context, accessor string) (state.Facts, *state.Token, error) {
	facts, token, err := t.w.client.Token(ctx, accessor)
	if !errors.Is(err, errDenied) || t.pace.Wait(ctx) != nil {
		return facts, token, err
	}
	if _, _, denied := t.w.client.Token(ctx, noAccessor); errors.Is(denied, errGone) {
		err = errSilent
	}
	return facts, token, err
}

// Token asks for the token with an accessor.
func (c *client) Token(ctx context.Context, accessor string) (state.Facts, *state.Token, error) {
	var answer struct {
		Data struct {
			Issued      time.Time `json:"issue_time"`
			Expires     time.Time `json:"expire_time"`  // null: it has no end
			Renewed     time.Time `json:"last_renewal"` // absent: never
			TTL         *int64    `json:"ttl" answer:"required"`
			Renewable   bool
			Path        string `json:"path" answer:"required"`
			DisplayName string `json:"display_name"`
		} `json:"data"`
	}
	err := c.do(ctx, call{endpoint: endpointToken, needs: "update", absent: saysNoToken, body: map[string]string{"accessor": accessor}}, &answer)
	if err != nil {
		return state.Facts{}, nil, explainToken(err, accessor)
	}
	data := answer.Data
	token := state.NewToken(data.Path, data.DisplayName)
	return state.Facts{
		Issued: data.Issued, Expires: data.Expires, Renewed: data.Renewed,
		Left: time.Duration(*data.TTL) * time.Second, Renewable: data.Renewable,
	}, &token, nil
}

// explainToken finds out whether the token is gone, and leaves its accessor out.
func explainToken(err error, accessor string) error {
	var refused *refusal
	if !errors.As(err, &refused) {
		return err
	}
	if strings.Contains(refused.said, saysNoToken) {
		return errGone
	}
	refused.said = strings.ReplaceAll(refused.said, accessor, "<accessor>")
	return err
}
