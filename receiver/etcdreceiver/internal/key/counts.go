// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package key

import "strings"

// Counts are of the remembered keys under a prefix, and of what was done with
// any key there since the Space was made.
type Counts struct {
	Keys, Size    int64
	Puts, Deletes int64
}

// Counts returns the counts by watched prefix. A key counts under the longest one.
func (s *Space) Counts() map[string]Counts {
	counts := make(map[string]Counts, len(s.counts))
	for prefix, c := range s.counts {
		counts[prefix] = *c
	}
	return counts
}

// OverLimit returns how many keys are not remembered because there are too many.
func (s *Space) OverLimit() int {
	n := 0
	for _, k := range s.under {
		n += k.overLimit
	}
	return n
}

// watched is a prefix whose keys are reported, with its counts.
type watched struct {
	prefix string
	*Counts
}

// countsOf returns where a key counts; nil if it is not watched.
func (k *Keys) countsOf(name string) *Counts {
	for _, w := range k.watched {
		if strings.HasPrefix(name, w.prefix) {
			return w.Counts
		}
	}
	return nil
}

// add takes in that a key is remembered, and drop that it no longer is.
func (c *Counts) add(key Key)  { c.resize(1, key) }
func (c *Counts) drop(key Key) { c.resize(-1, key) }

func (c *Counts) resize(keys int64, key Key) {
	if c != nil {
		c.Keys += keys
		c.Size += keys * int64(len(key.Name)+key.Size)
	}
}
