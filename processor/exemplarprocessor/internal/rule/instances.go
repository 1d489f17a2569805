// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import "go.opentelemetry.io/collector/pdata/pcommon"

const (
	serviceInstanceID = "service.instance.id"

	// mostInstances is how many are remembered.
	mostInstances = 10_000
)

// instances are those of which spans came. Who scrapes gives an instance the ID
// host:port, which is not what its spans have: then there is nothing to join.
type instances struct{ recent *recent[bool] }

func newInstances() instances { return instances{newRecent[bool](mostInstances)} }

func (i instances) add(id uint64) { i.recent.change(id, func(bool) bool { return true }) }

func (i instances) known(id uint64) bool { return i.recent.get(id) }

// see notes the instance of which spans come.
func (s *Set) see(resource pcommon.Map) {
	if id, ok := lookUp(serviceInstanceID, resource); ok && s.byInstance {
		s.instances.add(s.hasher.value(id))
	}
}

// Instance returns the rule's join by instance, if it has one, and if the
// resource is an instance of which spans came.
func (r *Rule) Instance(resource pcommon.Map) Mask {
	if r.instance == 0 {
		return 0
	}
	if id, ok := lookUp(serviceInstanceID, resource); ok && r.instances.known(r.hasher.value(id)) {
		return r.instance
	}
	return 0
}
