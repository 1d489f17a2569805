// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leaf

import "github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"

// RecordCertificate records when the certificate of a service expires.
func RecordCertificate(m collect.Metrics, service string, c Certificate) {
	m.RecordConsulLeafCertificateExpiryTimestampDataPoint(m.TS(), collect.UnixSeconds(c.Expires), service)
}
