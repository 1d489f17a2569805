// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/otelcol-infra/otelcol-infra/examples/order"
	"github.com/otelcol-infra/otelcol-infra/examples/order/vault"
)

// Order takes the steps of an order, and takes them back when one fails for good. Each activity gets the whole request.
func Order(ctx workflow.Context, request order.Request) error {
	var a *activities
	steps := []struct{ do, undo any }{
		{do: a.ValidateUser},
		{do: a.ReserveInventory, undo: a.ReleaseInventory},
		{do: a.CreateOrder, undo: a.CancelOrder},
		{do: a.ChargeCard},
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 5 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 2 * time.Second,
			// Half a minute of pauses. A limit of time would also count the time in which no worker runs.
			MaximumAttempts: 16,
		},
	})
	var undo []any
	for _, step := range steps {
		err := workflow.ExecuteActivity(ctx, step.do, request).Get(ctx, nil)
		var failure *temporal.ApplicationError
		refused := errors.As(err, &failure) && failure.NonRetryable()
		// After a timeout it is not known what was done. A step that was refused did nothing.
		if step.undo != nil && !refused {
			undo = append(undo, step.undo)
		}
		if err != nil {
			compensate(ctx, undo, request)
			if refused {
				return failure
			}
			return err
		}
	}
	return nil
}

// compensate takes steps back, the last one first, also when the workflow was
// cancelled. A failure of one does not keep the others from being tried.
func compensate(ctx workflow.Context, undo []any, request order.Request) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    5 * time.Second,
		ScheduleToCloseTimeout: time.Hour,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second,
		},
	})
	for i := len(undo) - 1; i >= 0; i-- {
		if err := workflow.ExecuteActivity(ctx, undo[i], request).Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Error("a step of a failed order was not taken back; do it by hand", "error", err)
		}
	}
}

// activities are the side effects of the workflow. Each may run more than once for an order, and has the same effect then.
type activities struct {
	discover func(ctx context.Context, service string) (addr string, err error)
	http     *http.Client
	etcd     clientv3.KV
	vault    *vault.Client
}

// ValidateUser asks the users service for the user.
func (a *activities) ValidateUser(ctx context.Context, r order.Request) error {
	err := a.ask(ctx, http.MethodGet, "users", "/users/{id}", r.User, nil)
	if status(err) == http.StatusNotFound {
		return refuse(order.UnknownUser, "there is no user "+r.User)
	}
	return err
}

// ReserveInventory takes the items out of the stock.
func (a *activities) ReserveInventory(ctx context.Context, r order.Request) error {
	err := a.ask(ctx, http.MethodPost, "stock", "/reservations", "",
		map[string]any{"order": r.ID, "item": r.Item, "quantity": r.Quantity})
	if status(err) == http.StatusConflict {
		return refuse(order.OutOfStock, "not enough of item "+r.Item)
	}
	return err
}

// ReleaseInventory gives the items back.
func (a *activities) ReleaseInventory(ctx context.Context, r order.Request) error {
	err := a.ask(ctx, http.MethodDelete, "stock", "/reservations/{order}", r.ID, nil)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// orders is the prefix of orders in etcd.
const orders = "/order/orders/"

// CreateOrder writes the order, with the number of the card encrypted by Vault, as the user that Vault's credentials name.
func (a *activities) CreateOrder(ctx context.Context, r order.Request) error {
	credentials, err := a.vault.Credentials(ctx, order.CredentialsMount+"/"+order.DatabaseSecret)
	if err != nil {
		return denied(err)
	}
	card, err := a.vault.Encrypt(ctx, order.TransitMount, order.CardsKey, r.Card)
	if err != nil {
		return denied(err)
	}
	record, err := json.Marshal(map[string]any{
		"user": r.User, "item": r.Item, "quantity": r.Quantity, "card": card, "written_by": credentials["username"],
	})
	if err != nil {
		return fmt.Errorf("encode order %s: %w", r.ID, err)
	}
	if _, err := a.etcd.Put(ctx, orders+r.ID, string(record)); err != nil {
		return fmt.Errorf("write order %s to etcd: %w", r.ID, err)
	}
	return nil
}

// CancelOrder deletes the order.
func (a *activities) CancelOrder(ctx context.Context, r order.Request) error {
	if _, err := a.etcd.Delete(ctx, orders+r.ID); err != nil {
		return fmt.Errorf("delete order %s from etcd: %w", r.ID, err)
	}
	return nil
}

// ChargeCard does what a payment provider would do with its key and the card.
func (a *activities) ChargeCard(ctx context.Context, r order.Request) error {
	secret, err := a.vault.Secret(ctx, order.SecretsMount, order.PaymentSecret)
	if err != nil {
		return denied(err)
	}
	if key, _ := secret["key"].(string); key == "" {
		return errors.New("vault's secret of the payment provider has no key; write it")
	}
	if strings.HasSuffix(r.Card, "0002") {
		return refuse(order.CardDeclined, "the card was declined")
	}
	return nil
}

// ask makes a request to an instance of a service, other than the last one perhaps. name takes the place of the route's
// parameter.
func (a *activities) ask(ctx context.Context, method, service, route, name string, body any) error {
	addr, err := a.discover(ctx, service)
	if err != nil {
		return err
	}
	content := []byte{}
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode a request to %s: %w", service, err)
		}
	}
	path := route
	if begin, _, ok := strings.Cut(route, "{"); ok {
		path = begin + url.PathEscape(name)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("make a request to %s: %w", service, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Pattern = route // names the span
	answer, err := a.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", service, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", service, err)
	}
	if answer.StatusCode >= 300 {
		return statusError{service, answer.StatusCode, strings.TrimSpace(string(text))}
	}
	return nil
}

// statusError is an answer other than success.
type statusError struct {
	service string
	status  int
	text    string
}

func (e statusError) Error() string {
	return fmt.Sprintf("%s answered %d: %s", e.service, e.status, e.text)
}

// status is that of the answer that err is about, or 0.
func status(err error) int {
	var answer statusError
	errors.As(err, &answer)
	return answer.status
}

// refuse is an error that is not retried. It is the customer's and no fault of the system: spans are not marked as errors.
func refuse(kind, message string) error {
	return temporal.NewApplicationErrorWithOptions(message, kind, temporal.ApplicationErrorOptions{
		NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// denied keeps a request from being retried that Vault's policies do not allow.
func denied(err error) error {
	if vault.Denied(err) {
		return temporal.NewNonRetryableApplicationError(err.Error(), "Denied", nil)
	}
	return err
}
