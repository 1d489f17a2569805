// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

func TestKeysBeyondTheLimitAreSaid(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{})
	for i := range 5 {
		set(t, client, fmt.Sprint("/app/", i), "")
	}
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Limit = 3
	o := observe(t, cfg)
	o.Eventually(t, "it is said", func() bool { return o.Warnings(limitKeys) == 1 })
	said := o.Log.FilterField(zap.String("endpoint", limitKeys)).All()[0].ContextMap()["error"]
	assert.Equal(t, "2 keys are not remembered: raise watch::limit above 3", said)
	set(t, client, "/app/4", "")
	o.Eventually(t, "its changes are told", o.HasEvent("etcd.key.put", "etcd.key", "/app/4"))
}
