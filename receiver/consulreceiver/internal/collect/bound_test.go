// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestObjectsThatAreObservedStayObservedAtTheLimit(t *testing.T) {
	before := map[string]int{"m": 1, "z": 1}
	objects := map[string]int{"a": 1, "b": 1, "m": 1, "z": 1}
	assert.Equal(t, 1, Bound(objects, before, 3, strings.Compare))
	assert.Equal(t, map[string]int{"a": 1, "m": 1, "z": 1}, objects)
	assert.Zero(t, Bound(objects, before, 3, strings.Compare))
}
