// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package audit makes exchanges, which are requests and their responses, of the
// entries that Vault writes to its audit devices. It does no I/O and reads no
// clock.
package audit
