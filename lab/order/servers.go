// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const reservations = "/order/reservations/"

// stock is what etcd has of the item that is ordered.
type stock struct {
	left, reserved int
	open           []string // orders with a reservation that is not released
}

func (s stock) String() string { return fmt.Sprintf("%d in stock and %d reserved", s.left, s.reserved) }

func (e *Environment) stock(ctx context.Context) (s stock, err error) {
	client, err := e.etcd()
	if err != nil {
		return s, err
	}
	defer client.Close()
	answer, err := client.Txn(ctx).Then(
		clientv3.OpGet("/order/stock/"+good().Item), clientv3.OpGet(reservations, clientv3.WithPrefix())).Commit()
	if err != nil {
		return s, fmt.Errorf("read the stock of %s: %w", good().Item, err)
	}
	for _, kv := range answer.Responses[0].GetResponseRange().Kvs {
		if s.left, err = strconv.Atoi(string(kv.Value)); err != nil {
			return s, fmt.Errorf("%s is not a number: %w", kv.Key, err)
		}
	}
	for _, kv := range answer.Responses[1].GetResponseRange().Kvs {
		var r struct {
			Item     string
			Quantity int
			Released bool
		}
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			return s, fmt.Errorf("decode %s: %w", kv.Key, err)
		}
		if r.Item == good().Item && !r.Released {
			s.reserved += r.Quantity
			s.open = append(s.open, strings.TrimPrefix(string(kv.Key), reservations))
		}
	}
	return s, nil
}

// written says whether etcd has an order.
func (e *Environment) written(ctx context.Context, id string) (bool, error) {
	client, err := e.etcd()
	if err != nil {
		return false, err
	}
	defer client.Close()
	answer, err := client.Get(ctx, "/order/orders/"+id)
	if err != nil {
		return false, fmt.Errorf("read order %s: %w", id, err)
	}
	return answer.Count > 0, nil
}

// attempts gives for each activity of an order in which attempt it succeeded, as
// Temporal has it. An activity that was done twice is an error.
func (e *Environment) attempts(ctx context.Context, id string) (map[string]int, error) {
	url := e.Lab.Temporal.HTTP + "/api/v1/namespaces/default/workflows/" + id + "/history"
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read the history of order %s: %w", id, err)
	}
	answer, err := http.DefaultClient.Do(get)
	if err != nil {
		return nil, fmt.Errorf("read the history of order %s: %w", id, err)
	}
	defer answer.Body.Close()
	var history struct {
		History struct {
			Events []struct {
				EventID   string `json:"eventId"`
				Scheduled struct {
					Type struct{ Name string } `json:"activityType"`
				} `json:"activityTaskScheduledEventAttributes"`
				Started struct {
					Scheduled string `json:"scheduledEventId"`
					Attempt   int
				} `json:"activityTaskStartedEventAttributes"`
			}
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&history); err != nil {
		return nil, fmt.Errorf("decode the history of order %s: the answer is %s: %w", id, answer.Status, err)
	}
	attempts, names := map[string]int{}, map[string]string{}
	for _, event := range history.History.Events {
		if name := event.Scheduled.Type.Name; name != "" {
			if _, again := attempts[name]; again {
				return nil, fmt.Errorf("activity %s of order %s was scheduled twice", name, id)
			}
			names[event.EventID], attempts[name] = name, 0
		}
		if name := names[event.Started.Scheduled]; name != "" {
			attempts[name] = event.Started.Attempt
		}
	}
	return attempts, nil
}
