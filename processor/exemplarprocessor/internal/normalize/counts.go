// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

// Counts tell what was done, for the processor's own metrics. The functions of
// this package add to them. They are not safe for concurrent use: each batch
// has its own.
type Counts struct {
	// Exemplars.
	Aliased   int64 // got a trace or span ID from an alias
	Padded    int64 // of those, got 64 zero bits in their trace ID
	Empty     int64 // removed: neither a trace ID nor an attribute
	Duplicate int64 // removed: equal to one before in the same point
	Repeated  int64 // removed: was in the previous point of the series
	Promoted  int64 // made of attributes of their data point
	Capped    int64 // removed: too many after merging data points

	// Filtered attributes.
	Redundant int64 // removed: an alias of an ID that is known already, or of another
	Invalid   int64 // removed: an alias that is no ID. Of data points too.
	Cut       int64 // removed: beyond the 128 characters of OpenMetrics

	// Series and exemplars that the memory of repeats had no room for.
	Forgotten int64

	// Data points.
	Merged     int64 // merged into another one
	Unmerged   int64 // left with their IDs: their kind or their shape cannot be merged
	Unmeasured int64 // lost their IDs without an exemplar: no value is known that was measured
}
