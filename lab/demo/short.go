// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// longestTitle and longestPath are how much of them is shown.
const (
	longestTitle = 60
	longestPath  = 36
)

// short writes a duration in few digits, but no small one as none.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	switch size := d.Abs(); {
	case d == 0:
		return "0s"
	case size < time.Microsecond:
		return "<1µs"
	case size < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case size < 100*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case size < time.Hour:
		return d.Round(time.Millisecond).String()
	case size < 2*day:
		return d.Round(time.Minute).String()
	default:
		return fmt.Sprintf("%dd", int(math.Round(d.Hours()/day.Hours())))
	}
}

// value writes the value of a metric, in the unit that its name says.
func value(name string, v float64) string {
	name, _, _ = strings.Cut(name, "{")
	if strings.HasSuffix(name, "_seconds") || strings.HasSuffix(name, "_seconds_sum") {
		if d := v * float64(time.Second); math.Abs(d) < math.MaxInt64 {
			return short(time.Duration(d))
		}
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// middle leaves out the middle of what is too long.
func middle(s string, longest int) string {
	runes := []rune(s)
	if len(runes) <= longest {
		return s
	}
	tail := (longest - 1) / 2
	return string(runes[:longest-1-tail]) + "…" + string(runes[len(runes)-tail:])
}
