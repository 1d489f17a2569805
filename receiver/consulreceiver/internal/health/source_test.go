// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOutputIsCutToValidText(t *testing.T) {
	assert.Equal(t, "whole", truncate("whole", 5))
	assert.Equal(t, "cut", truncate("cut off", 3))
	assert.Empty(t, truncate("é", 1))
}
