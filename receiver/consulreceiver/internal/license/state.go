// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package license

import "time"

// Interval is the time between two reads of the licence.
const Interval = time.Hour

// License is that of Consul Enterprise.
type License struct {
	Expires time.Time
}
