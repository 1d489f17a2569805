// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package shop

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Serve has so many customers at once go through the shop, again and again
// until the context ends, and returns how many requests were answered.
func (s *Shop) Serve(ctx context.Context, customers int) (int, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: customers}
	defer transport.CloseIdleConnections()
	var answered atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range customers {
		group.Go(func() error {
			for {
				for _, r := range routes {
					if err := s.ask(ctx, transport, r); ctx.Err() != nil {
						return nil // It went home.
					} else if err != nil {
						return err
					}
					answered.Add(1)
				}
			}
		})
	}
	err := group.Wait()
	return int(answered.Load()), err
}

func (s *Shop) ask(ctx context.Context, transport http.RoundTripper, r route) error {
	request, err := http.NewRequestWithContext(ctx, r.method, "http://"+s.Addr+strings.ReplaceAll(r.path, "{id}", "7"), nil)
	if err != nil {
		return fmt.Errorf("ask the shop: %w", err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("ask the shop: %w", err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
