// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/otelcol-infra/otelcol-infra/examples/order"
)

var request = order.Request{ID: "order-1", User: "ann", Item: "pen", Quantity: 1, Card: "4111111111111111"}

// runOrder runs the workflow in Temporal's test environment, which skips the time of pauses. answers are the results of
// an activity's attempts, of which the last one is repeated; without any, it succeeds. began are the attempts.
func runOrder(t *testing.T, answers map[string][]error) (began []string, env *testsuite.TestWorkflowEnvironment) {
	t.Helper()
	env = new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(&activities{})
	for _, name := range []string{
		"ValidateUser", "ReserveInventory", "CreateOrder", "ChargeCard", "CancelOrder", "ReleaseInventory",
	} {
		left := answers[name]
		env.OnActivity(name, mock.Anything, request).Return(func(ctx context.Context, _ order.Request) error {
			began = append(began, activity.GetInfo(ctx).ActivityType.Name)
			if len(left) == 0 {
				return nil
			}
			err := left[0]
			if len(left) > 1 {
				left = left[1:]
			}
			return err
		})
	}
	env.ExecuteWorkflow(Order, request)
	require.True(t, env.IsWorkflowCompleted())
	return began, env
}

func TestAnOrderTakesItsSteps(t *testing.T) {
	began, env := runOrder(t, nil)
	require.NoError(t, env.GetWorkflowError())
	assert.Equal(t, []string{"ValidateUser", "ReserveInventory", "CreateOrder", "ChargeCard"}, began)
}

func TestARefusedOrderTakesBackTheStepsBeforeInReverse(t *testing.T) {
	for name, test := range map[string]struct {
		step, kind string
		began      []string
	}{
		"declined card": {"ChargeCard", order.CardDeclined, []string{
			"ValidateUser", "ReserveInventory", "CreateOrder", "ChargeCard", "CancelOrder", "ReleaseInventory",
		}},
		"out of stock": {"ReserveInventory", order.OutOfStock, []string{"ValidateUser", "ReserveInventory"}},
		"unknown user": {"ValidateUser", order.UnknownUser, []string{"ValidateUser"}},
		"denied by vault": {"CreateOrder", "Denied", []string{
			"ValidateUser", "ReserveInventory", "CreateOrder", "ReleaseInventory",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			began, env := runOrder(t, map[string][]error{test.step: {refuse(test.kind, "no")}})
			assert.Equal(t, test.began, began)
			var failure *temporal.ApplicationError
			require.ErrorAs(t, env.GetWorkflowError(), &failure)
			assert.Equal(t, test.kind, failure.Type())
			assert.Equal(t, "no", failure.Message())
			assert.Equal(t, temporal.ApplicationErrorCategoryBenign, failure.Category())
		})
	}
}

func TestADependencyThatIsAwayIsAskedAgain(t *testing.T) {
	away := errors.New("away")
	began, env := runOrder(t, map[string][]error{"CreateOrder": {away, away, nil}})
	require.NoError(t, env.GetWorkflowError())
	assert.Equal(t, []string{
		"ValidateUser", "ReserveInventory", "CreateOrder", "CreateOrder", "CreateOrder", "ChargeCard",
	}, began)
}

func TestAStepWhoseOutcomeIsUnknownIsTakenBackToo(t *testing.T) {
	began, env := runOrder(t, map[string][]error{"CreateOrder": {errors.New("away")}})
	require.ErrorContains(t, env.GetWorkflowError(), "away")
	require.Len(t, began, 2+16+2)
	assert.Equal(t, []string{"CreateOrder", "CancelOrder", "ReleaseInventory"}, began[2+15:])
}

func TestCompensationsAreRetriedUntilTheySucceed(t *testing.T) {
	away := errors.New("away")
	began, env := runOrder(t, map[string][]error{
		"ChargeCard":  {refuse(order.CardDeclined, "no")},
		"CancelOrder": {away, away, away, away, away, nil}, // The test environment ends with the tenth.
	})
	require.Error(t, env.GetWorkflowError())
	require.Len(t, began, 4+6+1)
	assert.Equal(t, []string{"CancelOrder", "ReleaseInventory"}, began[9:])
}

func TestACompensationThatFailsDoesNotKeepTheOthersFromBeingTried(t *testing.T) {
	began, env := runOrder(t, map[string][]error{
		"ChargeCard":  {refuse(order.CardDeclined, "no")},
		"CancelOrder": {refuse("Denied", "no")},
	})
	require.Error(t, env.GetWorkflowError())
	assert.Equal(t, []string{"CancelOrder", "ReleaseInventory"}, began[4:])
}

func TestACancelledOrderIsTakenBack(t *testing.T) {
	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	a := &activities{}
	env.RegisterActivity(a)
	env.OnActivity(a.ValidateUser, mock.Anything, request).Return(nil)
	env.OnActivity(a.ReserveInventory, mock.Anything, request).Return(errors.New("away"))
	released := 0
	env.OnActivity(a.ReleaseInventory, mock.Anything, request).Return(func(context.Context, order.Request) error {
		released++
		return nil
	})
	env.RegisterDelayedCallback(env.CancelWorkflow, 5*time.Second)
	env.ExecuteWorkflow(Order, request)
	var cancelled *temporal.CanceledError
	require.ErrorAs(t, env.GetWorkflowError(), &cancelled)
	assert.Equal(t, 1, released)
}

func TestAnswersOfServicesBecomeErrorsOfActivities(t *testing.T) {
	var asked []string
	code := http.StatusOK
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		asked = append(asked, fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body))
		w.WriteHeader(code)
		fmt.Fprintln(w, "because")
	}))
	defer service.Close()
	a := &activities{http: service.Client(), discover: func(_ context.Context, name string) (string, error) {
		asked = append(asked, name)
		return strings.TrimPrefix(service.URL, "http://"), nil
	}}
	odd := request
	odd.User = "a/../b"

	require.NoError(t, a.ValidateUser(t.Context(), odd))
	require.NoError(t, a.ReserveInventory(t.Context(), request))
	require.NoError(t, a.ReleaseInventory(t.Context(), request))
	assert.Equal(t, []string{
		"users", "GET /users/a%2F..%2Fb ",
		"stock", `POST /reservations {"item":"pen","order":"order-1","quantity":1}`,
		"stock", "DELETE /reservations/order-1 ",
	}, asked)

	kind := func(err error) string {
		var failure *temporal.ApplicationError
		if errors.As(err, &failure) && failure.NonRetryable() {
			return failure.Type()
		}
		return ""
	}
	code = http.StatusNotFound
	assert.Equal(t, order.UnknownUser, kind(a.ValidateUser(t.Context(), request)))
	require.NoError(t, a.ReleaseInventory(t.Context(), request))
	code = http.StatusConflict
	assert.Equal(t, order.OutOfStock, kind(a.ReserveInventory(t.Context(), request)))
	code = http.StatusServiceUnavailable
	err := a.ValidateUser(t.Context(), request)
	require.EqualError(t, err, "users answered 503: because")
	assert.Empty(t, kind(err))
}
