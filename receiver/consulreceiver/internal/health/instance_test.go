// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestInstancesByHealth(t *testing.T) {
	for name, tc := range map[string]struct {
		checks Checks
		totals map[string]int64
		want   map[string]Instances
	}{
		"nothing": {nil, nil, map[string]Instances{}},
		"an instance is as its worst check": {
			checks: Checks{
				{"n1", "a"}: {Service: "web", ServiceID: "web-1", Status: Passing},
				{"n1", "b"}: {Service: "web", ServiceID: "web-1", Status: Critical},
				{"n1", "c"}: {Service: "web", ServiceID: "web-1", Status: Warning},
				{"n1", "d"}: {Service: "web", ServiceID: "web-2", Status: Warning},
				{"n1", "e"}: {Service: "web", ServiceID: "web-3", Status: Passing},
			},
			want: map[string]Instances{"web": {Passing: 1, Warning: 1, Critical: 1}},
		},
		"a check of the node counts for every instance on it": {
			checks: Checks{
				{"n1", "serfHealth"}: {Status: Critical},
				{"n1", "maintained"}: {Status: Warning},
				{"n1", "a"}:          {Service: "web", ServiceID: "web-1", Status: Passing},
				{"n1", "b"}:          {Service: "db", ServiceID: "db-1", Status: Warning},
				{"n2", "serfHealth"}: {Status: Warning},
				{"n2", "a"}:          {Service: "web", ServiceID: "web-1", Status: Passing},
				{"n2", "b"}:          {Service: "db", ServiceID: "db-1", Status: Critical},
			},
			want: map[string]Instances{"web": {Warning: 1, Critical: 1}, "db": {Critical: 2}},
		},
		"one ID on two nodes, or of two services, is two instances": {
			checks: Checks{
				{"n1", "a"}: {Service: "web", ServiceID: "1", Status: Critical},
				{"n2", "a"}: {Service: "web", ServiceID: "1", Status: Passing},
				{"n2", "b"}: {Service: "db", ServiceID: "1", Status: Passing},
			},
			want: map[string]Instances{"web": {Passing: 1, Critical: 1}, "db": {Passing: 1}},
		},
		"instances without a check are passing, on nodes that are well": {
			checks: Checks{{"n1", "a"}: {Service: "web", ServiceID: "1", Status: Critical}},
			totals: map[string]int64{"web": 3, "db": 2},
			want:   map[string]Instances{"web": {Critical: 1, Passing: 2}, "db": {Passing: 2}},
		},
		"totals that lag behind take nothing away": {
			checks: Checks{
				{"n1", "a"}: {Service: "web", ServiceID: "1", Status: Critical},
				{"n1", "b"}: {Service: "web", ServiceID: "2", Status: Passing},
				{"n1", "c"}: {Service: "db", ServiceID: "1", Status: Passing},
			},
			totals: map[string]int64{"web": 1, "gone": 0},
			want:   map[string]Instances{"web": {Passing: 1, Critical: 1}, "db": {Passing: 1}, "gone": {}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, InstancesByHealth(tc.checks, tc.totals))
		})
	}
}
