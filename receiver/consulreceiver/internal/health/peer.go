// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// maxUncheckedImports is how many imported services are read one by one at a
// collection: those with instances that have no check, or are in maintenance.
const maxUncheckedImports = 32

// Imported is a service that a peer exports.
type Imported struct{ Service, Peer string }

func (i Imported) compare(other Imported) int {
	return cmp.Or(strings.Compare(i.Service, other.Service), strings.Compare(i.Peer, other.Peer))
}

// readImported reads the health of the services that peers export. A peer sends one
// check for an instance that has any, with the health of the instance.
func readImported(ctx context.Context, c *consulapi.Client, filters collect.Filters) (map[Imported]Instances, error) {
	type summary struct {
		Name                                                        string `answer:"required"`
		PeerName                                                    string
		InstanceCount, ChecksPassing, ChecksWarning, ChecksCritical int64
	}
	services, _, err := consulapi.GetIndexed[[]summary](ctx, c, endpointImported, consulapi.Query{Filter: `Service.PeerName != ""`})
	if err != nil {
		return nil, err
	}
	services = slices.DeleteFunc(services, func(s summary) bool { return s.PeerName == "" || !filters.Services.Match(s.Name) })
	imported := make(map[Imported]Instances, len(services))
	left := maxUncheckedImports
	for _, s := range services {
		id := Imported{s.Name, s.PeerName}
		counts := Instances{Passing: s.ChecksPassing, Warning: s.ChecksWarning, Critical: s.ChecksCritical}
		if rest := s.InstanceCount - counts.Passing - counts.Warning - counts.Critical; rest > 0 && left > 0 {
			left--
			if counts, err = readImportedService(ctx, c, id); err != nil {
				return nil, err
			}
		} else {
			counts.Unknown = max(0, rest)
		}
		imported[id] = counts
	}
	return imported, nil
}

// readImportedService reads the health of the instances of one imported service.
func readImportedService(ctx context.Context, c *consulapi.Client, of Imported) (counts Instances, err error) {
	instances, _, err := consulapi.GetIndexed[[]struct {
		Checks []struct{ CheckID, Status string } `answer:"required"`
	}](ctx, c, endpointService, consulapi.Query{Peer: of.Peer, Object: of.Service})
	for _, i := range instances {
		var checks [classes]int64
		for _, check := range i.Checks {
			if Status(check.Status) == Maintenance { // so says the peer
				checks[maintenance]++
			} else {
				checks[classOf(NewCheckID("", check.CheckID), Status(check.Status))]++
			}
		}
		counts.add(worst(checks, [classes]int64{}))
	}
	return counts, err
}
