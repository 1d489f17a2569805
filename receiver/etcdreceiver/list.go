// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"crypto/sha256"
	enchex "encoding/hex"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
)

// selection is what is taken of the keys that etcd tells.
type selection struct {
	names       pattern.Matcher
	limit       int
	prevKV      bool
	fingerprint bool
}

// list returns the keys under a covering prefix, as many as are remembered, and
// the ID of the cluster. revision is that of the list, or 0 for the newest.
func list(ctx context.Context, api *etcdapi.Client, pick selection, prefix string, revision int64) (keyspace.Observation, uint64, error) {
	observed := keyspace.Observation{Prefix: prefix, Listed: true}
	listed, err := api.List(ctx, prefix, revision, func(k etcdapi.Key) bool {
		if pick.names.Match(k.Name) {
			observed.Keys = append(observed.Keys, key.Key(k))
		}
		return len(observed.Keys) < pick.limit
	})
	if err != nil {
		return keyspace.Observation{}, 0, err
	}
	observed.Revision, observed.More = listed.Revision, listed.More
	return observed, listed.Cluster, nil
}

// changes returns what is observed of a watch response. Values stay behind.
func (p selection) changes(response etcdapi.Response) []key.Change {
	changes := make([]key.Change, 0, response.Count)
	for read := range response.Changes {
		if !p.names.Match(read.Key.Name) {
			continue
		}
		c := key.Change{Key: key.Key(read.Key), Deleted: read.Deleted, Before: key.Key(read.Before)}
		if p.fingerprint && !c.Deleted {
			sum := sha256.Sum256(read.Value)
			c.Fingerprint = enchex.EncodeToString(sum[:])
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil // not to keep its room
	}
	return changes
}
