// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// AuditConfig is of the audit stream, which becomes a span for each request.
type AuditConfig struct {
	// Socket listens for audit devices of type socket.
	Socket configoptional.Optional[SocketConfig] `mapstructure:"socket"`

	// Trust is what becomes of the trace that a caller says it is in, in the
	// header traceparent: parent, link or ignore.
	Trust string `mapstructure:"trust"`

	// Redact are regular expressions. What they match in the path of a request
	// is replaced by a star.
	Redact []string `mapstructure:"redact"`

	// OwnRequests tells also those that receivers like this one make.
	OwnRequests bool `mapstructure:"own_requests"`

	// Wait is how long half of an exchange waits for the other.
	Wait time.Duration `mapstructure:"wait"`

	// Queue is how many entries wait for the pipeline, and how many for the other
	// half of their exchange, before entries are dropped.
	Queue int `mapstructure:"queue"`

	// LongestLine is how many bytes an entry has at most. Longer ones are dropped.
	LongestLine int `mapstructure:"longest_line"`
}

// SocketConfig is of a listener.
type SocketConfig struct {
	confignet.AddrConfig `mapstructure:",squash"`

	// Connections is how many there are at most. Each node of Vault has one for
	// each of its devices.
	Connections int `mapstructure:"connections"`
}

// enabled says whether there is a source. An empty endpoint is none, so that it
// can be left to the environment.
func (c *AuditConfig) enabled() bool { return c.Socket.HasValue() && c.Socket.Get().Endpoint != "" }

func (c *AuditConfig) check() error {
	if !c.enabled() {
		return nil
	}
	var errs []error
	if socket := c.Socket.Get(); socket != nil {
		switch socket.Transport {
		case confignet.TransportTypeTCP, confignet.TransportTypeTCP4, confignet.TransportTypeTCP6, confignet.TransportTypeUnix:
		default:
			errs = append(errs, fmt.Errorf("audit::socket::transport is %q: set it to tcp or unix", socket.Transport))
		}
		errs = append(errs, configcheck.Positive("audit::socket::connections", socket.Connections))
	}
	for i, pattern := range c.Redact {
		if _, err := regexp.Compile(pattern); err != nil {
			errs = append(errs, fmt.Errorf("audit::redact[%d] is not a regular expression: %w", i, err))
		}
	}
	return errors.Join(append(errs,
		checkMode("audit::trust", c.Trust, string(telemetry.TrustParent), string(telemetry.TrustLink), string(telemetry.TrustIgnore)),
		configcheck.Duration("audit::wait", c.Wait, "2m"),
		configcheck.Positive("audit::queue", c.Queue),
		configcheck.Positive("audit::longest_line", c.LongestLine),
	)...)
}

// redact returns what replaces the parts of paths that are not to be told.
func (c *AuditConfig) redact() func(path string) string {
	patterns := make([]*regexp.Regexp, 0, len(c.Redact))
	for _, pattern := range c.Redact {
		patterns = append(patterns, regexp.MustCompile(pattern)) // It was checked.
	}
	return func(path string) string {
		for _, pattern := range patterns {
			path = pattern.ReplaceAllLiteralString(path, "*")
		}
		return path
	}
}

func defaultAudit() AuditConfig {
	socket := SocketConfig{AddrConfig: confignet.NewDefaultAddrConfig(), Connections: 100}
	socket.Transport = confignet.TransportTypeTCP
	return AuditConfig{
		Socket: configoptional.Default(socket),
		Trust:  string(telemetry.TrustParent),
		Wait:   2 * time.Minute, Queue: 10_000, LongestLine: 16 << 20,
	}
}
