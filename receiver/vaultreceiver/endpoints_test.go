// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
)

func TestWhatIsDeniedIsAskedForAgainWithAnotherToken(t *testing.T) {
	now := time.Now()
	for said, meaning := range map[string]error{"permission denied": errDenied, "* permission denied * invalid token": errInvalidToken} {
		e := newEndpoints(condition.NewReporter(zap.NewNop()), time.Minute, func(access) bool { return true })
		err := explainDenial(endpointNodes, "read", said)
		require.ErrorIs(t, err, meaning)
		require.Equal(t, http.StatusForbidden, refusedWith(err))
		e.set(now, endpointNodes, err)
		assert.True(t, e.off(now.Add(5*time.Minute), endpointNodes))
		assert.False(t, e.off(now.Add(6*time.Minute), endpointNodes))
		e.forgive()
		assert.False(t, e.off(now, endpointNodes))
		assert.Equal(t, map[string]bool{endpointNodes: false}, e.known(), "it is not up before it was asked")
	}
}

func TestAnotherTokenIsSaidOnce(t *testing.T) {
	cfg := configFor("http://127.0.0.1:1")
	cfg.Token = "planted"
	s := clientOf(t, cfg).session
	fresh := 0
	s.attach(zap.NewNop(), newEndpoints(condition.NewReporter(zap.NewNop()), time.Minute, func(access) bool { return true }), func() { fresh++ })
	accept := func(token string) int {
		s.accept(token, time.Now(), time.Hour, time.Time{})
		return fresh
	}
	assert.Equal(t, 1, accept("a"))
	assert.Equal(t, 1, accept("a"), "it was renewed")
	assert.Equal(t, 2, accept("b"))
	s.lose()
	assert.Equal(t, 3, accept("b"), "it works again")
}

func TestADenialThatCouldNotBeToldIsToldLater(t *testing.T) {
	var told []access
	room := false
	e := newEndpoints(condition.NewReporter(zap.NewNop()), time.Minute, func(a access) bool {
		if room {
			told = append(told, a)
		}
		return room
	})
	deny := func() { e.set(time.Now(), endpointAudit, explainDenial(endpointAudit, "read", "permission denied")) }
	deny()
	assert.Empty(t, told)
	room = true
	deny()
	deny()
	e.set(time.Now(), endpointAudit, nil)
	e.set(time.Now(), endpointAudit, nil)
	assert.Equal(t, []access{{endpointAudit, true}, {endpointAudit, false}}, told)
}
