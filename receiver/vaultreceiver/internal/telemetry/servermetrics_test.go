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

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// whole is the least that is taken for the page of a Vault.
const whole = `# TYPE vault_core_unsealed gauge
vault_core_unsealed{cluster="c"} 1
# TYPE vault_core_unseal summary
vault_core_unseal_sum 1
vault_core_unseal_count 1
`

var now = time.Unix(1_000_000, 0)

func parse(t testing.TB, text string) (Page, error) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return NewPage(families)
}

func requireParse(t testing.TB, text string) Page {
	t.Helper()
	page, err := parse(t, text)
	require.NoError(t, err)
	return page
}

func convert(t *testing.T, text string) map[string]pmetric.Metric {
	t.Helper()
	metrics, err := requireParse(t, text).ServerMetrics(now, &state.Beginnings{})
	require.NoError(t, err)
	named := map[string]pmetric.Metric{}
	for _, m := range metrics.All() {
		named[m.Name()] = m
	}
	return named
}

// recorded is what a real Vault 1.19.5 gives, the active one of three with an
// audit device, but for what would add nothing.
func recorded(t testing.TB) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("testdata", "the own metrics of an active node", "page.txt"))
	require.NoError(t, err)
	return string(page)
}

func TestTheOwnMetricsOfAnActiveNode(t *testing.T) {
	found, err := requireParse(t, recorded(t)).ServerMetrics(now, &state.Beginnings{})
	require.NoError(t, err)
	metrics := pmetric.NewMetrics()
	found.MoveAndAppendTo(metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics())
	goldentest.Metrics(t, "the own metrics of an active node", metrics)
}

func TestAnActiveNodeHasNearlyEveryInstrument(t *testing.T) {
	named := convert(t, recorded(t))
	late := map[string]bool{ // It was well, and has no auto seal.
		"vault.server.barrier.rotations":       true,
		"vault.server.lease.expiration.errors": true,
		"vault.server.seal.errors":             true,
		"vault.server.seal.unreachable.time":   true,
	}
	for _, i := range instruments {
		if !late[i.name] {
			assert.Contains(t, named, i.name)
		}
	}
}

func TestLeasesAndRefusals(t *testing.T) {
	page := requireParse(t, whole+`
# TYPE process_start_time_seconds gauge
process_start_time_seconds 999999.5
# TYPE vault_expire_num_leases gauge
vault_expire_num_leases 3
# TYPE vault_quota_rate_limit_violation counter
vault_quota_rate_limit_violation{cluster="",name="a"} 1
vault_quota_rate_limit_violation{cluster="c",name="a"} 2
vault_quota_rate_limit_violation{cluster="c",name="b"} 5
`)
	leases, known := page.Leases()
	assert.True(t, known)
	assert.Equal(t, int64(3), leases)
	assert.Equal(t, state.Refusals{Since: time.Unix(999_999, 500_000_000), Counts: map[string]int64{"a": 3, "b": 5}}, page.Refusals())

	page = requireParse(t, whole)
	_, known = page.Leases()
	assert.False(t, known)
	assert.Equal(t, state.Refusals{Counts: map[string]int64{}}, page.Refusals())
}

func TestOtherPrefixes(t *testing.T) {
	for name, prefixes := range map[string][2]string{
		"another prefix":                  {"mine_", "mine_"},
		"with the name of the host":       {"vault_", "vault_some_host_example_"},
		"without gauges":                  {"vault_", ""},
		"without anything but the gauges": {"", "vault_some_host_example_"},
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			if prefix := prefixes[0]; prefix != "" {
				fmt.Fprintf(&text, "# TYPE %[1]score_handle_request summary\n%[1]score_handle_request_sum 1500\n%[1]score_handle_request_count 3\n", prefix)
			}
			if prefix := prefixes[1]; prefix != "" {
				fmt.Fprintf(&text, "# TYPE %[1]sruntime_num_goroutines gauge\n%[1]sruntime_num_goroutines 7\n", prefix)
				fmt.Fprintf(&text, "# TYPE %[1]sruntime_total_gc_runs gauge\n%[1]sruntime_total_gc_runs 5\n", prefix)
				fmt.Fprintf(&text, "# TYPE %[1]sexpire_num_leases gauge\n%[1]sexpire_num_leases 3\n", prefix)
			}
			leases, known := requireParse(t, text.String()).Leases()
			named := convert(t, text.String())
			if prefixes[0] != "" {
				assert.Equal(t, 1.5, named["vault.server.request.duration"].Summary().DataPoints().At(0).Sum())
			}
			assert.Equal(t, prefixes[1] != "", known)
			if prefixes[1] != "" {
				assert.Equal(t, int64(3), leases)
				assert.Equal(t, int64(7), named["vault.server.process.goroutine.count"].Sum().DataPoints().At(0).IntValue())
				assert.Equal(t, int64(5), named["vault.server.process.gc.runs"].Sum().DataPoints().At(0).IntValue())
			}
		})
	}
}

func TestAGaugeThatIsThereTwice(t *testing.T) {
	named := convert(t, whole+`
# TYPE vault_core_in_flight_requests gauge
vault_core_in_flight_requests{cluster=""} 4
vault_core_in_flight_requests{cluster="c"} 2
# TYPE vault_runtime_num_goroutines gauge
vault_runtime_num_goroutines{cluster=""} 9
# TYPE vault_core_mount_table_size gauge
vault_core_mount_table_size{cluster="",local="false",type="auth"} 1
vault_core_mount_table_size{cluster="c",local="false",type="auth"} 10
vault_core_mount_table_size{cluster="c",local="true",type="auth"} 5
vault_core_mount_table_size{cluster="c",local="true",type="logical"} 7
`)
	assert.Equal(t, int64(2), named["vault.server.in_flight_request.count"].Sum().DataPoints().At(0).IntValue())
	assert.Equal(t, int64(9), named["vault.server.process.goroutine.count"].Sum().DataPoints().At(0).IntValue(), "there is no other")
	sizes := named["vault.server.mount_table.size"].Sum().DataPoints()
	require.Equal(t, 2, sizes.Len())
	assert.Equal(t, int64(15), sizes.At(0).IntValue())
	assert.Equal(t, map[string]any{"vault.mount.table": "auth"}, sizes.At(0).Attributes().AsRaw())
}

func TestSummaries(t *testing.T) {
	named := convert(t, whole+`
# TYPE process_start_time_seconds gauge
process_start_time_seconds 999999.5
# TYPE vault_core_handle_request summary
vault_core_handle_request{quantile="0.5"} 10
vault_core_handle_request{quantile="0.99"} NaN
vault_core_handle_request_sum 250
vault_core_handle_request_count 20
# TYPE vault_runtime_gc_pause_ns summary
vault_runtime_gc_pause_ns{quantile="0.5"} 2e+06
vault_runtime_gc_pause_ns_sum 5e+06
vault_runtime_gc_pause_ns_count 2
# TYPE vault_expire_lease_expiration_time_in_queue summary
vault_expire_lease_expiration_time_in_queue{namespace="root",quantile="0.5"} 3
vault_expire_lease_expiration_time_in_queue_sum{namespace="root"} 5
vault_expire_lease_expiration_time_in_queue_count{namespace="root"} 2
vault_expire_lease_expiration_time_in_queue{namespace="team/",quantile="0.5"} 7
vault_expire_lease_expiration_time_in_queue_sum{namespace="team/"} 1
vault_expire_lease_expiration_time_in_queue_count{namespace="team/"} 1
`)
	request := named["vault.server.request.duration"].Summary().DataPoints().At(0)
	assert.Equal(t, 0.25, request.Sum())
	assert.Equal(t, uint64(20), request.Count())
	require.Equal(t, 1, request.QuantileValues().Len(), "what is no number is left out")
	assert.Equal(t, 0.01, request.QuantileValues().At(0).Value())
	assert.Equal(t, 0.5, request.QuantileValues().At(0).Quantile())
	assert.Equal(t, time.Unix(999_999, 500_000_000).UTC(), request.StartTimestamp().AsTime(), "it counts since the process began")
	pause := named["vault.server.process.gc.pause.duration"].Summary().DataPoints().At(0)
	assert.Equal(t, 0.005, pause.Sum())
	assert.Equal(t, 0.002, pause.QuantileValues().At(0).Value())
	wait := named["vault.server.lease.expiration.wait.duration"].Summary().DataPoints()
	require.Equal(t, 1, wait.Len())
	assert.Equal(t, 0.006, wait.At(0).Sum())
	assert.Equal(t, uint64(3), wait.At(0).Count())
	assert.Zero(t, wait.At(0).QuantileValues().Len(), "quantiles cannot be added")
}

func TestNamesThatTellTheMount(t *testing.T) {
	var text strings.Builder
	text.WriteString(whole)
	for i, name := range []string{
		"route_read_deep_path_with_dots_", "route_alias_lookahead_auth_userpass_", "route_rollback", "route_rollback_kv_",
		"route_list_list_", "route_listen_kv_", "route_", "rollback_attempt", "rollback_attempt_kv_", "rollback_attempts",
	} {
		fmt.Fprintf(&text, "# TYPE vault_%[1]s summary\nvault_%[1]s_sum %[2]d\nvault_%[1]s_count 1\n", name, (i+1)*1000)
	}
	named := convert(t, text.String())
	got := map[string]float64{}
	for _, p := range named["vault.server.route.duration"].Summary().DataPoints().All() {
		operation, _ := p.Attributes().Get("vault.operation")
		mount, _ := p.Attributes().Get("vault.mount.name")
		got[operation.Str()+" "+mount.Str()] = p.Sum()
	}
	assert.Equal(t, map[string]float64{
		"read deep_path_with_dots": 1, "alias_lookahead auth_userpass": 2, "rollback ": 3, "rollback kv": 4, "list list": 5,
	}, got)
	assert.Equal(t, 17.0, named["vault.server.rollback.duration"].Summary().DataPoints().At(0).Sum())
}

func TestWhatVaultForetells(t *testing.T) {
	foretold := `# TYPE core_leadership_lost summary
core_leadership_lost_sum 0
core_leadership_lost_count 0
`
	named := convert(t, whole+foretold)
	assert.Zero(t, named["vault.server.leadership.duration"].Summary().DataPoints().At(0).Count())
	named = convert(t, whole+foretold+`# TYPE vault_core_leadership_lost summary
vault_core_leadership_lost_sum 26000
vault_core_leadership_lost_count 2
`)
	assert.Equal(t, 26.0, named["vault.server.leadership.duration"].Summary().DataPoints().At(0).Sum())
}

func TestWhatVaultHasForgottenBeginsAnew(t *testing.T) {
	var beginnings state.Beginnings
	began := func(at time.Time, count int) (start time.Time) {
		page := requireParse(t, whole+fmt.Sprintf("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 999000\n# TYPE vault_raft_apply counter\nvault_raft_apply %d\n", count))
		metrics, err := page.ServerMetrics(at, &beginnings)
		require.NoError(t, err)
		for _, m := range metrics.All() {
			if m.Name() == "vault.server.raft.applies" {
				start = m.Sum().DataPoints().At(0).StartTimestamp().AsTime()
			}
		}
		return start
	}
	assert.Equal(t, time.Unix(999_000, 0).UTC(), began(now, 5))
	assert.Equal(t, now.UTC(), began(now.Add(time.Minute), 2))
	assert.Equal(t, now.UTC(), began(now.Add(time.Hour), 2))
}

func TestTooManySeriesAreOne(t *testing.T) {
	var text strings.Builder
	text.WriteString(whole + "# TYPE vault_secret_kv_count gauge\n")
	for i := range maxSeries + 5 {
		fmt.Fprintf(&text, "vault_secret_kv_count{mount_point=\"%04d/\"} 2\n", i)
	}
	text.WriteString("# TYPE vault_raft_replication_heartbeat summary\n")
	for i := range maxSeries + 5 {
		fmt.Fprintf(&text, "vault_raft_replication_heartbeat_sum{peer_id=\"%04d\"} 1000\nvault_raft_replication_heartbeat_count{peer_id=\"%04[1]d\"} 3\n", i)
	}
	named := convert(t, text.String())
	secrets := named["vault.server.kv.secret.count"].Sum().DataPoints()
	require.Equal(t, maxSeries+1, secrets.Len())
	assert.Equal(t, int64(10), secrets.At(maxSeries).IntValue())
	assert.Equal(t, map[string]any{"otel.metric.overflow": true}, secrets.At(maxSeries).Attributes().AsRaw())
	beats := named["vault.server.raft.heartbeat.duration"].Summary().DataPoints()
	require.Equal(t, maxSeries+1, beats.Len())
	assert.Equal(t, 5.0, beats.At(maxSeries).Sum())
	assert.Equal(t, uint64(15), beats.At(maxSeries).Count())
}

func TestPagesThatAreNotOfAVault(t *testing.T) {
	for _, text := range []string{"", "go_goroutines 1\n", "core_unseal 1\n", "_core_unsealed 1\n"} {
		_, err := parse(t, text)
		require.ErrorIs(t, err, errNotVault, text)
	}
	for reason, text := range map[string]string{
		"vault_core_handle_request is not a summary":   "vault_core_handle_request 1\n",
		"vault_runtime_num_goroutines is not a number": "# TYPE vault_runtime_num_goroutines summary\nvault_runtime_num_goroutines_count 1\n",
	} {
		metrics, err := requireParse(t, whole+text).ServerMetrics(now, &state.Beginnings{})
		require.ErrorContains(t, err, reason)
		assert.Zero(t, metrics.Len())
	}
	assert.NotContains(t, convert(t, whole+"process_open_fds NaN\nprocess_max_fds 1.8446744073709552e+19\n"), "vault.server.process.open_file_descriptor.limit")
}

func TestInstrumentsAreNamedAsTheOthers(t *testing.T) {
	require.True(t, slices.IsSortedFunc(instruments, func(a, b instrument) int { return cmp.Compare(a.name, b.name) }))
	generated := generatedNames(t)
	seen := map[string]bool{}
	for _, i := range instruments {
		assert.Regexp(t, `^vault\.server(\.[a-z]+(_[a-z]+)*)+$`, i.name)
		assert.Regexp(t, `^(s|By|\{[a-z_]+\})$`, i.unit)
		assert.Regexp(t, `\.$`, i.description)
		assert.NotRegexp(t, `_(total|seconds|bytes)$`, i.name)
		assert.Equal(t, i.kind == summary && i.unit == "s", strings.HasSuffix(i.name, ".duration"), i.name)
		assert.Equal(t, strings.HasSuffix(i.name, ".count"), i.kind == upDown && i.unit != "By" &&
			!strings.HasSuffix(i.name, ".limit") && !strings.HasSuffix(i.name, ".queue"), i.name)
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
	file, err := os.ReadFile(filepath.Join("..", "..", "server-metrics.md"))
	require.NoError(t, err)
	_, listed, found := strings.Cut(string(file), "| metric |")
	require.True(t, found)
	listed, rest, _ := strings.Cut("| metric |"+listed, "\n\n")
	require.Equal(t, table(), strings.TrimSpace(listed)+"\n")
	for _, i := range instruments {
		for _, s := range i.sources {
			for _, name := range s.attributeNames() {
				assert.Contains(t, rest, "| `"+name+"` |", i.name)
			}
		}
	}
}

// table is what the documentation says of the instruments.
func table() string {
	var lines strings.Builder
	lines.WriteString("| metric | unit | kind | attributes | Vault's name | description |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, i := range instruments {
		var names, attributes []string
		for _, s := range i.sources {
			names = append(names, s.documented())
			attributes = append(attributes, s.attributeNames()...)
		}
		slices.Sort(attributes)
		fmt.Fprintf(&lines, "| `%s` | `%s` | %s | %s | %s | %s |\n", i.name, i.unit, i.kind,
			quoted(slices.Compact(attributes), ", "), strings.Join(names, ", "), i.description)
	}
	return lines.String()
}

func (s source) attributeNames() (names []string) {
	for _, l := range s.labels {
		names = append(names, l.attribute)
	}
	for _, f := range s.fixed {
		names = append(names, f.name)
	}
	if s.split != nil {
		attributes, _ := s.split("")
		if s.below == "route_" {
			attributes, _ = s.split("read_kv_")
		}
		for _, a := range attributes {
			names = append(names, a.name)
		}
	}
	return names
}

// documented is how the documentation names the source, with the usual prefix.
func (s source) documented() string {
	if s.written != "" {
		return "`vault_" + s.written + "`"
	}
	names := slices.Clone(s.names)
	for i, name := range names {
		if !strings.HasPrefix(name, "process_") {
			names[i] = "vault_" + name
		}
	}
	return quoted(names, " or ")
}

func quoted(names []string, separator string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`"+separator+"`") + "`"
}

func FuzzPage(f *testing.F) {
	f.Add(whole)
	f.Add(recorded(f))
	f.Fuzz(func(t *testing.T, text string) {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			return
		}
		page, err := NewPage(families)
		if err != nil {
			return
		}
		page.Leases()
		page.Refusals()
		metrics, err := page.ServerMetrics(now, &state.Beginnings{})
		if err == nil {
			assert.LessOrEqual(t, metrics.Len(), len(instruments))
		}
	})
}

func BenchmarkServerMetrics(b *testing.B) {
	page := requireParse(b, recorded(b))
	var beginnings state.Beginnings
	b.ReportAllocs()
	for b.Loop() {
		_, err := page.ServerMetrics(now, &beginnings)
		require.NoError(b, err)
	}
}
