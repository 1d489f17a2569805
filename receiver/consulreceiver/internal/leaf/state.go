// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leaf

import "time"

// Interval is the time between two reads of a certificate.
const Interval = time.Minute

// Certificate is a leaf certificate of the service mesh.
type Certificate struct {
	Expires time.Time
}
