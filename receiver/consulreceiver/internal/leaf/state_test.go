// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leaf

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestACertificateIsReadEachMinute(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	assert.True(t, Due(now, time.Time{}), "at first")
	assert.False(t, Due(now, now.Add(-59*time.Second)))
	assert.True(t, Due(now, now.Add(-time.Minute)))
}
