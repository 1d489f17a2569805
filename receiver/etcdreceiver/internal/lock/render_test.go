// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// The generated builder sorts the events that it makes by their names.
func TestTheOrderOfElections(t *testing.T) {
	led := func(election bool, cause EndCause) Observed {
		return Observed{Attempt: &Attempt{Election: election, Key: "/x", Acquired: time.Unix(0, 0), Ended: time.Unix(1, 0), Cause: cause}}
	}
	r := collect.NewRenderer(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type), time.Unix(2, 0), "cluster")
	for _, effect := range []Effect{
		Acquired{led(false, 0)}, Acquired{led(true, 0)}, Acquired{led(false, 0)},
		Released{led(false, 0)}, Released{led(true, ByClient)}, Released{led(true, LeaseExpired)}, Released{led(false, 0)},
	} {
		Render(r, effect)
	}
	var names []string
	eventlog.Each(r.Emit(pcommon.NewResource()).Logs, func(event plog.LogRecord) {
		names = append(names, strings.TrimPrefix(event.EventName(), "etcd."))
	})
	assert.Equal(t, []string{
		"lock.acquired", "election.elected", "lock.acquired", "lock.released", "election.resigned", "election.lost", "lock.released",
	}, names)
}
