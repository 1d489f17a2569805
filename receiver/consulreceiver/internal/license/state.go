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

// Due says whether to read the licence again.
func Due(now, read time.Time) bool { return read.IsZero() || now.Sub(read) >= Interval }
