// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
)

// statusHost keeps the last status of a component.
type statusHost struct {
	component.Host
	last *componentstatus.Event
}

func (h *statusHost) Report(e *componentstatus.Event) { h.last = e }

// An endpoint that is read on demand may not be read again after it failed.
func TestAnEndpointThatIsNotNeededAnyMoreFailsNoMore(t *testing.T) {
	host := &statusHost{Host: componenttest.NewNopHost()}
	reporter := condition.NewReporter(zap.NewNop())
	reporter.AddHost(host)
	e := NewEnv(&Shared{Condition: reporter}, nil, "")
	e.SetEndpoint("internal/ui/services", errors.New("no answer"))
	assert.Equal(t, componentstatus.StatusRecoverableError, host.last.Status())
	e.RestEndpoint("internal/ui/services")
	assert.Equal(t, componentstatus.StatusOK, host.last.Status())
	assert.NotContains(t, e.endpoints.states(), "internal/ui/services")
}
