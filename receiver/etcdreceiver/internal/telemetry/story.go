// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry renders the state of the cluster as metrics, events and spans.
package telemetry

import (
	"strings"

	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Story renders what happened as events and spans. It is safe for concurrent
// use.
type Story struct {
	settings receiver.Settings
	config   metadata.LogsBuilderConfig
}

// NewStory returns a Story that makes the events which config enables.
func NewStory(config metadata.LogsBuilderConfig, settings receiver.Settings) *Story {
	return &Story{settings: settings, config: config}
}

// text makes a name fit for telemetry, which is UTF-8.
func text(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
