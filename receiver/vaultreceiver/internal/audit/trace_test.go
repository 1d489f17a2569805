// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheCallerOfARequest(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	sc := (&Entry{TraceParent: parent, TraceState: "vendor=1"}).Caller()
	assert.True(t, sc.IsValid())
	assert.True(t, sc.IsRemote())
	assert.True(t, sc.IsSampled())
	assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", sc.TraceID().String())
	assert.Equal(t, "b7ad6b7169203331", sc.SpanID().String())
	assert.Equal(t, "vendor=1", sc.TraceState().String())
	for _, wrong := range []string{
		"", "x", parent[:54], "ff" + parent[2:], "00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "hmac-sha256:7e6040fb320c4196657d0e06cdbef4083c477fc9",
	} {
		assert.False(t, (&Entry{TraceParent: wrong}).Caller().IsValid(), wrong)
	}
}
