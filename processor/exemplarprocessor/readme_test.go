// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/otelcol-infra/otelcol-infra/internal/readmetest"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
)

func TestTheReadmeNamesEverything(t *testing.T) {
	names := readmetest.Settings[Config]()
	names = append(names, readmetest.Settings[rule.Config]()...)
	names = append(names, readmetest.Settings[rule.JoinConfig]()...)
	names = append(names, rule.Presets()...)
	for _, list := range []([]string){defaultConfig().Normalize.TraceIDs, defaultConfig().Normalize.SpanIDs, defaultConfig().Normalize.Traceparents} {
		names = append(names, list...)
	}
	readmetest.RequireNames(t, names...)
}

func TestTheReadmeNamesEveryOutcome(t *testing.T) {
	conf, err := confmaptest.LoadConf("metadata.yaml")
	require.NoError(t, err)
	var metadata struct {
		Attributes map[string]struct {
			Enum []string `mapstructure:"enum"`
		} `mapstructure:"attributes"`
		Telemetry struct {
			Metrics map[string]struct {
				Attributes []string `mapstructure:"attributes"`
			} `mapstructure:"metrics"`
		} `mapstructure:"telemetry"`
	}
	require.NoError(t, conf.Unmarshal(&metadata, confmap.WithIgnoreUnused()))
	sections := regexp.MustCompile("\n\n").Split(readmetest.Read(t), -1)
	for name, metric := range metadata.Telemetry.Metrics {
		readmetest.RequireNames(t, "otelcol_"+name)
		for _, attribute := range metric.Attributes {
			enum := metadata.Attributes[attribute].Enum
			if enum == nil {
				continue
			}
			key, _, _ := strings.Cut(attribute, ".")
			begin := "| `" + key + "` of `otelcol_" + name + "` |"
			var told []string
			for _, section := range sections {
				if _, table, ok := strings.Cut(section, begin); ok {
					for _, row := range rows(table) {
						told = append(told, row.columns[0]...)
					}
				}
			}
			assert.ElementsMatch(t, enum, told, "%s of %s", attribute, name)
		}
	}
}

// The table of the presets has a row for each rule, whose metrics that rule
// selects, and whose joins are the rule's.
func TestTheReadmeNamesWhatPresetsDo(t *testing.T) {
	_, section, ok := strings.Cut(readmetest.Read(t), "\n### Presets\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n\n")
	table := rows(section)
	for _, preset := range rule.Presets() {
		rules := rule.Preset(preset)
		set, err := rule.Compile(rules)
		require.NoError(t, err)
		for i := range table {
			if !strings.HasPrefix(table[i].text, "| **`"+preset+"`** |") {
				continue
			}
			for n, r := range rules {
				row := table[i+1+n]
				require.Equal(t, []string{r.Name}, row.columns[0], "in the order in which they are tried")
				for _, metric := range row.columns[1] {
					if metric != r.Unit {
						selected := set.Metric(metric)
						require.NotNil(t, selected, metric)
						assert.Equal(t, r.Name, selected.Name, metric)
					}
				}
				var joins []string
				for _, j := range r.Join {
					joins = append(joins, j.Metric)
					if j.Span != "" {
						joins = append(joins, j.Span)
					}
					assert.Equal(t, j.Optional, strings.Contains(row.text, "[`"+j.Metric+"`]"), "%s of %s is optional", j.Metric, r.Name)
				}
				assert.Equal(t, joins, row.columns[3], r.Name)
				for _, kind := range r.Spans.Kinds {
					assert.Contains(t, row.columns[2], kind)
				}
				for _, name := range r.Spans.Names {
					assert.Contains(t, row.columns[2], strings.ReplaceAll(name, `\.`, "."))
				}
				for name, value := range r.Spans.Attributes {
					assert.Contains(t, row.columns[2], name)
					assert.Contains(t, row.columns[2], value)
				}
			}
			rules = nil
		}
		assert.Empty(t, rules, "the table lacks the preset %s", preset)
	}
}

// row is one of a table, and the code in each of its columns.
type row struct {
	text    string
	columns [][]string
}

var code = regexp.MustCompile("`([^`]+)`")

func rows(table string) (all []row) {
	for line := range strings.Lines(table) {
		columns := strings.Split(line, "|")
		if len(columns) < 3 || strings.Contains(line, "---") {
			continue
		}
		r := row{text: strings.TrimSpace(line)}
		for _, column := range columns[1 : len(columns)-1] {
			var names []string
			for _, match := range code.FindAllStringSubmatch(column, -1) {
				names = append(names, match[1])
			}
			r.columns = append(r.columns, names)
		}
		all = append(all, r)
	}
	return all
}
