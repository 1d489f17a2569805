// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsObservedStaysObservedAtTheLimit(t *testing.T) {
	before := map[string]int{"m": 1, "z": 1}
	objects := map[string]int{"a": 1, "b": 1, "m": 1, "z": 1}
	assert.Equal(t, 1, bound(objects, before, 3, strings.Compare))
	assert.Equal(t, map[string]int{"a": 1, "m": 1, "z": 1}, objects)
	assert.Zero(t, bound(objects, before, 3, strings.Compare))
}

func TestOutputIsCutToValidText(t *testing.T) {
	assert.Equal(t, "whole", truncate("whole", 5))
	assert.Equal(t, "cut", truncate("cut off", 3))
	assert.Empty(t, truncate("é", 1))
}
