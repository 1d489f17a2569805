// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"strings"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// faultRestored begins the names of the faults after which etcd has another history.
const faultRestored = "restored"

func isRestore(w oracle.Window) bool { return strings.HasPrefix(w.Why, faultRestored) }
