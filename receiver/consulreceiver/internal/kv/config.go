// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"fmt"
	"path"
	"strings"
	"unicode"

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
// Consul reads as another one, or not at all.
func (c Config) ValidatePrefixes() error {
	for i, prefix := range c.Prefixes {
		if strings.HasPrefix(prefix, "/") {
			return fmt.Errorf("kv::prefixes[%d] %q begins with a slash, which keys of Consul do not: remove it", i, prefix)
		}
		if read := cleaned(prefix); read != prefix {
			return fmt.Errorf("kv::prefixes[%d] is %q, which Consul reads as %q: write a prefix without empty parts, \".\" and \"..\" between slashes",
				i, prefix, read)
		}
		if strings.ContainsFunc(prefix, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("kv::prefixes[%d] %q has a character that does not print, which Consul refuses: write the prefix before it", i, prefix)
		}
		for j, other := range c.Prefixes {
			if i != j && strings.HasPrefix(prefix, other) {
				return fmt.Errorf("kv::prefixes[%d] %q is a part of %q: remove one of them", i, prefix, other)
			}
		}
	}
	return nil
}

// cleaned returns the prefix that Consul reads: it cleans the path of a request,
// and redirects to the clean one.
func cleaned(prefix string) string {
	const root = "/v1/kv/"
	read := path.Clean(root + prefix)
	if strings.HasSuffix(root+prefix, "/") {
		read += "/"
	}
	if read+"/" == root {
		return "" // all keys
	}
	if inside, ok := strings.CutPrefix(read, root); ok {
		return inside
	}
	return read // It is not even a list of keys.
}
