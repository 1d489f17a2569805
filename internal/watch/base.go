// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
)

// Base is what every Watcher has; it is there to be embedded.
type Base struct {
	Condition  *condition.Reporter
	Background Background

	delivery *Delivery
}

// NewBase returns a Base without hosts and consumers.
func NewBase(settings receiver.Settings) (*Base, error) {
	reporter := condition.NewReporter(settings.Logger)
	delivery, err := NewDelivery(settings, reporter)
	return &Base{Condition: reporter, delivery: delivery}, err
}

// AddHost adds a host that wants to know the watcher's status.
func (b *Base) AddHost(host component.Host) { b.Condition.AddHost(host) }

// Delivery is where the watcher's telemetry goes.
func (b *Base) Delivery() *Delivery { return b.delivery }

// Stop ends the background work and waits for it.
func (b *Base) Stop() {
	b.Background.Stop()
	b.delivery.end()
}
