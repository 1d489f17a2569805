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

// Visit asks for each route once, one after the other.
func (s *Shop) Visit(ctx context.Context) error {
	for _, r := range routes {
		if err := s.ask(ctx, r); err != nil {
			return fmt.Errorf("ask the shop for %s: %w", r.path, err)
		}
	}
	return nil
}

// Serve has so many customers at once visit the shop again and again. When the
// context ends, they end their visits, and it returns how many requests were
// made.
func (s *Shop) Serve(ctx context.Context, customers int) (int, error) {
	var visits atomic.Int64
	group, failed := errgroup.WithContext(ctx)
	for range customers {
		group.Go(func() error {
			for failed.Err() == nil {
				if err := s.Visit(context.WithoutCancel(ctx)); err != nil {
					return err
				}
				visits.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return int(visits.Load()) * len(routes), err
}

func (s *Shop) ask(ctx context.Context, r route) error {
	request, err := http.NewRequestWithContext(ctx, r.method, "http://"+s.Addr+strings.ReplaceAll(r.path, "{id}", "7"), nil)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
