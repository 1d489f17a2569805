// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"encoding/json"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const endpointInFlight = "sys/in-flight-req"

func newInFlightRequests(w *watcher) domain {
	return &topic[state.InFlight]{
		w: w, endpoint: endpointInFlight, every: w.cfg.InFlightRequests.Interval,
		read:    func(ctx context.Context) (state.InFlight, error) { return w.client.InFlight(ctx) },
		measure: telemetry.RecordInFlight,
	}
}

// InFlight returns what is known of the requests that the server is handling.
func (c *client) InFlight(ctx context.Context) (state.InFlight, error) {
	var answer inFlight
	err := c.do(ctx, call{endpoint: endpointInFlight}, &answer)
	return answer.seen, err
}

// inFlight takes the requests in one by one: a server that is in trouble may
// have any number of them.
type inFlight struct{ seen state.InFlight }

func (f *inFlight) decodeFrom(from *json.Decoder) error {
	if _, err := from.Token(); err != nil { // the opening brace
		return err
	}
	for from.More() {
		if _, err := from.Token(); err != nil { // the ID of the request
			return err
		}
		var request struct {
			Path  string    `json:"request_path"`
			Began time.Time `json:"start_time"`
		}
		if err := from.Decode(&request); err != nil {
			return err
		}
		f.seen = f.seen.With(request.Path, request.Began)
	}
	_, err := from.Token()
	return err
}
