// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package ca

import "time"

// Root is the active root certificate of the service mesh.
type Root struct {
	ID       string
	NotAfter time.Time

	// SigningNotAfter is when the certificate expires with which the datacenter signs
	// leaf certificates: an intermediate one, or the root; zero: it is not known.
	SigningNotAfter time.Time
}
