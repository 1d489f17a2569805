// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
)

// whole is the least that is taken for the page of an etcd.
const whole = "etcd_server_has_leader 1\n"

func convert(t *testing.T, page string) (pmetric.MetricSlice, error) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	require.NoError(t, err)
	return MemberMetrics(families, pcommon.NewTimestampFromTime(time.Unix(1_000_000, 0)))
}

func requireConvert(t *testing.T, page string) map[string]pmetric.Metric {
	t.Helper()
	metrics, err := convert(t, page)
	require.NoError(t, err)
	named := map[string]pmetric.Metric{}
	for _, m := range metrics.All() {
		named[m.Name()] = m
	}
	return named
}

// recorded is what a real etcd gives, version 3.7.3 with --metrics=extensive, but
// for metrics, gRPC methods and codes that would add nothing.
func recorded(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("testdata", "the own metrics of a member of three", "page.txt"))
	require.NoError(t, err)
	return string(page)
}

func TestTheOwnMetricsOfAMember(t *testing.T) {
	found, err := convert(t, recorded(t))
	require.NoError(t, err)
	metrics := pmetric.NewMetrics()
	found.MoveAndAppendTo(metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics())
	goldentest.Metrics(t, "the own metrics of a member of three", metrics)
}

func TestAMemberOfThreeHasEveryInstrument(t *testing.T) {
	named := requireConvert(t, recorded(t))
	for _, i := range instruments {
		if i.name != "etcd.peer.failures" && i.name != "etcd.peer.disconnects" { // It was well.
			assert.Contains(t, named, i.name)
		}
	}
}

func TestCountersBeginWithTheProcess(t *testing.T) {
	named := requireConvert(t, whole+`
# TYPE process_start_time_seconds gauge
process_start_time_seconds 999999.5
etcd_server_proposals_failed_total 3
etcd_server_proposals_committed_total 70
`)
	began := pcommon.NewTimestampFromTime(time.Unix(999_999, 500_000_000))
	assert.Equal(t, began, named["etcd.raft.failed_proposals"].Sum().DataPoints().At(0).StartTimestamp())
	committed := named["etcd.raft.committed_proposals"].Sum()
	assert.True(t, committed.IsMonotonic())
	assert.Zero(t, committed.DataPoints().At(0).StartTimestamp(), "it goes on over restarts")
	assert.Equal(t, int64(70), committed.DataPoints().At(0).IntValue())
}

func TestOtherSpellings(t *testing.T) {
	named := requireConvert(t, whole+`
etcd_debugging_mvcc_put_total 4
etcd_mvcc_range_total 5
etcd_debugging_mvcc_range_total 6
os_fd_used 7
process_max_fds 1.8446744073709552e+19
`)
	operations := named["etcd.member.operations"].Sum().DataPoints()
	require.Equal(t, 2, operations.Len())
	assert.Equal(t, map[string]any{"etcd.operation": "put"}, operations.At(0).Attributes().AsRaw())
	assert.Equal(t, int64(4), operations.At(0).IntValue())
	assert.Equal(t, int64(5), operations.At(1).IntValue(), "the newer one counts, and once")
	assert.Equal(t, int64(7), named["etcd.process.open_file_descriptor.count"].Sum().DataPoints().At(0).IntValue())
	assert.NotContains(t, named, "etcd.process.open_file_descriptor.limit", "unlimited is no number")
}

func TestSeriesAreSummedOverOtherLabels(t *testing.T) {
	named := requireConvert(t, whole+`
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_type="unary"} 2
grpc_server_handled_total{grpc_code="OK",grpc_method="Range",grpc_type="unary"} 3
grpc_server_handled_total{grpc_code="Unavailable",grpc_method="Range",grpc_type="unary"} 1
# TYPE etcd_debugging_mvcc_db_compaction_total_duration_milliseconds histogram
etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_bucket{le="100"} 1
etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_bucket{le="200"} 3
etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_bucket{le="+Inf"} 6
etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_sum 2500
etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count 6
# TYPE etcd_server_apply_duration_seconds histogram
etcd_server_apply_duration_seconds_bucket{op="Put",success="true",le="1"} 1
etcd_server_apply_duration_seconds_bucket{op="Put",success="true",le="+Inf"} 2
etcd_server_apply_duration_seconds_sum{op="Put",success="true"} 3
etcd_server_apply_duration_seconds_count{op="Put",success="true"} 2
etcd_server_apply_duration_seconds_bucket{op="Txn",success="true",le="1"} 4
etcd_server_apply_duration_seconds_bucket{op="Txn",success="true",le="+Inf"} 4
etcd_server_apply_duration_seconds_sum{op="Txn",success="true"} 1.5
etcd_server_apply_duration_seconds_count{op="Txn",success="true"} 4
`)
	handled := named["etcd.grpc.handled_requests"].Sum().DataPoints()
	require.Equal(t, 2, handled.Len())
	assert.Equal(t, int64(5), handled.At(0).IntValue())
	assert.Equal(t, map[string]any{"etcd.grpc.code": "OK", "etcd.grpc.type": "unary"}, handled.At(0).Attributes().AsRaw())

	compaction := named["etcd.db.compaction.duration"].Histogram().DataPoints().At(0)
	assert.Equal(t, []float64{0.1, 0.2}, compaction.ExplicitBounds().AsRaw())
	assert.Equal(t, []uint64{1, 2, 3}, compaction.BucketCounts().AsRaw())
	assert.Equal(t, 2.5, compaction.Sum())
	assert.Equal(t, uint64(6), compaction.Count())

	applies := named["etcd.raft.apply.duration"].Histogram().DataPoints()
	require.Equal(t, 1, applies.Len())
	assert.Equal(t, []uint64{5, 1}, applies.At(0).BucketCounts().AsRaw())
	assert.Equal(t, 4.5, applies.At(0).Sum())
	assert.Equal(t, map[string]any{"outcome": "success"}, applies.At(0).Attributes().AsRaw())
}

func TestWhatIsNoNumberIsLeftOut(t *testing.T) {
	assert.Empty(t, requireConvert(t, whole+"process_open_fds NaN\ngo_goroutines +Inf\n"))
}

func TestPagesThatAreNotOfAnEtcd(t *testing.T) {
	for reason, page := range map[string]string{
		"the page is not that of an etcd":                         "go_goroutines 1\n",
		"etcd_disk_wal_fsync_duration_seconds is not a histogram": whole + "etcd_disk_wal_fsync_duration_seconds 1\n",
		"go_goroutines is not a number":                           whole + "# TYPE go_goroutines histogram\n" + buckets("go_goroutines", 1, 2, 2),
		"is not a number":                                         whole + "# TYPE go_goroutines summary\ngo_goroutines_sum 1\ngo_goroutines_count 1\n",
		"buckets that do not add up":                              fsync(2, 1, 2),
		"etcd_disk_wal_fsync_duration_seconds has buckets that":   fsync(1, 2, 1),
		"counts in fractions":                                     fsync(1, 1.5, 2),
		"has buckets that differ between its series": whole + `# TYPE etcd_server_apply_duration_seconds histogram
etcd_server_apply_duration_seconds_bucket{op="Put",le="1"} 1
etcd_server_apply_duration_seconds_count{op="Put"} 1
etcd_server_apply_duration_seconds_bucket{op="Txn",le="2"} 1
etcd_server_apply_duration_seconds_count{op="Txn"} 1
`,
	} {
		metrics, err := convert(t, page)
		require.ErrorContains(t, err, reason)
		require.ErrorIs(t, err, errNotEtcd)
		assert.Zero(t, metrics.Len())
	}
	var peers strings.Builder
	peers.WriteString(whole)
	for i := range maxSeries + 1 {
		fmt.Fprintf(&peers, "etcd_network_peer_sent_bytes_total{To=\"%x\"} 1\n", i)
	}
	_, err := convert(t, peers.String())
	require.ErrorContains(t, err, "etcd_network_peer_sent_bytes_total has more than 1000 series")
}

func fsync(first, second, all float64) string {
	return whole + "# TYPE etcd_disk_wal_fsync_duration_seconds histogram\n" + buckets("etcd_disk_wal_fsync_duration_seconds", first, second, all)
}

func buckets(name string, first, second, all float64) string {
	return fmt.Sprintf("%[1]s_bucket{le=\"1\"} %[2]v\n%[1]s_bucket{le=\"2\"} %[3]v\n%[1]s_bucket{le=\"+Inf\"} %[4]v\n%[1]s_sum 1\n%[1]s_count %[4]v\n", name, first, second, all)
}

func TestInstrumentsAreNamedAsTheOthers(t *testing.T) {
	require.True(t, slices.IsSortedFunc(instruments, func(a, b instrument) int { return cmp.Compare(a.name, b.name) }))
	generated := generatedNames(t)
	seen := map[string]bool{}
	for _, i := range instruments {
		assert.Regexp(t, `^etcd(\.[a-z]+(_[a-z]+)*)+$`, i.name)
		assert.Regexp(t, `^(s|By|\{[a-z_]+\})$`, i.unit)
		assert.Regexp(t, `\.$`, i.description)
		assert.NotRegexp(t, `_(total|seconds|bytes)$`, i.name)
		assert.Equal(t, strings.HasSuffix(i.name, ".count"), i.kind == upDown && i.unit != "By" && !strings.HasSuffix(i.name, ".limit"), i.name)
		assert.Equal(t, i.kind == distribution, strings.HasSuffix(i.name, ".duration"), i.name)
		// Prometheus would make one name of two that differ in dots only.
		plain := strings.ReplaceAll(i.name, ".", "_")
		assert.False(t, seen[plain] || generated[plain], i.name)
		seen[plain] = true
	}
}

func generatedNames(t *testing.T) map[string]bool {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", "metadata.yaml"))
	require.NoError(t, err)
	var declared struct{ Metrics map[string]any }
	require.NoError(t, yaml.Unmarshal(file, &declared))
	require.NotEmpty(t, declared.Metrics)
	names := map[string]bool{}
	for name := range declared.Metrics {
		names[strings.ReplaceAll(name, ".", "_")] = true
	}
	return names
}

func TestTheDocumentationListsTheInstruments(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "member-metrics.md"))
	require.NoError(t, err)
	_, listed, found := strings.Cut(string(file), "| metric |")
	require.True(t, found)
	listed, _, _ = strings.Cut("| metric |"+listed, "\n\n")
	require.Equal(t, table(), strings.TrimSpace(listed)+"\n")
}

// table is what the documentation says of the instruments.
func table() string {
	var lines strings.Builder
	lines.WriteString("| metric | unit | kind | attributes | etcd's name | description |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, i := range instruments {
		var names, attributes []string
		for _, s := range i.sources {
			names = append(names, quoted(s.names, " or "))
			for _, l := range s.labels {
				attributes = append(attributes, l.attribute)
			}
			for _, f := range s.fixed {
				attributes = append(attributes, f.name)
			}
		}
		slices.Sort(attributes)
		fmt.Fprintf(&lines, "| `%s` | `%s` | %s | %s | %s | %s |\n", i.name, i.unit, i.kind,
			quoted(slices.Compact(attributes), ", "), strings.Join(names, ", "), i.description)
	}
	return lines.String()
}

func quoted(names []string, separator string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`"+separator+"`") + "`"
}

func BenchmarkMemberMetrics(b *testing.B) {
	page, err := os.ReadFile(filepath.Join("testdata", "the own metrics of a member of three", "page.txt"))
	require.NoError(b, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	var families map[string]*dto.MetricFamily
	families, err = parser.TextToMetricFamilies(strings.NewReader(string(page)))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := MemberMetrics(families, 0)
		require.NoError(b, err)
	}
}
