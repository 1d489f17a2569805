// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

// What version 0.2.0 saved of an outage that lasts.
const savedByOlderVersion = `{"Index":6,"Outages":[{"BeganBefore":false,"Reconciled":false,"Status":"critical","Worst":"critical","Start":"1970-01-01T00:00:10Z","End":"0001-01-01T00:00:00Z","Transitions":[{"ID":{"Node":"N1","Check":"web"},"Check":{"Name":"N1/web","Service":"web","ServiceID":"web","Status":"critical","Index":6,"Output":""},"Old":"passing","New":"critical","At":"1970-01-01T00:00:10Z","Initial":false,"Reconciled":false}],"Dropped":0,"ID":{"Check":{"Node":"N1","Check":"web"},"Index":6,"Incident":{"Subject":{"Name":"web","Node":false},"First":{"Node":"N1","Check":"web"},"Index":6}},"Check":{"Name":"N1/web","Service":"web","ServiceID":"web","Status":"critical","Index":6,"Output":""},"Affects":null,"Unlinked":0}],"Incidents":[{"BeganBefore":false,"Reconciled":false,"Status":"critical","Worst":"critical","Start":"1970-01-01T00:00:10Z","End":"0001-01-01T00:00:00Z","Transitions":[{"ID":{"Node":"N1","Check":"web"},"Check":{"Name":"N1/web","Service":"web","ServiceID":"web","Status":"critical","Index":6,"Output":""},"Old":"passing","New":"critical","At":"1970-01-01T00:00:10Z","Initial":false,"Reconciled":false}],"Dropped":0,"ID":{"Subject":{"Name":"web","Node":false},"First":{"Node":"N1","Check":"web"},"Index":6},"Causes":null,"Unlinked":0}]}`

func TestAnOutageOfAnOlderVersionGoesOn(t *testing.T) {
	var saved SavedIncidents
	require.NoError(t, json.Unmarshal([]byte(savedByOlderVersion), &saved))
	var h Health
	h.Restore(saved)
	_, effects := h.Step(snapshottest.At(20), observed(7, "N1/web=passing"))
	var ended []Lifecycle
	for _, e := range effects {
		switch e := e.(type) {
		case Transitioned:
			require.NotNil(t, e.Outage)
			ended = append(ended, e.Outage.Lifecycle)
		case Closed:
			ended = append(ended, e.Incident.Lifecycle)
		}
	}
	require.Len(t, ended, 2, "the outage and the incident: %v", effects)
	for _, l := range ended {
		assert.Equal(t, 10*time.Second, l.End.Sub(l.Start))
		assert.False(t, l.BeganBefore)
	}
}
