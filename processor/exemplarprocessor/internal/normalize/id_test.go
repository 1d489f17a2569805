// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

const (
	traceHex = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanHex  = "00f067aa0ba902b7"
	zeros    = "0000000000000000"
)

func value(t testing.TB, raw any) pcommon.Value {
	v := pcommon.NewValueEmpty()
	require.NoError(t, v.FromRaw(raw))
	return v
}

func TestIDsAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		raw                any
		datadog            bool
		wantTrace, wantTwo string // of a trace, of a span; nothing when it is none
	}{
		"128 bits":                         {raw: traceHex, wantTrace: traceHex},
		"128 bits in upper case":           {raw: strings.ToUpper(traceHex), wantTrace: traceHex},
		"64 bits":                          {raw: spanHex, wantTrace: zeros + spanHex, wantTwo: spanHex},
		"64 bits in upper case":            {raw: strings.ToUpper(spanHex), wantTrace: zeros + spanHex, wantTwo: spanHex},
		"64 bits of decimal digits":        {raw: "1234567890123456", wantTrace: zeros + "1234567890123456", wantTwo: "1234567890123456"},
		"a number of Datadog":              {raw: "1234567890123456", datadog: true, wantTrace: zeros + "000462d53c8abac0", wantTwo: "000462d53c8abac0"},
		"the smallest number of Datadog":   {raw: "1", datadog: true, wantTrace: zeros + "0000000000000001", wantTwo: "0000000000000001"},
		"the largest number of Datadog":    {raw: "18446744073709551615", datadog: true, wantTrace: zeros + "ffffffffffffffff", wantTwo: "ffffffffffffffff"},
		"a larger number than Datadog's":   {raw: "18446744073709551616", datadog: true},
		"a negative number of Datadog":     {raw: "-1", datadog: true},
		"a Datadog ID of 128 bits":         {raw: traceHex, datadog: true, wantTrace: traceHex},
		"such an ID of decimal digits":     {raw: strings.Repeat("12", 16), datadog: true, wantTrace: strings.Repeat("12", 16)},
		"a hexadecimal Datadog ID":         {raw: spanHex, datadog: true, wantTrace: zeros + spanHex, wantTwo: spanHex},
		"a decimal that is not Datadog's":  {raw: "18446744073709551615"},
		"a number":                         {raw: int64(255), wantTrace: zeros + "00000000000000ff", wantTwo: "00000000000000ff"},
		"a number whose first bit is set":  {raw: int64(-1), wantTrace: zeros + "ffffffffffffffff", wantTwo: "ffffffffffffffff"},
		"16 bytes":                         {raw: []byte("0123456789abcdef"), wantTrace: hex.EncodeToString([]byte("0123456789abcdef"))},
		"8 bytes":                          {raw: []byte("01234567"), wantTrace: zeros + "3031323334353637", wantTwo: "3031323334353637"},
		"nothing":                          {raw: ""},
		"nothing of Datadog":               {raw: "", datadog: true},
		"32 zeros":                         {raw: zeros + zeros},
		"32 zeros of Datadog":              {raw: zeros + zeros, datadog: true},
		"16 zeros":                         {raw: zeros},
		"zero of Datadog":                  {raw: "0", datadog: true},
		"zero":                             {raw: int64(0)},
		"16 zero bytes":                    {raw: make([]byte, 16)},
		"8 zero bytes":                     {raw: make([]byte, 8)},
		"5 bytes":                          {raw: []byte("12345")},
		"no bytes":                         {raw: []byte{}},
		"31 digits":                        {raw: traceHex[1:]},
		"33 digits":                        {raw: traceHex + "0"},
		"15 digits":                        {raw: spanHex[1:]},
		"17 digits":                        {raw: spanHex + "0"},
		"32 letters that are no digits":    {raw: strings.Repeat("g", 32)},
		"16 letters that are no digits":    {raw: strings.Repeat("g", 16)},
		"16 letters of Datadog's":          {raw: strings.Repeat("g", 16), datadog: true},
		"a letter that gets longer":        {raw: strings.Repeat("İ", 8)},
		"a UUID":                           {raw: "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"},
		"spaces around it":                 {raw: " " + spanHex[2:] + " "},
		"a word":                           {raw: "none"},
		"a fraction":                       {raw: 1.5},
		"a bool":                           {raw: true},
		"nil":                              {raw: nil},
		"a list":                           {raw: []any{traceHex}},
		"a map":                            {raw: map[string]any{"id": traceHex}},
		"a traceparent is not an ID":       {raw: "00-" + traceHex + "-" + spanHex + "-01"},
		"Datadog's with digits in Unicode": {raw: "١٢٣", datadog: true},
	} {
		t.Run(name, func(t *testing.T) {
			trace, padded, ok := traceFromValue(value(t, test.raw), test.datadog)
			assert.Equal(t, test.wantTrace != "", ok)
			if ok {
				assert.Equal(t, test.wantTrace, trace.String())
				assert.Equal(t, test.wantTwo != "", padded)
			}
			span, ok := spanFromValue(value(t, test.raw), test.datadog)
			assert.Equal(t, test.wantTwo != "", ok)
			if ok {
				assert.Equal(t, test.wantTwo, span.String())
			}
		})
	}
}

func TestTraceparentsAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		header string
		want   bool
	}{
		"sampled":                         {"00-" + traceHex + "-" + spanHex + "-01", true},
		"not sampled":                     {"00-" + traceHex + "-" + spanHex + "-00", true},
		"upper case":                      {"00-" + strings.ToUpper(traceHex) + "-" + strings.ToUpper(spanHex) + "-01", true},
		"a later version":                 {"01-" + traceHex + "-" + spanHex + "-01", true},
		"a later version that says more":  {"01-" + traceHex + "-" + spanHex + "-01-more", true},
		"this version says no more":       {"00-" + traceHex + "-" + spanHex + "-01-more", false},
		"a version that is forbidden":     {"ff-" + traceHex + "-" + spanHex + "-01", false},
		"a trace of zeros":                {"00-" + zeros + zeros + "-" + spanHex + "-01", false},
		"a span of zeros":                 {"00-" + traceHex + "-" + zeros + "-01", false},
		"a trace of 64 bits":              {"00-" + spanHex + "-" + spanHex + "-01", false},
		"without flags":                   {"00-" + traceHex + "-" + spanHex, false},
		"an ID only":                      {traceHex, false},
		"nothing":                         {"", false},
		"hyphens only":                    {"---", false},
		"a letter that is no digit in it": {"00-" + strings.Repeat("g", 32) + "-" + spanHex + "-01", false},
	} {
		t.Run(name, func(t *testing.T) {
			trace, span, ok := parent(test.header)
			assert.Equal(t, test.want, ok)
			if ok {
				assert.Equal(t, traceHex, trace.String())
				assert.Equal(t, spanHex, span.String())
			}
		})
	}
}

func TestTheLowerHalfOfATraceIDIsTheSameTrace(t *testing.T) {
	whole := pcommon.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9}
	half := pcommon.TraceID{8: 9}
	assert.True(t, sameTrace(whole, whole))
	assert.True(t, sameTrace(whole, half))
	assert.True(t, sameTrace(half, whole))
	assert.False(t, sameTrace(whole, pcommon.TraceID{7: 8, 8: 9}))
	assert.False(t, sameTrace(whole, pcommon.TraceID{8: 1}))
}

func FuzzHexadecimal(f *testing.F) {
	for _, s := range []string{traceHex, spanHex, zeros, zeros + zeros, "", "g", "İİİİİİİİ", strings.ToUpper(traceHex)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := hex.DecodeString(s)
		digits := err == nil && strings.Trim(s, "0") != ""
		trace, padded, ok := traceFromText(s, false)
		require.Equal(t, digits && (len(s) == 32 || len(s) == 16), ok)
		if ok {
			assert.Equal(t, raw, trace[16-len(raw):])
			assert.Equal(t, len(s) == 16, padded)
			assert.False(t, trace.IsEmpty())
		}
		span, ok := spanFromText(s, false)
		require.Equal(t, digits && len(s) == 16, ok)
		if ok {
			assert.Equal(t, raw, span[:])
		}
	})
}

func FuzzDatadog(f *testing.F) {
	for _, s := range []string{"0", "1", "+1", "1_0", "0x1", strconv.FormatUint(math.MaxUint64, 10), "18446744073709551616", traceHex, spanHex} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		span, ok := spanFromText(s, true)
		if number, err := strconv.ParseUint(s, 10, 64); err == nil && s[0] != '+' && number > 0 {
			require.True(t, ok)
			assert.Equal(t, fmt.Sprintf("%016x", number), span.String())
		} else if ok {
			assert.Equal(t, strings.ToLower(s), span.String())
		}
		trace, _, ok := traceFromText(s, true)
		assert.Equal(t, ok, !trace.IsEmpty() && ok)
		if ok && len(s) == 32 {
			assert.Equal(t, strings.ToLower(s), trace.String())
		}
	})
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-" + traceHex + "-" + spanHex + "-01")
	f.Add("01-" + traceHex + "-" + spanHex + "-01-more")
	f.Add("---")
	f.Fuzz(func(t *testing.T, s string) {
		trace, span, ok := parent(s)
		assert.Equal(t, ok, !trace.IsEmpty())
		assert.Equal(t, ok, !span.IsEmpty())
		if ok {
			assert.Contains(t, strings.ToLower(s), "-"+trace.String()+"-"+span.String()+"-")
		}
	})
}
