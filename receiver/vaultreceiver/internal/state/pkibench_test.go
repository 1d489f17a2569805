// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What it costs to take in a certificate: to parse it, and to compare it with as
// many roles.
func BenchmarkReadCertificate(b *testing.B) {
	for _, roles := range []int{0, 10, 100} {
		b.Run(fmt.Sprintf("roles=%d", roles), func(b *testing.B) {
			text := inPEM("CERTIFICATE", certified(b, nil).Raw)
			m := newMount(b, PKIProgress{}, 0)
			all := map[string]Role{}
			for i := range roles {
				all[strconv.Itoa(i)] = webRole(func(r *Role) { r.AllowedDomains = []string{fmt.Sprintf("%d.example.com", i)} })
			}
			m.SetRoles(all, time.Hour)
			for b.Loop() {
				m.List(pkiAt(0), mustSerials(1, 1), 0, 1)
				c, err := ParseCertificate(text)
				require.NoError(b, err)
				m.Read(pkiAt(0), pkiSerial(1), c, time.Time{})
				m.Forget(pkiSerial(1))
			}
		})
	}
}

// What it costs to look what is to be told of many certificates, and to count them;
// and what they take.
func BenchmarkManyCertificates(b *testing.B) {
	const many = 20_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	serials := make([]Serial, many)
	for i := range serials {
		serials[i].length = maxSerial
		binary.BigEndian.PutUint32(serials[i].octets[:], uint32(i))
	}
	c := certified(b, nil)
	before := heap()
	m := newMount(b, PKIProgress{}, 0)
	m.List(pkiAt(0), serials, 0, many)
	m.ListRevoked(pkiAt(0), nil, 0)
	for i, s := range serials {
		c.DNSNames = []string{fmt.Sprintf("%d.example.com", i)}
		m.Read(pkiAt(0), s, c, time.Time{})
	}
	m.Due(pkiAt(time.Minute), 1000)
	m.Count(pkiAt(time.Minute), time.Hour)
	taken := heap() - before
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			effects, _ := m.Due(pkiAt(time.Minute), 1000)
			require.Empty(b, effects)
		}
		b.ReportMetric(float64(taken)/many, "heap-B/certificate")
	})
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			require.Len(b, m.Count(pkiAt(time.Minute), time.Hour).Certificates, 1)
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			m.List(pkiAt(0), serials, 0, many)
		}
	})
	runtime.KeepAlive(m)
}
