// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/normalize"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/series"
)

func load(t *testing.T, file string) (*Config, error) {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config", file))
	require.NoError(t, err)
	cfg := defaultConfig()
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, xconfmap.Validate(cfg)
}

func TestConfig(t *testing.T) {
	cfg, err := load(t, "full.yaml")
	require.NoError(t, err)
	assert.Equal(t, &Config{
		Normalize: NormalizeConfig{TraceIDs: []string{"uber-trace-id"}, SpanIDs: []string{"uber-span-id"}, Traceparents: []string{"tp"}, Repeated: "pass"},
		Promote:   PromoteConfig{TraceIDs: []string{"trace"}, SpanIDs: []string{"span"}},
		Attach: AttachConfig{
			Presets: []string{"http", "etcd"},
			Rules: []rule.Config{
				{
					Name: "jobs", Metrics: []string{`jobs\..*`, "job_.*"},
					Spans: rule.SpansConfig{Kinds: []string{"consumer", "internal"}, Names: []string{"run .*"}, Attributes: map[string]string{"queue.type": "mail"}},
					Join:  []rule.JoinConfig{{Metric: "service.name"}, {Metric: "queue", Span: "messaging.destination.name"}, {Metric: "region", Optional: true}},
					Unit:  "ms",
				},
				{Metrics: []string{"jobs_size"}, Join: []rule.JoinConfig{{Metric: "service.name"}}, Value: "job.size"},
			},
			Existing: "keep", Prefer: "slowest", MaxPerPoint: 3, MaxPerSecond: 50, TTL: 2 * time.Minute, Candidates: 1000, Series: 2000, Repeat: time.Minute,
		},
	}, cfg)
	assert.Equal(t, series.Options{PerPoint: 3, Prefer: series.Slowest, Keep: 2 * time.Minute, Ahead: 10 * time.Second, Repeat: time.Minute}, cfg.Attach.options())
	names := []string{"jobs", ""}
	for _, preset := range []string{"http", "etcd"} {
		for _, r := range rule.Preset(preset) {
			names = append(names, r.Name)
		}
	}
	for i, r := range cfg.rules() {
		assert.Equal(t, names[i], r.Name, "those of the presets come last, in their order")
	}
	assert.Len(t, cfg.rules(), len(names))
}

func TestDefaults(t *testing.T) {
	cfg, err := load(t, "empty.yaml")
	require.NoError(t, err)
	assert.Equal(t, NewFactory().CreateDefaultConfig(), cfg)
	assert.Equal(t, normalize.DefaultAliases(), cfg.Normalize.aliases())
	assert.Empty(t, cfg.rules())
	assert.Equal(t, PromoteConfig{}, cfg.Promote)
	cfg.Normalize = NormalizeConfig{}
	assert.Equal(t, &Config{Attach: AttachConfig{
		Existing: "merge", Prefer: "newest", MaxPerPoint: 20, MaxPerSecond: 1000, TTL: 5 * time.Minute, Candidates: 100_000, Series: 100_000,
	}}, cfg)
}

func TestConfigsThatAreRefused(t *testing.T) {
	refused := map[string]string{
		"typo.yaml":                  "has invalid keys: atach (check their spelling; the component's README lists its keys)",
		"nested typo.yaml":           "'attach' has invalid keys: preset",
		"typo in a rule.yaml":        "has invalid keys: metric",
		"join of a text.yaml":        "(the component's README lists its keys and what they are)",
		"bad duration.yaml":          "(write durations like 10s or 1m30s; the component's README lists its keys)",
		"no unit.yaml":               "attach::ttl is 5ns: write a duration with a unit, such as 5m",
		"repeat without a unit.yaml": "attach::repeat is 60ns: write a duration with a unit, such as 1m, or 0s for once",
		"negative repeat.yaml":       "attach::repeat is -1m0s: write a duration with a unit, such as 1m, or 0s for once",
		"unknown preset.yaml":        `attach::presets[1] is "htttp": set it to one of consul, envoy, etcd, http, rpc, spanmetrics, vault`,
		"preset twice.yaml":          "attach::presets[2] is http again: name each preset once",
		"unknown repeated.yaml":      `normalize::repeated is "once": set it to one of drop, pass`,
		"unknown existing.yaml":      `attach::existing is "overwrite": set it to one of keep, merge, replace`,
		"unknown prefer.yaml":        `attach::prefer is "fastest": set it to one of newest, errors, slowest`,
		"no exemplars.yaml":          "attach::max_per_point is 0: set it to a number above 0",
		"negative limit.yaml":        "attach::max_per_second is -1: set it to 0 for no limit, or to how many exemplars are attached at most",
		"no candidates.yaml":         "attach::candidates is 0: set it to a number above 0",
		"no series.yaml":             "attach::series is -5: set it to a number above 0",
		"empty alias.yaml":           "normalize::trace_ids[1] is empty: name an attribute, or remove it",
		"empty span alias.yaml":      "normalize::span_ids[0] is empty: name an attribute, or remove it",
		"empty traceparent.yaml":     "normalize::traceparents[0] is empty: name an attribute, or remove it",
		"empty promoted.yaml":        "promote::trace_ids[0] is empty: name an attribute, or remove it",
		"span without trace.yaml":    "promote::span_ids leads nowhere without promote::trace_ids: name the attribute of the trace too",
		"no metrics.yaml":            "attach::rules[0]::metrics is empty: name the metrics that get exemplars",
		"bad metrics.yaml":           `attach::rules[0]::metrics[0] "http_(" is not a regular expression, mend it as RE2 has it: error parsing regexp: missing closing )`,
		"empty pattern.yaml":         "attach::rules[0]::metrics[0] is empty: write a pattern, or remove it",
		"bad names.yaml":             `attach::rules[0]::spans::names[0] "*" is a regular expression, not a glob: write .* for any text and . for any character`,
		"glob.yaml":                  "attach::rules[0]::metrics[1] \"process*\" is a regular expression, not a glob: write .* for any text and . for any character\nattach::rules[0]::spans::names[0] \"GET /*\" is",
		"unknown kind.yaml":          `attach::rules[0]::spans::kinds[0] is "SERVER": set it to one of client, consumer, internal, producer, server`,
		"no join.yaml":               "attach::rules[0]::join is empty, so any span would fit: list what spans and data points have in common, such as [{metric: service.name}]",
		"join without metric.yaml":   "attach::rules[0]::join[0]::metric is empty: set it to an attribute of the data point or of its resource",
		"all optional.yaml":          "attach::rules[0]::join has only what is optional, so any span could fit: take optional from one of them",
		"too many optional.yaml":     "attach::rules[0]::join has 5 that are optional, and 4 are possible",
		"unknown unit.yaml":          `attach::rules[0]::unit is "seconds": set it to one of h, min, ms, ns, s, us`,
		"unit of a value.yaml":       "attach::rules[0]::unit is of durations: leave it out, as value is an attribute",
		"rules of one name.yaml":     "attach::rules[0]::name is http.server again: give it another, or its metrics are told together",
		"two mistakes.yaml":          "attach::rules[1]::metrics is empty: name the metrics that get exemplars\nattach::candidates is 0: set it to a number above 0",
	}
	for file, want := range refused {
		t.Run(file, func(t *testing.T) {
			_, err := load(t, file)
			require.ErrorContains(t, err, want)
		})
	}
	files, err := os.ReadDir(filepath.Join("testdata", "config"))
	require.NoError(t, err)
	assert.Len(t, files, len(refused)+2, "each file has a message, but for full and empty")
}
