// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package license

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTheLicenceIsReadEachHour(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	assert.True(t, Due(now, time.Time{}), "at first")
	assert.False(t, Due(now, now.Add(-59*time.Minute)))
	assert.True(t, Due(now, now.Add(-time.Hour)))
}
