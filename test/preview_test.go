// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab/demo"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// output is read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestThePreviewShowsEtcdUntilItIsEnded(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	out := &output{}
	opts := demo.Options{Binary: binary(t), Config: config}
	ended := make(chan error, 1)
	go func() { ended <- demo.Preview(ctx, opts, out) }()
	shows := assert.Eventually(t, func() bool { return strings.Contains(out.String(), "take a lock") }, soon, 200*time.Millisecond)
	page := regexp.MustCompile(`open (http://127\.0\.0\.1:\d+) in a browser`).FindStringSubmatch(out.String())
	prometheus := regexp.MustCompile(`curl "(http://127\.0\.0\.1:\d+)/api/v1/query`).FindStringSubmatch(out.String())
	var now string
	if page != nil {
		now = read(page[1] + "/now")
	}
	counted := prometheus != nil && assert.Eventually(t, func() bool {
		series, err := readback.Prometheus(prometheus[1]).Query(ctx, "etcd_lock_acquisitions_total")
		return err == nil && len(series) == 1 && series[0].Value >= 3 // It goes on.
	}, soon, 200*time.Millisecond)
	end()
	require.NoError(t, <-ended)
	require.True(t, shows, out.String())
	assert.Regexp(t, `"System":"etcd","Text":"1 of 1 members answer"`, now)
	assert.Contains(t, now, "Jaeger does not answer")
	assert.True(t, counted, "Prometheus has the three acquisitions")
	assert.Regexp(t, `(?m)^    etcd_lock_acquisitions_total +1 +[1-3]$`, out.String(), "the last of three may not have been scraped yet")
	assert.Regexp(t, `etcd\.lock\.acquired 3`, out.String())
	assert.NotContains(t, out.String(), "in Jaeger")
}
