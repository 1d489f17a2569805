// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"testing"

	"github.com/otelcol-infra/otelcol-infra/internal/nametest"
)

func TestNoNameIsAlsoANamespace(t *testing.T) { nametest.NoNameIsAlsoANamespace(t) }
