// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const (
	// maxSeries is how many series a metric may have. The others are one, which
	// has the attribute that the SDKs of OpenTelemetry use for that.
	maxSeries    = 1000
	attrOverflow = "otel.metric.overflow"

	// unlimited is above every count; a limit that there is not is told as more.
	unlimited = 1 << 63
)

var errNotVault = errors.New("the page is not that of a Vault, check endpoint")

// Page is what Vault tells in the format of Prometheus.
type Page struct {
	families map[string]*dto.MetricFamily

	// prefix is before the names of metrics, and gaugePrefix before those of
	// gauges, which can have the name of the host in it.
	prefix, gaugePrefix string
}

// NewPage returns a page of metrics. It fails when they are not those of a Vault.
func NewPage(families map[string]*dto.MetricFamily) (Page, error) {
	p := Page{families: families}
	p.prefix = p.before("_core_fetch_acl_and_token", "_core_handle_request", "_barrier_get", "_core_unseal")
	p.gaugePrefix = p.before("_runtime_num_goroutines", "_core_unsealed", "_core_active")
	if p.prefix == "" && p.gaugePrefix == "" {
		return Page{}, errNotVault
	}
	return p, nil
}

// before returns what is before the first of the names that is there.
func (p Page) before(names ...string) string {
	for _, name := range names {
		for _, family := range slices.Sorted(maps.Keys(p.families)) {
			if prefix, ok := strings.CutSuffix(family, name); ok && prefix != "" {
				return prefix + "_"
			}
		}
	}
	return ""
}

// Leases returns the number of leases. It is not known yet in the first seconds
// of an active node.
func (p Page) Leases() (leases int64, known bool) {
	for _, series := range p.families[p.gaugePrefix+"expire_num_leases"].GetMetric() {
		if value := series.GetGauge().GetValue(); series.Gauge != nil && value >= 0 && value < unlimited {
			return int64(value), true
		}
	}
	return 0, false
}

// Refusals returns how many requests the rate-limit quotas have refused.
func (p Page) Refusals() state.Refusals {
	refusals := state.Refusals{Since: p.start(), Counts: map[string]int64{}}
	for _, series := range p.families[p.prefix+"quota_rate_limit_violation"].GetMetric() {
		for _, pair := range series.GetLabel() {
			if pair.GetName() == "name" {
				refusals.Counts[pair.GetValue()] += int64(series.GetCounter().GetValue())
			}
		}
	}
	return refusals
}

// start returns when the process began, or zero.
func (p Page) start() time.Time {
	for _, series := range p.families["process_start_time_seconds"].GetMetric() {
		if began := series.GetGauge().GetValue(); began > 0 && began < unlimited/float64(time.Second) {
			return time.Unix(0, int64(began*float64(time.Second)))
		}
	}
	return time.Time{}
}

// ServerMetrics converts a selection of the metrics that Vault has of its own,
// sorted by name. One that it does not have is left out. It fails when one of
// them is not what it is by its name.
func (p Page) ServerMetrics(now time.Time, beginnings *state.Beginnings) (pmetric.MetricSlice, error) {
	metrics := pmetric.NewMetricSlice()
	beginnings.Look(now, p.start())
	for _, i := range instruments {
		points, err := i.read(p)
		if err != nil {
			return pmetric.NewMetricSlice(), err
		}
		if len(points) > 0 {
			i.render(metrics.AppendEmpty(), points, now, beginnings)
		}
	}
	return metrics, nil
}

// point is a data point that is being summed up.
type point struct {
	attributes []attribute
	overflow   bool

	value     float64 // the sum of a summary's values
	count     uint64  // of a summary
	quantiles []quantile
}

type quantile struct{ of, value float64 }

// read returns the points in the order of their attributes.
func (i instrument) read(page Page) ([]*point, error) {
	points := map[string]*point{}
	for _, src := range i.sources {
		for _, found := range src.in(page) {
			for _, series := range newest(found.family) {
				p := &point{attributes: append(src.attributes(series), found.attributes...)}
				if err := p.set(i.kind, series, src.divisor); err != nil {
					return nil, fmt.Errorf("%s %w", found.family.GetName(), err)
				}
				if !(math.Abs(p.value) < unlimited) { // Written so that NaN is left out too.
					continue
				}
				key := fmt.Sprintf("%q", p.attributes)
				p.add(points[key])
				points[key] = p
			}
		}
	}
	return bounded(points), nil
}

// bounded sums up what there is too much of.
func bounded(points map[string]*point) (sorted []*point) {
	var rest *point
	for n, key := range slices.Sorted(maps.Keys(points)) {
		if n < maxSeries {
			sorted = append(sorted, points[key])
			continue
		}
		p := &point{overflow: true, value: points[key].value, count: points[key].count}
		p.add(rest)
		rest = p
	}
	if rest != nil {
		sorted = append(sorted, rest)
	}
	return sorted
}

// newest returns the series of a family. A gauge can be there twice: Vault goes
// on telling what it set before it knew the name of its cluster.
func newest(family *dto.MetricFamily) []*dto.Metric {
	clustered := func(series *dto.Metric) (name string, labeled bool) {
		for _, pair := range series.GetLabel() {
			if pair.GetName() == "cluster" {
				return pair.GetValue(), true
			}
		}
		return "", false
	}
	all := family.GetMetric()
	if family.GetType() != dto.MetricType_GAUGE || !slices.ContainsFunc(all, func(series *dto.Metric) bool {
		name, _ := clustered(series)
		return name != ""
	}) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(series *dto.Metric) bool {
		name, labeled := clustered(series)
		return labeled && name == ""
	})
}

// found is a family of the page, and what its name tells.
type found struct {
	family     *dto.MetricFamily
	attributes []attribute
}

// in returns where the page has the source. What Vault makes known before it
// happens has no prefix, and neither has what is of the process.
func (s source) in(page Page) (all []found) {
	if s.below != "" {
		for _, name := range slices.Sorted(maps.Keys(page.families)) {
			if rest, ok := strings.CutPrefix(name, page.prefix+s.below); ok {
				if attributes, ok := s.split(rest); ok {
					all = append(all, found{page.families[name], attributes})
				}
			}
		}
		return all
	}
	for _, prefix := range []string{page.prefix, page.gaugePrefix, ""} {
		for _, name := range s.names {
			if family, ok := page.families[prefix+name]; ok {
				return []found{{family: family}}
			}
		}
	}
	return nil
}

func (s source) attributes(series *dto.Metric) []attribute {
	attributes := slices.Clone(s.fixed)
	for _, l := range s.labels {
		for _, pair := range series.GetLabel() {
			if pair.GetName() == l.name {
				attributes = append(attributes, attribute{l.attribute, pair.GetValue()})
			}
		}
	}
	return attributes
}

func (p *point) set(k kind, series *dto.Metric, divisor float64) error {
	if divisor == 0 {
		divisor = 1
	}
	switch {
	case k == summary && series.Summary != nil:
		p.setSummary(series.GetSummary(), divisor)
	case k == summary:
		return fmt.Errorf("is not a summary: %w", errNotVault)
	case series.Counter != nil:
		p.value = series.GetCounter().GetValue() / divisor
	case series.Gauge != nil:
		p.value = series.GetGauge().GetValue() / divisor
	case series.Untyped != nil:
		p.value = series.GetUntyped().GetValue() / divisor
	default:
		return fmt.Errorf("is not a number: %w", errNotVault)
	}
	return nil
}

// setSummary leaves out the quantiles of a time in which nothing happened.
func (p *point) setSummary(from *dto.Summary, divisor float64) {
	p.value, p.count = from.GetSampleSum()/divisor, from.GetSampleCount()
	for _, q := range from.GetQuantile() {
		if math.Abs(q.GetValue()) < unlimited { // as above
			p.quantiles = append(p.quantiles, quantile{q.GetQuantile(), q.GetValue() / divisor})
		}
	}
}

// add adds a point with the same attributes, which may be nil. Quantiles cannot
// be added.
func (p *point) add(other *point) {
	if other == nil {
		return
	}
	p.value += other.value
	p.count += other.count
	p.quantiles = nil
}

func (i instrument) render(to pmetric.Metric, points []*point, now time.Time, beginnings *state.Beginnings) {
	to.SetName(i.name)
	to.SetDescription(i.description)
	to.SetUnit(i.unit)
	if i.kind == summary {
		to.SetEmptySummary()
		for _, p := range points {
			point := to.Summary().DataPoints().AppendEmpty()
			point.SetStartTimestamp(i.begin(p, beginnings, float64(p.count)))
			point.SetTimestamp(pcommon.NewTimestampFromTime(now))
			p.renderSummary(point)
		}
		return
	}
	var numbers pmetric.NumberDataPointSlice
	if i.kind == gauge {
		numbers = to.SetEmptyGauge().DataPoints()
	} else {
		sum := to.SetEmptySum()
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		sum.SetIsMonotonic(i.kind == counter)
		numbers = sum.DataPoints()
	}
	for _, p := range points {
		point := numbers.AppendEmpty()
		if i.kind == counter {
			point.SetStartTimestamp(i.begin(p, beginnings, p.value))
		}
		point.SetTimestamp(pcommon.NewTimestampFromTime(now))
		if i.unit == "s" {
			point.SetDoubleValue(p.value)
		} else {
			point.SetIntValue(int64(p.value))
		}
		p.describe(point.Attributes())
	}
}

func (i instrument) begin(p *point, beginnings *state.Beginnings, value float64) pcommon.Timestamp {
	since := beginnings.Of(fmt.Sprintf("%s %q %t", i.name, p.attributes, p.overflow), value)
	if since.IsZero() {
		return 0
	}
	return pcommon.NewTimestampFromTime(since)
}

func (p *point) renderSummary(to pmetric.SummaryDataPoint) {
	to.SetCount(p.count)
	to.SetSum(p.value)
	for _, q := range p.quantiles {
		quantile := to.QuantileValues().AppendEmpty()
		quantile.SetQuantile(q.of)
		quantile.SetValue(q.value)
	}
	p.describe(to.Attributes())
}

func (p *point) describe(attributes pcommon.Map) {
	if p.overflow {
		attributes.PutBool(attrOverflow, true)
	}
	for _, a := range p.attributes {
		if code, err := strconv.ParseInt(a.value, 10, 64); a.name == attrStatusCode && err == nil {
			attributes.PutInt(a.name, code)
		} else {
			attributes.PutStr(a.name, a.value)
		}
	}
}
