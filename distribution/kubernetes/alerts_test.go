// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"sigs.k8s.io/yaml"
)

// alertTests is the form of promtool's tests of rules.
type alertTests struct {
	RuleFiles          []string       `json:"rule_files"`
	EvaluationInterval model.Duration `json:"evaluation_interval"`
	Tests              []struct {
		Name        string         `json:"name"`
		Interval    model.Duration `json:"interval"`
		InputSeries []struct {
			Series string `json:"series"`
			Values string `json:"values"`
		} `json:"input_series"`
		AlertRuleTest []struct {
			Alertname string         `json:"alertname"`
			EvalTime  model.Duration `json:"eval_time"`
			ExpAlerts []struct {
				ExpLabels map[string]string `json:"exp_labels"`
			} `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

var promQL = parser.NewParser(parser.Options{})

func TestAlerts(t *testing.T) {
	content, err := os.ReadFile("alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tests alertTests
	if err := yaml.UnmarshalStrict(content, &tests); err != nil {
		t.Fatal(err)
	}
	rules := map[string]rulefmt.Rule{}
	for _, file := range tests.RuleFiles {
		maps.Copy(rules, alertsOf(t, file))
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: promQL})
	fired, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		t.Run(test.Name, func(t *testing.T) {
			var series []storage.Series
			for _, input := range test.InputSeries {
				series = append(series, parseSeries(t, input.Series+" "+input.Values, time.Duration(test.Interval)))
			}
			for _, expected := range test.AlertRuleTest {
				rule, ok := rules[expected.Alertname]
				if !ok {
					t.Fatalf("there is no alert %s", expected.Alertname)
				}
				var want []string
				for _, alert := range expected.ExpAlerts {
					want = append(want, labels.FromMap(alert.ExpLabels).String())
				}
				got := firing(t, engine, rule, series, time.Duration(tests.EvaluationInterval), time.Duration(expected.EvalTime))
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%s fires after %s for %q instead of %q", expected.Alertname, expected.EvalTime, got, want)
				}
				if len(want) > 0 {
					fired[expected.Alertname] = true
				} else {
					silent[expected.Alertname] = true
				}
			}
		})
	}
	for name := range rules {
		if !fired[name] || !silent[name] {
			t.Errorf("%s needs a test in which it fires, and one in which it does not", name)
		}
	}
}

// alertsOf parses a file of rules as Prometheus does, also the templates in annotations.
func alertsOf(t *testing.T, file string) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, promQL, slog.Default())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	rules := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s lacks a severity, a summary or a description", rule.Alert)
			}
			rules[rule.Alert] = rule
		}
	}
	return rules
}

// The collector's own metrics, as v0.157 exports them: without _total.
var ofTheCollector = []string{
	"up",
	"otelcol_receiver_refused_spans", "otelcol_receiver_refused_log_records", "otelcol_receiver_refused_metric_points",
	"otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity",
	"otelcol_exporter_send_failed_spans", "otelcol_exporter_send_failed_log_records", "otelcol_exporter_send_failed_metric_points",
	"otelcol_exporter_sent_spans", "otelcol_exporter_sent_log_records", "otelcol_exporter_sent_metric_points",
	"otelcol_exporter_enqueue_failed_spans", "otelcol_exporter_enqueue_failed_metric_points",
}

// An alert on a metric that does not exist never fires.
func TestAlertsAreOnMetricsThatExist(t *testing.T) {
	var ours struct {
		Telemetry struct{ Metrics map[string]any }
	}
	content, err := os.ReadFile("../../internal/watch/metadata.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &ours); err != nil {
		t.Fatal(err)
	}
	for name, rule := range alertsOf(t, "chart/files/alerts.yaml") {
		expr, err := promQL.ParseExpr(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			selector, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			_, declared := ours.Telemetry.Metrics[strings.TrimPrefix(selector.Name, "otelcol_")]
			if !declared && !slices.Contains(ofTheCollector, selector.Name) {
				t.Errorf("%s is on %s, which nobody declares", name, selector.Name)
			}
			return nil
		})
	}
}

// firing evaluates the rule from the beginning up to a time, and gives the labels of the alerts that fire then.
func firing(t *testing.T, engine *promql.Engine, rule rulefmt.Rule, series []storage.Series, every, until time.Duration) []string {
	t.Helper()
	since := map[string]time.Duration{}
	var alerts []string
	for now := time.Duration(0); now <= until; now += every {
		query, err := engine.NewInstantQuery(t.Context(), queryable(series), nil, rule.Expr, time.UnixMilli(now.Milliseconds()))
		if err != nil {
			t.Fatal(err)
		}
		vector, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatal(err)
		}
		active := map[string]time.Duration{}
		alerts = nil
		for _, sample := range vector {
			builder := labels.NewBuilder(sample.Metric).Del(model.MetricNameLabel)
			for name, value := range rule.Labels {
				builder.Set(name, value)
			}
			alert := builder.Labels().String()
			active[alert] = now
			if begin, ok := since[alert]; ok {
				active[alert] = begin
			}
			if now-active[alert] >= time.Duration(rule.For) {
				alerts = append(alerts, alert)
			}
		}
		since = active
		query.Close()
	}
	slices.Sort(alerts)
	return alerts
}

func parseSeries(t *testing.T, description string, interval time.Duration) storage.Series {
	t.Helper()
	metric, values, err := promQL.ParseSeriesDesc(description)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", description, err))
	}
	var points []promql.FPoint
	for i, value := range values {
		if !value.Omitted {
			points = append(points, promql.FPoint{T: int64(i) * interval.Milliseconds(), F: value.Value})
		}
	}
	return promql.NewStorageSeries(promql.Series{Metric: metric, Floats: points})
}

// queryable has the engine find series in memory.
func queryable(series []storage.Series) storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			found := &seriesSet{SeriesSet: storage.EmptySeriesSet()}
			for _, one := range series {
				if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.Labels().Get(m.Name)) }) {
					found.rest = append(found.rest, one)
				}
			}
			return found
		},
	}}
}

type seriesSet struct {
	storage.SeriesSet // neither errors nor warnings
	current           storage.Series
	rest              []storage.Series
}

func (s *seriesSet) Next() bool {
	if len(s.rest) == 0 {
		return false
	}
	s.current, s.rest = s.rest[0], s.rest[1:]
	return true
}

func (s *seriesSet) At() storage.Series { return s.current }
