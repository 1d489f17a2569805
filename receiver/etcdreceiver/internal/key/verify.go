// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package key

import (
	"fmt"
	"iter"
	"maps"
)

// All returns the keys that are known, in no order.
func (k *Keys) All() iter.Seq[Key] { return maps.Values(k.known) }

// Count returns how many keys there are, known and over the limit.
func (k *Keys) Count() int { return len(k.known) + k.overLimit }

// Verify returns an error if what is known contradicts itself. Tests call it after
// each step.
func (s *Space) Verify() error {
	remembered := 0
	for _, k := range s.under {
		remembered += len(k.known)
		for name, key := range k.known {
			if name != key.Name {
				return fmt.Errorf("%s is remembered as %s", name, key.Name)
			}
		}
	}
	if s.remembered != remembered || remembered > s.limit {
		return fmt.Errorf("%d keys are counted as %d, of %d at most", remembered, s.remembered, s.limit)
	}
	return nil
}
