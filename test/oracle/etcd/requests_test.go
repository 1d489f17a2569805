// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bufio"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// sample is how many requests the collector had made at a time, by what was asked for.
type sample struct {
	at       time.Time
	requests map[string]float64
}

var requestLine = regexp.MustCompile("^" + metricRequests + `(?:_total)?(?:__request__)?\{(.*)\} (\S+)$`)

var requestLabel = regexp.MustCompile(`(?:^|,)` + labelRequest + `="([^"]*)"`)

// sample reads the collector's own metrics each second.
func (s *system) sample(ctx context.Context) {
	for oracle.Sleep(ctx, time.Second) {
		page, err := fetch(ctx, fmt.Sprintf("http://127.0.0.1:%d/metrics", s.ownPort))
		if err != nil {
			continue
		}
		now := sample{time.Now(), map[string]float64{}}
		for lines := bufio.NewScanner(strings.NewReader(page)); lines.Scan(); {
			match := requestLine.FindStringSubmatch(lines.Text())
			if match == nil {
				continue
			}
			label := requestLabel.FindStringSubmatch(match[1])
			value, err := strconv.ParseFloat(match[2], 64)
			if label != nil && err == nil {
				now.requests[label[1]] += value
			}
		}
		s.mu.Lock()
		s.samples = append(s.samples, now)
		s.mu.Unlock()
	}
}

// compareRequests compares the rate of the collector's requests with their budget, over any
// five seconds.
func (s *system) compareRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	const span = 5 * time.Second
	seen := false
	worst := map[string]string{}
	highest := map[string]float64{}
	for i, first := range s.samples {
		for _, last := range s.samples[i+1:] {
			if last.at.Sub(first.at) < span {
				continue
			}
			for request, value := range last.requests {
				seen = true
				rate := (value - first.requests[request]) / last.at.Sub(first.at).Seconds()
				budget := budgets[request]
				if request == "status" || request == "metrics" {
					budget *= float64(len(s.etcd.Endpoints) + 1)
				}
				if rate > budget && rate > highest[request] {
					highest[request] = rate
					worst[request] = fmt.Sprintf("%.0f requests %q a second from %s to %s, and the budget is %v", rate, request, s.Clock(first.at), s.Clock(last.at), budget)
				}
			}
			break
		}
	}
	for _, text := range worst {
		s.Differ("%s", text)
	}
	if !seen {
		s.Differ("the collector does not count its requests: %d samples", len(s.samples))
	}
}
