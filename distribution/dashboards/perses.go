// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards

import "fmt"

// Width of a dashboard in Perses, and of its panels.
const (
	persesColumns    = 24
	persesStatWidth  = 6
	persesStatHeight = 4
	persesWidth      = 12
	persesHeight     = 8
)

// object is a JSON object.
type object = map[string]any

// Perses returns the dashboard as a resource of Perses, to be encoded as JSON. Its panels are named by [PanelName].
func (d Dashboard) Perses() any {
	panels, items := object{}, []object{}
	x, y, height := 0, 0, 0
	for i, p := range d.Panels {
		panels[PanelName(i)] = p.perses()
		w, h := persesWidth, persesHeight
		if p.Kind == Stat {
			w, h = persesStatWidth, persesStatHeight
		}
		if x+w > persesColumns || height != 0 && height != h {
			x, y = 0, y+height
		}
		height = h
		items = append(items, object{"x": x, "y": y, "width": w, "height": h, "content": object{"$ref": "#/spec/panels/" + PanelName(i)}})
		x += w
	}
	return object{
		"kind":     "Dashboard",
		"metadata": object{"name": "otelcol-infra-" + d.Name, "project": "otelcol-infra"},
		"spec": object{
			"display":         object{"name": d.Title, "description": d.Description},
			"duration":        "30m",
			"refreshInterval": "30s",
			"panels":          panels,
			"layouts":         []object{{"kind": "Grid", "spec": object{"items": items}}},
		},
	}
}

// PanelName is the name of the i-th panel in [Dashboard.Perses].
func PanelName(i int) string { return fmt.Sprintf("panel%02d", i) }

func (p Panel) perses() object {
	queries := []object{}
	for _, q := range p.Queries {
		queries = append(queries, object{"kind": "TimeSeriesQuery", "spec": object{"plugin": object{
			"kind": "PrometheusTimeSeriesQuery",
			"spec": object{"query": q.Expr, "seriesNameFormat": q.Legend},
		}}})
	}
	return object{"kind": "Panel", "spec": object{
		"display": object{"name": p.Title, "description": p.Description},
		"plugin":  p.persesPlugin(),
		"queries": queries,
	}}
}

func (p Panel) persesPlugin() object {
	format := p.Unit.perses()
	if p.Kind == Stat {
		return object{"kind": "StatChart", "spec": object{"calculation": "last-number", "format": format, "thresholds": p.Alarm.perses()}}
	}
	spec := object{
		"legend": object{"position": "bottom", "mode": "list"},
		"yAxis":  object{"format": format, "min": 0},
		"visual": object{"lineWidth": 1.5, "areaOpacity": 0.1, "showPoints": "auto"},
	}
	if len(p.Colors) > 0 {
		settings := []object{}
		for i, color := range p.Colors {
			settings = append(settings, object{"queryIndex": i, "colorMode": "fixed", "colorValue": color})
		}
		spec["querySettings"] = settings
	}
	return object{"kind": "TimeSeriesChart", "spec": spec}
}

func (u Unit) perses() object {
	switch u {
	case Seconds:
		return object{"unit": "seconds"}
	case Bytes:
		return object{"unit": "bytes", "shortValues": true}
	case PerSecond:
		return object{"unit": "ops/sec", "decimalPlaces": 2}
	case Ratio:
		return object{"unit": "percent-decimal"}
	default:
		return object{"unit": "decimal", "shortValues": true}
	}
}

func (a Alarm) perses() object {
	const neutral = "#1d2733"
	switch a {
	case WhenAny:
		return object{"defaultColor": good, "steps": []object{{"value": 1, "color": bad}}}
	case WhenNone:
		return object{"defaultColor": bad, "steps": []object{{"value": 1, "color": good}}}
	default:
		return object{"defaultColor": neutral, "steps": []object{}}
	}
}
