// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
