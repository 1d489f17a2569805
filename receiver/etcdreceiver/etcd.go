// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import "github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"

// The names under which parts of the receiver report their condition. The first is
// followed by what it is about.
const (
	watchOf     = "watch of "
	storageOf   = collect.StorageOf
	limitKeys   = "watch::limit"
	limitLeases = "leases::limit"
	leasesAsked = "leases"
	leasesList  = "list of leases"
)
