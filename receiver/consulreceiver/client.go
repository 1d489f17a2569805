// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// wait is how long Consul may hold a blocking query that has nothing to tell.
const wait = time.Minute

// checks is the answer to a health query.
type checks struct {
	Checks state.Checks
	Index  uint64

	// Filtered says that the token may not see all checks; Token tells one
	// token from another.
	Filtered bool
	Token    [sha256.Size]byte

	// Limit is not nil when there were more checks than max_checks: Checks
	// then holds the first ones in the order of their IDs.
	Limit error
}

// partial is an error when the token does not show all checks.
func (c checks) partial() error {
	if !c.Filtered {
		return nil
	}
	return errors.New("not all checks are observed: the token lacks node:read or service:read for some")
}

// client is the part of the Consul API that the receiver uses.
type client struct {
	api       *api.Client
	http      *http.Client
	token     tokenfile.Source
	timeout   time.Duration
	maxChecks int
}

// newClient connects lazily: an absent server is found at the first request.
func newClient(ctx context.Context, cfg *Config, host component.Host, settings component.TelemetrySettings) (*client, error) {
	// Each request has a deadline of its own, as blocking queries take longer.
	unlimited := cfg.HTTP
	unlimited.Timeout = 0
	httpClient, err := unlimited.ToClient(ctx, host.GetExtensions(), settings)
	if err != nil {
		return nil, fmt.Errorf("http client for endpoint %s: %w", cfg.endpoint(), err)
	}
	consul, err := newAPI(cfg, httpClient)
	if err != nil { // The API takes defaults from the environment even where none is needed.
		return nil, fmt.Errorf("consul client for endpoint %s, check the environment variables CONSUL_*: %w", cfg.endpoint(), err)
	}
	return &client{
		api:       consul,
		http:      httpClient,
		token:     cfg.token(),
		timeout:   cmp.Or(cfg.HTTP.Timeout, defaultTimeout),
		maxChecks: cfg.MaxChecks,
	}, nil
}

// newAPI keeps the environment out of what the configuration says.
func newAPI(cfg *Config, httpClient *http.Client) (*api.Client, error) {
	scheme, _, _ := strings.Cut(cfg.endpoint(), "://")
	config := &api.Config{Address: cfg.endpoint(), Scheme: scheme, HttpClient: httpClient}
	if cfg.token() != (tokenfile.Source{}) {
		// Each request brings its own; with none here the API would read the
		// file that CONSUL_HTTP_TOKEN_FILE names.
		config.Token = "each request has its own"
	}
	return api.NewClient(config)
}

// close ends the idle connections. It may be called on nil.
func (c *client) close() {
	if c != nil {
		c.http.CloseIdleConnections()
	}
}

// AnyChecks returns all checks at once, as any server knows them.
func (c *client) AnyChecks(ctx context.Context) (checks, error) {
	return c.query(ctx, &api.QueryOptions{AllowStale: true}, c.timeout)
}

// NewChecks returns all checks as the leader knows them, so that no answer is
// older than the one before. With an index above zero it blocks until Consul
// has a newer one, at most a minute.
func (c *client) NewChecks(ctx context.Context, index uint64) (checks, error) {
	timeout := c.timeout
	if index > 0 {
		timeout += wait + wait/16 // Consul adds up to wait/16 of jitter.
	}
	return c.query(ctx, &api.QueryOptions{WaitIndex: index, WaitTime: wait}, timeout)
}

func (c *client) query(ctx context.Context, options *api.QueryOptions, timeout time.Duration) (checks, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var err error
	if options.Token, err = c.token.Read(); err != nil {
		return checks{}, err
	}
	answer, meta, err := c.api.Health().State(api.HealthAny, options.WithContext(ctx))
	if err != nil {
		return checks{}, explain(endpointChecks, err)
	}
	kept, err := limit(answer, c.maxChecks)
	return checks{
		Checks:   kept,
		Index:    meta.LastIndex,
		Filtered: meta.ResultsFilteredByACLs,
		Token:    sha256.Sum256([]byte(options.Token)),
		Limit:    err,
	}, nil
}

// Usage returns the size of the catalog of the agent's own datacenter.
func (c *client) Usage(ctx context.Context) (state.Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	token, err := c.token.Read()
	if err != nil {
		return state.Usage{}, err
	}
	options := &api.QueryOptions{AllowStale: true, Token: token}
	answer, _, err := c.api.Operator().Usage(options.WithContext(ctx))
	if err != nil {
		return state.Usage{}, explain(endpointUsage, err)
	}
	for datacenter, u := range answer.Usage { // one entry, as `global` is not asked for
		return state.Usage{
			Datacenter: datacenter,
			Nodes:      int64(u.Nodes),
			Services:   int64(u.Services),
			Instances:  int64(u.ServiceInstances),
		}, nil
	}
	return state.Usage{}, fmt.Errorf("%s: the answer names no datacenter", endpointUsage)
}

// explain names the request that failed, and the likely cause where the error
// alone would puzzle.
func explain(request string, err error) error {
	var notJSON *json.SyntaxError
	if errors.As(err, &notJSON) {
		return fmt.Errorf("%s: the answer is not Consul's, check endpoint: %w", request, err)
	}
	return fmt.Errorf("%s: %w", request, err)
}

func limit(answer api.HealthChecks, most int) (state.Checks, error) {
	var err error
	if seen := len(answer); seen > most {
		err = fmt.Errorf("%d of %d checks are not observed: raise max_checks above %d", seen-most, seen, most)
		slices.SortFunc(answer, func(a, b *api.HealthCheck) int { return checkID(a).Compare(checkID(b)) })
		answer = answer[:most]
	}
	kept := make(state.Checks, len(answer))
	for _, check := range answer {
		kept[checkID(check)] = state.Check{
			Name:      check.Name,
			Service:   check.ServiceName,
			ServiceID: check.ServiceID,
			Status:    state.Status(check.Status),
			Index:     check.ModifyIndex,
		}
	}
	return kept, err
}

func checkID(check *api.HealthCheck) state.CheckID {
	return state.CheckID{Node: check.Node, Check: check.CheckID}
}
