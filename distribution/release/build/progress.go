// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"io"
	"time"
)

// progress reports each interval that work goes on, until stop is called. stop
// returns how long it took.
func progress(log io.Writer, work string, interval time.Duration) (stop func() time.Duration) {
	start := time.Now()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				fmt.Fprintf(log, "release: %s, %s\n", work, time.Since(start).Round(time.Second))
			}
		}
	}()
	return func() time.Duration {
		close(done)
		<-ended
		return time.Since(start).Round(time.Second)
	}
}
