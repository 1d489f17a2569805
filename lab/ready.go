// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	startTimeout = 90 * time.Second // until a started server is ready
	readyPoll    = 50 * time.Millisecond
	errorTail    = 25 // log lines in an error
)

// probeClient asks loopback only: no proxy, and no connections left behind.
var probeClient = &http.Client{
	Timeout:   5 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

// get gives the status and body of an HTTP answer; header may be nil.
func get(ctx context.Context, url string, header http.Header) (int, []byte, error) {
	return getBy(ctx, probeClient, url, header)
}

// getBy is get by a client of one's own.
func getBy(ctx context.Context, client *http.Client, url string, header http.Header) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	if header != nil {
		request.Header = header
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

// answersOK is the readiness of a server that answers 200 at url.
func answersOK(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		status, _, err := get(ctx, url, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%s answers %d", url, status)
		}
		return err
	}
}

// getJSON reads the 200 answer at url into out.
func getJSON(ctx context.Context, url string, header http.Header, out any) error {
	return getJSONBy(ctx, probeClient, url, header, out)
}

// getJSONBy is getJSON by a client of one's own.
func getJSONBy(ctx context.Context, client *http.Client, url string, header http.Header, out any) error {
	status, body, err := getBy(ctx, client, url, header)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s answers %d", url, status)
	}
	return json.Unmarshal(body, out)
}

// waitReady polls ready until it is nil. It ends early when the process does.
// The error holds the end of the process's log, and is errAddressTaken if that
// says so.
func waitReady(ctx context.Context, p *Process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		last := ready(ctx)
		if p.ended() { // what answered was then another program on its port
			return notReady(p, fmt.Errorf("ended before it was ready: %w", exitError(p.waitErr)))
		}
		if last == nil {
			return nil
		}
		select {
		case <-p.Done():
		case <-ctx.Done():
			return notReady(p, fmt.Errorf("not ready: %w; last: %w", context.Cause(ctx), last))
		case <-poll.C:
		}
	}
}

func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

func notReady(p *Process, reason error) error {
	tail := p.LogTail(errorTail)
	if strings.Contains(strings.ToLower(tail), errAddressTaken.Error()) { // C++ writes Address
		reason = fmt.Errorf("%w: %w", errAddressTaken, reason)
	}
	return fmt.Errorf("%s %w; its log %s ends with\n%s", p.name, reason, p.logPath, tail)
}
