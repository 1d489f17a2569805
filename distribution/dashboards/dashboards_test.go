// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-infra/otelcol-infra/distribution/dashboards"
)

// Metrics that no metadata.yaml declares, as mdatagen makes no histograms: the receivers' own, which their READMEs list,
// and those of applications.
var histograms = map[string][]string{
	"consul": nil,
	"etcd":   {"etcd.lock.wait.duration", "etcd.lock.hold.duration"},
	"vault":  {"vault.request.duration"},
}

var ofApplications = []string{
	"http_server_request_duration_seconds",        // semantic conventions of HTTP
	"orders_order_duration_seconds",               // examples/order/orders
	"users_request_duration_seconds",              // examples/order/users
	"temporal_workflow_endtoend_latency_seconds",  // Temporal's SDK, in examples/order/worker
	"temporal_activity_execution_latency_seconds", // the same
	"temporal_workflow_completed_total",           // the same
	"temporal_workflow_failed_total",              // the same
	"temporal_activity_execution_failed_total",    // the same
}

// declared are the names that metrics have in Prometheus.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	addHistogram := func(name string) {
		for _, part := range []string{"_bucket", "_count", "_sum"} {
			names[name+part] = true
		}
	}
	for receiver, listed := range histograms {
		folder := "../../receiver/" + receiver + "receiver/"
		content, err := os.ReadFile(folder + "metadata.yaml")
		require.NoError(t, err)
		var metadata struct {
			Metrics map[string]struct {
				Enabled bool
				Unit    string
				Sum     *struct{ Monotonic bool }
			}
		}
		require.NoError(t, yaml.Unmarshal(content, &metadata))
		require.NotEmpty(t, metadata.Metrics)
		for name, m := range metadata.Metrics {
			if m.Enabled { // A dashboard must not need what is off by default.
				names[inPrometheus(name, m.Unit, m.Sum != nil && m.Sum.Monotonic)] = true
			}
		}
		readme, err := os.ReadFile(folder + "README.md")
		require.NoError(t, err)
		for _, name := range listed {
			require.Contains(t, string(readme), "`"+name+"`")
			addHistogram(inPrometheus(name, "s", false))
		}
	}
	for _, name := range ofApplications {
		names[name] = true
		if strings.HasSuffix(name, "_seconds") {
			addHistogram(name)
		}
	}
	return names
}

func inPrometheus(name, unit string, counter bool) string {
	name = strings.ReplaceAll(name, ".", "_")
	if suffix := map[string]string{"s": "_seconds", "By": "_bytes", "1": "_ratio"}[unit]; !strings.HasSuffix(name, suffix) {
		name += suffix
	}
	if counter {
		name += "_total"
	}
	return name
}

// An identifier that is neither a label in braces or after by, nor a function.
var (
	quoted     = regexp.MustCompile(`"[^"]*"`)
	grouping   = regexp.MustCompile(`\b(by|without|on|ignoring)\s*\([^)]*\)`)
	matchers   = regexp.MustCompile(`\{[^}]*\}`)
	rangeOf    = regexp.MustCompile(`\[[^\]]*\]`)
	identifier = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*(\s*\()?`)
)

func metricsOf(expr string) (names []string) {
	for _, drop := range []*regexp.Regexp{quoted, grouping, matchers, rangeOf} {
		expr = drop.ReplaceAllString(expr, "")
	}
	for _, name := range identifier.FindAllString(expr, -1) {
		if !strings.HasSuffix(name, "(") && !slices.Contains([]string{"sum", "min", "max", "count", "avg", "and", "or", "unless"}, name) {
			names = append(names, name)
		}
	}
	return names
}

func TestPanelsNameOnlyMetricsThatAreThere(t *testing.T) {
	known := declared(t)
	for _, d := range dashboards.All() {
		for _, p := range d.Panels {
			require.NotEmpty(t, p.Queries, p.Title)
			exprs := []string{}
			if p.Exemplars != "" {
				exprs = append(exprs, p.Exemplars)
			}
			for _, q := range p.Queries {
				exprs = append(exprs, q.Expr)
				assert.NotEmpty(t, q.Legend, p.Title)
			}
			for _, expr := range exprs {
				names := metricsOf(expr)
				require.NotEmpty(t, names, expr)
				for _, name := range names {
					assert.True(t, known[name], "%s: %q asks for %s, which nobody declares", d.Title, p.Title, name)
				}
			}
			assert.NotEmpty(t, p.Description, p.Title)
		}
	}
}

// Panels and dashboards are found by their titles and names.
func TestTitlesAndNamesAreUnique(t *testing.T) {
	names := map[string]bool{}
	for _, d := range dashboards.All() {
		assert.False(t, names[d.Name], d.Name)
		names[d.Name] = true
		titles := map[string]bool{}
		for _, p := range d.Panels {
			assert.False(t, titles[p.Title], p.Title)
			titles[p.Title] = true
		}
	}
}

// A panel is in the layout once, within the 24 columns, and covers no other.
func TestPersesLayout(t *testing.T) {
	for _, d := range dashboards.All() {
		encoded, err := json.Marshal(d.Perses())
		require.NoError(t, err)
		var perses struct {
			Spec struct {
				Panels map[string]struct {
					Spec struct{ Display struct{ Name string } }
				}
				Layouts []struct {
					Spec struct {
						Items []struct {
							X, Y, Width, Height int
							Content             map[string]string
						}
					}
				}
			}
		}
		require.NoError(t, json.Unmarshal(encoded, &perses))
		require.Len(t, perses.Spec.Panels, len(d.Panels))
		taken := map[[2]int]string{}
		var titles []string
		for _, item := range perses.Spec.Layouts[0].Spec.Items {
			name := strings.TrimPrefix(item.Content["$ref"], "#/spec/panels/")
			titles = append(titles, perses.Spec.Panels[name].Spec.Display.Name)
			assert.LessOrEqual(t, item.X+item.Width, 24, name)
			for x := item.X; x < item.X+item.Width; x++ {
				for y := item.Y; y < item.Y+item.Height; y++ {
					assert.Empty(t, taken[[2]int{x, y}], "%s covers another panel", name)
					taken[[2]int{x, y}] = name
				}
			}
		}
		var want []string
		for _, p := range d.Panels {
			want = append(want, p.Title)
		}
		assert.Equal(t, want, titles)
	}
}

func TestPersesColorsQueriesOfStates(t *testing.T) {
	encoded, err := json.Marshal(dashboards.All()[0].Perses())
	require.NoError(t, err)
	var perses struct {
		Spec struct {
			Panels map[string]struct {
				Spec struct {
					Display struct{ Name string }
					Plugin  struct {
						Spec struct {
							QuerySettings []struct {
								QueryIndex            int
								ColorMode, ColorValue string
							}
						}
					}
					Queries []struct {
						Spec struct {
							Plugin struct {
								Spec struct{ SeriesNameFormat string }
							}
						}
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(encoded, &perses))
	colors := map[string]string{}
	for _, p := range perses.Spec.Panels {
		for _, s := range p.Spec.Plugin.Spec.QuerySettings {
			assert.Equal(t, "Checks by status", p.Spec.Display.Name)
			assert.Equal(t, "fixed", s.ColorMode)
			colors[p.Spec.Queries[s.QueryIndex].Spec.Plugin.Spec.SeriesNameFormat] = s.ColorValue
		}
	}
	assert.Equal(t, map[string]string{"passing": "#1b7a43", "warning": "#d98200", "critical": "#b3261e"}, colors)
}
