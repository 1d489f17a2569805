// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

func TestAlarmTypes(t *testing.T) {
	for of, want := range map[etcdserverpb.AlarmType]AlarmType{
		etcdserverpb.AlarmType_NOSPACE: NoSpace, etcdserverpb.AlarmType_CORRUPT: Corrupt, 99: UnknownAlarm,
	} {
		assert.Equal(t, want, alarmType(of))
	}
}
