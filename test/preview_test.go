// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"context"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab/demo"
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
	// It repeats itself: the first time, Prometheus may not have scraped the last lock yet.
	acquired := regexp.MustCompile(`(?m)^    etcd_lock_acquisitions_total +1 +3$`)
	shows := assert.Eventually(t, func() bool { return acquired.MatchString(out.String()) }, soon, 200*time.Millisecond)
	page := regexp.MustCompile(`open (http://127\.0\.0\.1:\d+) in a browser`).FindStringSubmatch(out.String())
	var now string
	if page != nil {
		now = read(page[1] + "/now")
	}
	end()
	require.NoError(t, <-ended)
	require.True(t, shows, out.String())
	assert.Regexp(t, `"System":"etcd","Text":"1 of 1 members answer"`, now)
	assert.Contains(t, now, "Jaeger does not answer")
	assert.Regexp(t, `etcd\.lock\.acquired 3`, out.String())
	assert.Contains(t, out.String(), "take a lock")
	assert.NotContains(t, out.String(), "in Jaeger")
}
