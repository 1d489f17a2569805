// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package licence knows the licences of all that is linked into the collector:
// whether they permit shipping it, and the notices that have to go with it.
package licence
