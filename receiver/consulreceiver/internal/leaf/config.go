// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leaf

import (
	"fmt"
	"slices"
	"strings"
)

// maxServices bounds how many certificates Consul is made to issue.
const maxServices = 50

// Config says of which services a leaf certificate is requested.
type Config struct {
	// Services are names of services. Consul issues a certificate of each to the
	// receiver, for which its token needs service:write.
	Services []string `mapstructure:"services"`
}

// Validate checks the names.
func (c Config) Validate() error {
	if len(c.Services) > maxServices {
		return fmt.Errorf("leaf_certificates::services lists %d: list at most %d", len(c.Services), maxServices)
	}
	for i, name := range c.Services {
		if name == "" || strings.ContainsAny(name, "/?*") || slices.Contains(c.Services[:i], name) {
			return fmt.Errorf("leaf_certificates::services[%d] is %q: list names of services, each once", i, name)
		}
	}
	return nil
}
