// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	goodCard     = "4111111111111111"
	declinedCard = "4000000000000002"
	orderTimeout = 90 * time.Second
)

// request is an order as a customer places it.
type request struct {
	User     string `json:"user"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Card     string `json:"card"`
}

// Placed is what became of an order.
type Placed struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	TraceID string `json:"trace_id"`

	Code       int       `json:"-"` // of the answer
	Begin, End time.Time `json:"-"`
}

func good() request { return request{User: "ann", Item: "pen", Quantity: 1, Card: goodCard} }

// place places an order at the edge, and waits for what becomes of it.
func (e *Environment) place(ctx context.Context, order request) (Placed, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	body, err := json.Marshal(order)
	if err != nil {
		return Placed{}, fmt.Errorf("encode an order: %w", err)
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL+"/orders", bytes.NewReader(body))
	if err != nil {
		return Placed{}, fmt.Errorf("place an order: %w", err)
	}
	post.Header.Set("Content-Type", "application/json")
	placed := Placed{Begin: time.Now()}
	answer, err := http.DefaultClient.Do(post)
	if err != nil {
		return placed, fmt.Errorf("place an order: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&placed); err != nil {
		return placed, fmt.Errorf("place an order: the answer is %s and no JSON: %w", answer.Status, err)
	}
	placed.Code, placed.End = answer.StatusCode, time.Now()
	return placed, nil
}

// placeAs places an order of which it is known what becomes of it.
func (e *Environment) placeAs(ctx context.Context, order request, want int) (Placed, error) {
	placed, err := e.place(ctx, order)
	if err == nil && placed.Code != want {
		err = fmt.Errorf("order %s (%s): the answer is %d, not %d: %s", placed.ID, order.Item, placed.Code, want, placed.Reason)
	}
	return placed, err
}
