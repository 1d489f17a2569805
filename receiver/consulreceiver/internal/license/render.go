// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package license

import "github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"

// RecordLicense records when the licence expires, if there is one that does.
func RecordLicense(m collect.Metrics, license License) {
	if !license.Expires.IsZero() {
		m.RecordConsulLicenseExpiryTimestampDataPoint(m.TS(), collect.UnixSeconds(license.Expires))
	}
}
