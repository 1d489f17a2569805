// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"fmt"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
)

// Config is of the keys. None are read unless there are Prefixes.
type Config struct {
	pattern.Filter `mapstructure:",squash"`
	// Prefixes of the keys to watch; an empty one stands for all keys.
	Prefixes []string `mapstructure:"prefixes"`
	// Limit is the largest number of keys that are observed under a prefix.
	Limit int `mapstructure:"limit"`
	// Fingerprint reports the length and SHA-256 of values, and finds changes of
	// them behind those of locks.
	Fingerprint bool `mapstructure:"fingerprint"`
}

// ValidatePrefixes refuses prefixes that would report a key twice, and those that
// no key can have.
func (c Config) ValidatePrefixes() error {
	for i, prefix := range c.Prefixes {
		if strings.HasPrefix(prefix, "/") {
			return fmt.Errorf("kv::prefixes[%d] %q begins with a slash, which keys of Consul do not: remove it", i, prefix)
		}
		for j, other := range c.Prefixes {
			if i != j && strings.HasPrefix(prefix, other) {
				return fmt.Errorf("kv::prefixes[%d] %q is a part of %q: remove one of them", i, prefix, other)
			}
		}
	}
	return nil
}
