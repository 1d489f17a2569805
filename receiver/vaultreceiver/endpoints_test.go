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
		e := newEndpoints(condition.NewReporter(zap.NewNop()), time.Minute, func(access) {})
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
	s.attach(zap.NewNop(), newEndpoints(condition.NewReporter(zap.NewNop()), time.Minute, func(access) {}), func() { fresh++ })
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
