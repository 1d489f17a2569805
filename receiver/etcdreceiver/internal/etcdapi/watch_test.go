// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdtest"
)

func TestAWatchThatALearnerRefusesIsCountedAsFailed(t *testing.T) {
	endpoint := etcdtest.Serve(t, func(grpc.ServerStream) error { return rpctypes.ErrGRPCNotSupportedForLearner })
	var counted []error
	c := New(t.Context(), Options{
		DialTimeout: DefaultTimeout, KeepaliveTime: time.Minute, KeepaliveTimeout: time.Minute, Timeout: DefaultTimeout,
		Count: func(_ string, err error) { counted = append(counted, err) },
	}, endpoint)
	t.Cleanup(c.Close)
	w, err := c.Watch(t.Context(), "/", 1, false)
	require.NoError(t, err)
	defer w.Close()
	_, err = w.Next()
	require.ErrorIs(t, err, errLearner)
	require.Len(t, counted, 1)
	require.ErrorIs(t, counted[0], errLearner)
	assert.True(t, c.AnotherMember(t.Context(), err, 0), "one that votes may do it")
}
