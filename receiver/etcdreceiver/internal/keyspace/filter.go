// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
)

// filter is what is taken of the keys that are read.
type filter struct {
	names       pattern.Matcher
	limit       int
	fingerprint bool
}

// list returns the keys under a covering prefix, as many as are remembered, and
// the ID of the cluster. revision is that of the list, or 0 for the newest.
func (f filter) list(ctx context.Context, api *etcdapi.Client, prefix string, revision int64) (Observation, uint64, error) {
	observed := Observation{Prefix: prefix, Listed: true}
	listed, err := api.List(ctx, prefix, revision, func(k etcdapi.Key) bool {
		if f.names.Match(k.Name) {
			observed.Keys = append(observed.Keys, key.Key(k))
		}
		return len(observed.Keys) < f.limit
	})
	if err != nil {
		return Observation{}, 0, err
	}
	observed.Revision, observed.More = listed.Revision, listed.More
	return observed, listed.Cluster, nil
}

// changes returns what is observed of a watch response. Values stay behind.
func (f filter) changes(response etcdapi.Response) []key.Change {
	changes := make([]key.Change, 0, response.Count)
	for read := range response.Changes {
		if !f.names.Match(read.Key.Name) {
			continue
		}
		c := key.Change{Key: key.Key(read.Key), Deleted: read.Deleted}
		if read.Before.Version > 0 {
			before := key.Key(read.Before)
			c.Before = &before
		}
		if f.fingerprint && !c.Deleted {
			sum := sha256.Sum256(read.Value)
			c.Fingerprint = hex.EncodeToString(sum[:])
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil // not to keep its room
	}
	return changes
}
