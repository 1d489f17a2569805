// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package acltoken

import "time"

// Config is of the receiver's own token.
type Config struct {
	Enabled bool `mapstructure:"enabled"`
	// ExpiryWarning is how long before the token's expiry it is reported.
	ExpiryWarning time.Duration `mapstructure:"expiry_warning"`
}
