// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLongWorkReportsThatItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		stop := progress(&log, "compiling for linux/amd64", 15*time.Second)
		time.Sleep(40 * time.Second)
		assert.Equal(t, 40*time.Second, stop())
		assert.Equal(t, "release: compiling for linux/amd64, 15s\nrelease: compiling for linux/amd64, 30s\n", log.String())
	})
}
