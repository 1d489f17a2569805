// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
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
	if err := c.do(ctx, call{endpoint: endpointInFlight}, &answer); err != nil {
		return state.InFlight{}, err
	}
	return answer.seen, nil
}

// inFlight takes the requests in one by one: a server that is in trouble may
// have any number of them. There is at least the one that asks for them.
type inFlight struct{ seen state.InFlight }

// DecodeFrom implements jsonanswer.Stream.
func (f *inFlight) DecodeFrom(from *jsontext.Decoder) error {
	if opening, err := from.ReadToken(); err != nil {
		return err
	} else if opening.Kind() != '{' || from.PeekKind() == '}' {
		return &jsonanswer.LackError{}
	}
	for from.PeekKind() != '}' {
		if _, err := from.ReadToken(); err != nil { // the ID of the request
			return err
		}
		var request struct {
			Path  string    `json:"request_path"`
			Began time.Time `json:"start_time"`
		}
		if err := json.UnmarshalDecode(from, &request); err != nil {
			return err
		}
		if request.Path == "" || request.Began.IsZero() {
			return &jsonanswer.LackError{Field: "request_path or start_time"}
		}
		f.seen = f.seen.With(request.Path, request.Began)
	}
	_, err := from.ReadToken()
	return err
}
