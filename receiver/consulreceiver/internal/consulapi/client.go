// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package consulapi is the one place with Consul's HTTP API: requests, blocking
// queries, what Consul says about an answer, and errors that say what to do.
package consulapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
	"github.com/otelcol-infra/otelcol-infra/internal/redirect"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
)

const (
	// Wait is how long Consul may hold a blocking query when nothing changes.
	// Proxies commonly end a quiet connection after a minute.
	Wait = 30 * time.Second

	// DefaultTimeout is how long a request may take, beyond the time for which
	// Consul holds a blocking query.
	DefaultTimeout = 5 * time.Second

	tokenHeader = "X-Consul-Token"
)

// Options are what a Client is made of.
type Options struct {
	// HTTP holds the settings of the HTTP client. Endpoint is the URL of the API.
	HTTP     confighttp.ClientConfig
	Endpoint string

	Token       tokenfile.Source
	Namespace   string
	Partition   string
	Consistency Consistency

	// MaxStaleness is the age above which an answer is an error, see StaleError;
	// 0 accepts any.
	MaxStaleness time.Duration
	// Count, which may be nil, counts each request by its endpoint and outcome.
	Count func(endpoint string, err error)
}

// Consistency of reads, as the Consul API calls it.
type Consistency string

// The consistencies that Consul knows.
const (
	Stale             Consistency = "stale"
	DefaultConsistent Consistency = "default"
	Consistent        Consistency = "consistent"
)

// Client reads from one Consul agent about one datacenter. It is made without Consul's own client, as that takes from the
// environment what the configuration leaves out, and offers no way to prevent it.
type Client struct {
	http       *http.Client
	options    Options
	datacenter string // empty: that of the agent
}

// New returns a client that connects lazily: an absent server is found at the first request.
func New(ctx context.Context, options Options, host component.Host, settings component.TelemetrySettings) (*Client, error) {
	// Each request has a deadline of its own, as blocking queries take longer.
	unlimited := options.HTTP
	unlimited.Timeout = 0
	httpClient, err := unlimited.ToClient(ctx, host.GetExtensions(), settings)
	if err != nil {
		return nil, fmt.Errorf("http client for endpoint %s: %w", options.Endpoint, err)
	}
	redirect.Refuse(httpClient, "endpoint")
	return &Client{http: httpClient, options: options}, nil
}

// Of returns a client that reads about another datacenter over the same agent.
func (c *Client) Of(datacenter string) *Client {
	other := *c
	other.datacenter = datacenter
	return &other
}

// Close ends the idle connections. It may be called on nil.
func (c *Client) Close() {
	if c != nil {
		c.http.CloseIdleConnections()
	}
}

// Consistent reports whether every read is a consistent one.
func (c *Client) Consistent() bool { return c.options.Consistency == Consistent }

// Meta is what Consul says about an answer.
type Meta struct {
	Index uint64

	// LastContact is how long ago the server that answered had heard from the
	// leader, or Never; 0 for the leader, and where Consul does not say it. That of a
	// blocking query is as of its beginning.
	LastContact time.Duration

	// Filtered means that the token may not read all there is; Token distinguishes
	// one token from another.
	Filtered bool
	Token    [sha256.Size]byte

	Bytes int64 // size of the body
}

// Timeout is how long a request may take that is no blocking query.
func (c *Client) Timeout() time.Duration { return cmp.Or(c.options.HTTP.Timeout, DefaultTimeout) }

// requestTimeout is how long an answer may take.
func (c *Client) requestTimeout(q Query) time.Duration {
	if q.Index == 0 {
		return c.Timeout()
	}
	return c.Timeout() + Wait + Wait/16 // Consul adds up to Wait/16 of jitter.
}

// Query is how to read.
type Query struct {
	// Index above zero makes a blocking query: Consul answers when it has a newer
	// index, or after a while.
	Index uint64
	// Consistent reads consistently, whatever is configured: a leader that has
	// just started may not have read its log yet. Local reads from whichever
	// server answers.
	Consistent, Local bool
	// Leader reads from the leader even if any server may answer.
	Leader bool
	// Recurse reads all keys under a prefix, of which there may be none.
	Recurse bool
	// Agent reads what the agent itself knows, whatever the datacenter.
	Agent bool
	// Filter is an expression that the objects of the answer satisfy; Peer reads what
	// that peer exports.
	Filter, Peer string
	// Object is the name of the one object below the endpoint that is read.
	Object string
	// Class is what the request is counted as; empty: the endpoint. An endpoint that
	// holds the name of one object needs it, or each object would have a series.
	Class string
}

// parameters returns the query of the URL.
func (c *Client) parameters(q Query) url.Values {
	parameters := url.Values{}
	set := func(name, value string) {
		if value != "" {
			parameters.Set(name, value)
		}
	}
	if q.Index > 0 {
		set("index", strconv.FormatUint(q.Index, 10))
		set("wait", Wait.String())
	}
	if q.Recurse {
		parameters.Set("recurse", "")
	}
	if q.Agent {
		return parameters
	}
	set("filter", q.Filter)
	set("peer", q.Peer)
	set("dc", c.datacenter)
	set("ns", c.options.Namespace)
	set("partition", c.options.Partition)
	switch {
	case q.Local:
		parameters.Set("stale", "")
	case c.options.Consistency == Consistent || q.Consistent:
		parameters.Set("consistent", "")
	case c.options.Consistency == Stale && !q.Leader:
		parameters.Set("stale", "")
	}
	return parameters
}

// Get makes a request of which the answer is JSON. Errors name the endpoint.
func Get[T any](ctx context.Context, c *Client, endpoint string, q Query) (T, Meta, error) {
	var none, value T
	meta, err := c.get(ctx, endpoint, q, &value)
	if err != nil {
		return none, meta, err
	}
	return value, meta, nil
}

func (c *Client) get(ctx context.Context, endpoint string, q Query, into any) (Meta, error) {
	meta, err := c.getUncounted(ctx, endpoint, q, into)
	if c.options.Count != nil {
		c.options.Count(cmp.Or(q.Class, endpoint), err)
	}
	return meta, err
}

func (c *Client) getUncounted(ctx context.Context, endpoint string, q Query, into any) (Meta, error) {
	ctx, cancel := context.WithTimeout(ctx, c.requestTimeout(q))
	defer cancel()
	response, err := c.send(ctx, endpoint, q)
	if err != nil {
		return Meta{}, err
	}
	defer done(response)
	body := &counted{Reader: response.Body}
	if response.StatusCode == http.StatusOK {
		if err := jsonanswer.Decode(body, into); err != nil {
			return Meta{}, Explain(endpoint, err)
		}
	}
	meta := metaOf(response)
	meta.Bytes = body.bytes
	if most := c.options.MaxStaleness; most > 0 && meta.LastContact > most {
		return meta, fmt.Errorf("%s: %w", endpoint, &StaleError{meta.LastContact})
	}
	return meta, nil
}

// counted counts the bytes that are read.
type counted struct {
	io.Reader
	bytes int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes += int64(n)
	return n, err
}

func metaOf(response *http.Response) Meta {
	number := func(header string) uint64 {
		value, _ := strconv.ParseUint(response.Header.Get(header), 10, 64) // if it has one
		return value
	}
	return Meta{
		Index:       number("X-Consul-Index"),
		LastContact: time.Duration(min(number("X-Consul-LastContact"), uint64(Never/time.Millisecond))) * time.Millisecond,
		Filtered:    response.Header.Get("X-Consul-Results-Filtered-By-ACLs") == "true",
		Token:       sha256.Sum256([]byte(response.Request.Header.Get(tokenHeader))),
	}
}

// GetLocal makes a request that the agent answers itself.
func GetLocal[T any](ctx context.Context, c *Client, endpoint string, q Query) (T, Meta, error) {
	q.Agent = true
	return Get[T](ctx, c, endpoint, q)
}

// GetIndexed makes a request of which the answer has an index. Servers that are not
// Consul answer with `{}`, with `[]` and with 404, too.
func GetIndexed[T any](ctx context.Context, c *Client, endpoint string, q Query) (T, Meta, error) {
	var none, value T
	meta, err := c.getIndexed(ctx, endpoint, q, &value)
	if err != nil {
		return none, meta, err
	}
	return value, meta, nil
}

// StreamIndexed makes a request of which the answer has an index, and is decoded piece
// by piece. After an error, nothing that came of it counts.
func (c *Client) StreamIndexed(ctx context.Context, endpoint string, q Query, into jsonanswer.Stream) (Meta, error) {
	return c.getIndexed(ctx, endpoint, q, into)
}

func (c *Client) getIndexed(ctx context.Context, endpoint string, q Query, into any) (Meta, error) {
	meta, err := c.get(ctx, endpoint, q, into)
	if err == nil && meta.Index == 0 {
		return meta, fmt.Errorf("%s: %w: it has no index", endpoint, ErrForeign)
	}
	return meta, err
}

// send makes a request. The status of the response is OK, or 404 when there are no keys. The caller closes the body.
func (c *Client) send(ctx context.Context, endpoint string, q Query) (*http.Response, error) {
	path, query, _ := strings.Cut(endpoint, "?")
	if q.Recurse {
		path, query = endpoint, "" // A key may have a question mark.
	}
	if q.Object != "" {
		path += "/" + q.Object // So may the name of an object, which is no parameter.
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.options.Endpoint, "/"), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	request.URL.Path += "/v1/" + path
	request.URL.RawPath = ""
	request.URL.RawQuery = strings.Trim(query+"&"+c.parameters(q).Encode(), "&")
	token, err := c.options.Token.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", endpoint, err)
	}
	if token != "" {
		request.Header.Set(tokenHeader, token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, Explain(endpoint, err)
	}
	if response.StatusCode == http.StatusOK || q.Recurse && response.StatusCode == http.StatusNotFound {
		return response, nil
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxExplanation+1)) // what there is of it
	return nil, Explain(endpoint, api.StatusError{Code: response.StatusCode, Body: strings.TrimSpace(string(body))})
}

// done reads the rest of a body, without which the connection would not be used again, and closes it.
func done(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, maxExplanation)
	_ = response.Body.Close() // It was read.
}
