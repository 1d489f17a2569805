// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"hash/maphash"
	"math/bits"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// hasher makes keys of values. It is seeded, so that nobody can choose values
// whose keys collide.
type hasher struct {
	seed   maphash.Seed
	factor uint64
}

func newHasher() hasher {
	seed := maphash.MakeSeed()
	return hasher{seed: seed, factor: maphash.String(seed, "factor") | 1}
}

// begin returns the key of a rule, to which values are added.
func (h *hasher) begin(rule uint32, mask Mask) uint64 {
	return h.add(h.add(h.factor, uint64(rule)+1), uint64(mask)+1)
}

// add returns the key with a value more. The order counts.
func (h *hasher) add(key, value uint64) uint64 {
	high, low := bits.Mul64(key^value, h.factor)
	return high ^ low
}

// value hashes what a value is as text: 200 is the same as "200".
func (h *hasher) value(v pcommon.Value) uint64 {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return h.text(v.Str())
	case pcommon.ValueTypeInt:
		var digits [20]byte
		return maphash.Bytes(h.seed, strconv.AppendInt(digits[:0], v.Int(), 10))
	default:
		return h.text(v.AsString())
	}
}

// text hashes a text. None is 0.
func (h *hasher) text(text string) uint64 {
	if text == "" {
		return 0
	}
	return maphash.String(h.seed, text)
}

// path hashes two texts with a slash between them, as text hashes the whole.
func (h *hasher) path(folder, name string) uint64 {
	var whole maphash.Hash
	whole.SetSeed(h.seed)
	_, _ = whole.WriteString(folder)
	_ = whole.WriteByte('/')
	_, _ = whole.WriteString(name)
	return whole.Sum64()
}
