// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package sharedcomponent

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
)

type observer struct {
	starts, shutdowns, hosts int
	startErr                 error
}

func (o *observer) AddHost(component.Host) { o.hosts++ }

func (o *observer) Start(context.Context, component.Host) error { o.starts++; return o.startErr }

func (o *observer) Shutdown(context.Context) error { o.shutdowns++; return nil }

type config struct{ _ int }

func TestOneObserverForAllSignals(t *testing.T) {
	var m Map[*config, *observer]
	cfg, made := &config{}, &observer{}
	create := func() (*observer, error) { return made, nil }
	logs, err := m.GetOrAdd(cfg, create)
	require.NoError(t, err)
	traces, err := m.GetOrAdd(cfg, create)
	require.NoError(t, err)
	require.Same(t, logs, traces)

	ctx, host := context.Background(), componenttest.NewNopHost()
	require.NoError(t, logs.Start(ctx, host))
	require.NoError(t, traces.Start(ctx, host))
	assert.Equal(t, observer{starts: 1, hosts: 2}, *made)

	require.NoError(t, logs.Lifetime().Err())
	require.NoError(t, logs.Shutdown(ctx))
	assert.Equal(t, 1, made.shutdowns, "while there are pipelines to tell it to")
	require.Error(t, traces.Lifetime().Err())
	require.NoError(t, traces.Shutdown(ctx))
	assert.Equal(t, 1, made.shutdowns)

	again, err := m.GetOrAdd(cfg, func() (*observer, error) { return &observer{}, nil })
	require.NoError(t, err)
	assert.NotSame(t, logs, again, "an ended component is not handed out again")
}

func TestAComponentThatLastsEndsWithItsLastUser(t *testing.T) {
	m := Map[*config, *observer]{UntilLast: true}
	made := &observer{}
	shared, err := m.GetOrAdd(&config{}, func() (*observer, error) { return made, nil })
	require.NoError(t, err)
	ctx := context.Background()
	for range 2 {
		require.NoError(t, shared.Start(ctx, componenttest.NewNopHost()))
	}
	require.NoError(t, shared.Shutdown(ctx))
	assert.Zero(t, made.shutdowns, "it is still used")
	require.NoError(t, shared.Shutdown(ctx))
	assert.Equal(t, 1, made.shutdowns)
	require.NoError(t, shared.Shutdown(ctx))
	assert.Equal(t, 1, made.shutdowns)
}

func TestAFailedStartFailsEverySignal(t *testing.T) {
	var m Map[*config, *observer]
	made := &observer{startErr: errors.New("no")}
	shared, err := m.GetOrAdd(&config{}, func() (*observer, error) { return made, nil })
	require.NoError(t, err)
	require.EqualError(t, shared.Start(context.Background(), componenttest.NewNopHost()), "no")
	require.EqualError(t, shared.Start(context.Background(), componenttest.NewNopHost()), "no")
	assert.Equal(t, 1, made.starts)
}

func TestShutdownWithoutStart(t *testing.T) {
	var m Map[*config, *observer]
	made := &observer{}
	shared, err := m.GetOrAdd(&config{}, func() (*observer, error) { return made, nil })
	require.NoError(t, err)
	require.NoError(t, shared.Shutdown(context.Background()))
	assert.Equal(t, 1, made.shutdowns)
}

func TestAFailedCreateIsNotKept(t *testing.T) {
	var m Map[*config, *observer]
	cfg := &config{}
	_, err := m.GetOrAdd(cfg, func() (*observer, error) { return nil, errors.New("bad") })
	require.EqualError(t, err, "bad")
	_, err = m.GetOrAdd(cfg, func() (*observer, error) { return &observer{}, nil })
	require.NoError(t, err)
}
