// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAServerLagsBehindTheLongestLog(t *testing.T) {
	a := Autopilot{Servers: []Server{{Name: "a", LastIndex: 7}, {Name: "b", LastIndex: 10}, {Name: "c"}}}
	var lags []int64
	for _, s := range a.Servers {
		lags = append(lags, a.Lag(s))
	}
	assert.Equal(t, []int64{3, 0, 10}, lags)
	assert.Zero(t, Autopilot{}.Lag(Server{}))
}
