// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package scrape

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/collector/scraper/scraperhelper"
)

// hanging answers the first time, and hangs from then on.
type hanging struct {
	component.StartFunc
	component.ShutdownFunc
	lifetime context.Context
	scrapes  int
}

func (h *hanging) Lifetime() context.Context { return h.lifetime }

func (h *hanging) Scrape(ctx context.Context) pmetric.Metrics {
	if h.scrapes++; h.scrapes > 1 {
		<-ctx.Done()
	}
	metrics := pmetric.NewMetrics()
	metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetEmptyGauge().DataPoints().AppendEmpty()
	return metrics
}

func TestShutdownInterruptsAScrapeAndDropsWhatItCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, s := &consumertest.MetricsSink{}, &hanging{lifetime: t.Context()}
		config := scraperhelper.ControllerConfig{CollectionInterval: time.Minute, Timeout: time.Second}
		r, err := NewReceiver(config, receivertest.NewNopSettings(component.MustNewType("test")), sink, s)
		require.NoError(t, err)
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		time.Sleep(time.Hour)
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, 2, s.scrapes, "the timeout is not that of a cycle")
		assert.Equal(t, 1, sink.DataPointCount())
	})
}

func TestNothingIsScrapedOnceAnotherSignalIsShutDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lifetime, end := context.WithCancel(t.Context())
		sink, s := &consumertest.MetricsSink{}, &hanging{lifetime: lifetime}
		config := scraperhelper.ControllerConfig{CollectionInterval: time.Minute}
		r, err := NewReceiver(config, receivertest.NewNopSettings(component.MustNewType("test")), sink, s)
		require.NoError(t, err)
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		time.Sleep(time.Hour) // It hangs.
		end()
		time.Sleep(time.Hour)
		require.NoError(t, r.Shutdown(t.Context()))
		assert.Equal(t, 2, s.scrapes)
		assert.Equal(t, 1, sink.DataPointCount(), "nor told what was cut off")
	})
}

func TestShutdownWithoutStart(t *testing.T) {
	r, err := NewReceiver(scraperhelper.NewDefaultControllerConfig(), receivertest.NewNopSettings(component.MustNewType("test")), consumertest.NewNop(), &hanging{lifetime: t.Context()})
	require.NoError(t, err)
	require.NoError(t, r.Shutdown(t.Context()))
}
