// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
)

const (
	// wait is how long Consul may hold a blocking query that has nothing to tell.
	// Proxies commonly end a quiet connection after a minute.
	wait = 30 * time.Second

	tokenHeader = "X-Consul-Token"

	// maxExplanation is how many bytes of a server's refusal are told.
	maxExplanation = 256
)

// client asks one Consul agent about one datacenter.
type client struct {
	api        *api.Client
	http       *http.Client
	cfg        *Config
	token      tokenfile.Source
	datacenter string // empty: that of the agent
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
	token := tokenOf(cfg)
	consul, err := newAPI(cfg.endpoint(), token, httpClient)
	if err != nil { // The API takes defaults from the environment even where none is needed.
		return nil, fmt.Errorf("consul client for endpoint %s, check the environment variables CONSUL_*: %w", cfg.endpoint(), err)
	}
	return &client{api: consul, http: httpClient, cfg: cfg, token: token}, nil
}

// tokenOf returns the configured token, or that of the environment.
func tokenOf(cfg *Config) tokenfile.Source {
	if token := cfg.token(); token != (tokenfile.Source{}) {
		return token
	}
	return tokenfile.Source{
		Token: configopaque.String(os.Getenv(api.HTTPTokenEnvName)),
		File:  os.Getenv(api.HTTPTokenFileEnvName),
	}
}

// newAPI keeps the environment out of what the configuration says.
func newAPI(endpoint string, token tokenfile.Source, httpClient *http.Client) (*api.Client, error) {
	scheme, _, _ := strings.Cut(endpoint, "://")
	config := &api.Config{Address: endpoint, Scheme: scheme, HttpClient: httpClient}
	if token != (tokenfile.Source{}) {
		config.Token = "each request has its own" // else it would read the environment once
	}
	return api.NewClient(config)
}

// of returns a client that asks about another datacenter over the same agent.
func (c *client) of(datacenter string) *client {
	other := *c
	other.datacenter = datacenter
	return &other
}

// close ends the idle connections. It may be called on nil.
func (c *client) close() {
	if c != nil {
		c.http.CloseIdleConnections()
	}
}

// answer is what Consul said about an answer.
type answer struct {
	Index       uint64
	Objects     int  // that were read, observed or not
	Off         bool // what was asked for is turned off
	LastContact time.Duration

	// Filtered says that the token may not see all there is; Token tells one
	// token from another.
	Filtered bool
	Token    [sha256.Size]byte
}

// ask makes one request of the API. Errors name the endpoint.
func ask[T any](ctx context.Context, c *client, endpoint string, q question, do func(*api.QueryOptions) (T, *api.QueryMeta, error)) (T, answer, error) {
	var none T
	token, err := c.token.Read()
	if err != nil {
		return none, answer{}, fmt.Errorf("%s: %w", endpoint, err)
	}
	options := &api.QueryOptions{Datacenter: c.datacenter, Namespace: c.cfg.Namespace, Partition: c.cfg.Partition, Token: token}
	if q.after > 0 {
		options.WaitIndex, options.WaitTime = q.after, wait
	}
	switch {
	case q.local:
		options.AllowStale = true
	case c.cfg.Consistency == Consistent || q.sure:
		options.RequireConsistent = true
	case c.cfg.Consistency == Stale:
		options.AllowStale = true
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience(q))
	defer cancel()
	value, meta, err := do(options.WithContext(ctx))
	if err != nil {
		return none, answer{}, explain(endpoint, err)
	}
	return value, answer{
		Index: meta.LastIndex, LastContact: meta.LastContact, Filtered: meta.ResultsFilteredByACLs,
		Token: sha256.Sum256([]byte(token)),
	}, nil
}

func (c *client) timeout() time.Duration { return cmp.Or(c.cfg.HTTP.Timeout, defaultTimeout) }

// patience is how long an answer is waited for.
func (c *client) patience(q question) time.Duration {
	if q.after == 0 {
		return c.timeout()
	}
	return c.timeout() + wait + wait/16 // Consul adds up to wait/16 of jitter.
}

// question is how to ask.
type question struct {
	// after an index above zero, Consul is waited for until it has a newer
	// answer, for a while.
	after uint64
	// sure asks for a consistent answer, whatever is configured: a leader that has
	// just started may not have read its log yet. local asks for that of whichever
	// server is asked.
	sure, local bool
}

// get makes a request of which the answer is JSON.
func get[T any](ctx context.Context, c *client, endpoint string, q question) (T, answer, error) {
	return ask(ctx, c, endpoint, q, func(options *api.QueryOptions) (T, *api.QueryMeta, error) {
		var into T
		meta, err := c.api.Raw().Query("/v1/"+endpoint, &into, options)
		return into, meta, err
	})
}

// getLocal makes a request that the agent answers itself, without a header that
// the Consul API wants to read before the others.
func getLocal[T any](ctx context.Context, c *client, endpoint string, q question) (T, answer, error) {
	var into T
	ctx, cancel := context.WithTimeout(ctx, c.patience(q))
	defer cancel()
	response, err := c.send(ctx, endpoint, q)
	if err != nil {
		return into, answer{}, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&into); err != nil {
		return into, answer{}, explain(endpoint, err)
	}
	index, _ := strconv.ParseUint(response.Header.Get("X-Consul-Index"), 10, 64) // if it has one
	return into, answer{
		Index:    index,
		Filtered: response.Header.Get("X-Consul-Results-Filtered-By-ACLs") == "true",
		Token:    sha256.Sum256([]byte(response.Request.Header.Get(tokenHeader))),
	}, nil
}

// send makes a request that the Consul API has no function for. The caller
// closes the body.
func (c *client) send(ctx context.Context, endpoint string, q question) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.endpoint()+"/v1/"+endpoint, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	if q.after > 0 {
		query := request.URL.Query()
		query.Set("index", strconv.FormatUint(q.after, 10))
		query.Set("wait", wait.String())
		request.URL.RawQuery = query.Encode()
	}
	token, err := c.token.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	if token != "" {
		request.Header.Set(tokenHeader, token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, explain(endpoint, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxExplanation+1)) // what there is of it
	return nil, explain(endpoint, api.StatusError{Code: response.StatusCode, Body: strings.TrimSpace(string(body))})
}

// explain names the request that failed, and the likely cause where the error
// alone would puzzle.
func explain(endpoint string, err error) error {
	var notJSON *json.SyntaxError
	var otherJSON *json.UnmarshalTypeError
	if errors.As(err, &notJSON) || errors.As(err, &otherJSON) {
		return fmt.Errorf("%s: the answer is not Consul's, check endpoint: %w", endpoint, err)
	}
	var refused api.StatusError
	if errors.As(err, &refused) {
		if len(refused.Body) > maxExplanation {
			refused.Body = strings.ToValidUTF8(refused.Body[:maxExplanation], "") + "…"
		}
		switch refused.Code {
		case http.StatusForbidden:
			return fmt.Errorf("%s: the token may not read it, see the ACLs in the receiver's README: %w", endpoint, refused)
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return fmt.Errorf("%s: consul is busy: %w", endpoint, refused)
		}
		return fmt.Errorf("%s: %w", endpoint, refused)
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%s: set tls::ca_file to the CA of consul's certificate: %w", endpoint, err)
	}
	return fmt.Errorf("%s: %w", endpoint, err)
}

// unreachable says that there was no answer at all, which one that is late may
// still be.
func unreachable(err error) bool {
	var failed *url.Error
	return errors.As(err, &failed) && !failed.Timeout() && !errors.Is(err, context.Canceled)
}

// refusal returns the HTTP status of a refusal, or 0.
func refusal(err error) int {
	var refused api.StatusError
	errors.As(err, &refused)
	return refused.Code
}
