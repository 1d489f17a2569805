// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// Kind is which half of an exchange an entry is.
type Kind int

// The halves.
const (
	Request Kind = iota + 1
	Response
)

// Entry is what is used of one line of an audit device. What the line does not
// say is zero. The fields are those of Vault's audit schema,
// https://developer.hashicorp.com/vault/docs/audit/schema.
type Entry struct {
	Kind Kind
	ID   string // of the exchange
	Time time.Time

	Operation string // such as read, update or list
	Path      string
	Namespace string // path; empty for the root namespace
	Mount     Mount

	RemoteAddress string
	RemotePort    int
	ForwardedFrom string // the node that has passed the request on

	Auth    Auth
	Failure Failure

	// Of the request's headers, where they are audited without being hashed, as
	// Vault does with the first by default.
	UserAgent, TraceParent, TraceState string

	// Of a response. Of the lease that was issued or renewed only what is told is kept,
	// as state.FolderOf and state.HashOf return it; empty: none is named.
	LeasePrefix, LeaseHash string

	Unnamed bool          // there is a lease that is not named: of a token, or of what was wrapped
	TTL     time.Duration // of the token that was issued or renewed

	// Data is of the request and of the response, where the Reader has names. Nil: nothing
	// of it is named.
	Data *Data `json:",omitempty"`
}

// Mount is the one that a request was routed to.
type Mount struct {
	Path string // with a slash at its end
	Type string // such as kv
}

// Auth is whose token a request was made with.
type Auth struct {
	DisplayName string
	EntityID    string
	TokenType   string
	Judged      bool // whether policies were asked
	Allowed     bool // by policies
}

// Failure is the class of an error. Its text may hold what a plugin has put into
// it, so it is not kept.
type Failure string

// The failures.
const (
	None         Failure = ""
	Denied       Failure = "permission_denied"
	InvalidToken Failure = "invalid_token"
	Unsupported  Failure = "unsupported"
	Invalid      Failure = "invalid_request"
	Limited      Failure = "quota_exceeded"
	Other        Failure = "_OTHER" // as semantic conventions have it
)

// classes are known beginnings of what Vault writes, by what is in them. The
// first that is found counts.
var classes = []struct {
	says  string
	class Failure
}{
	{"invalid token", InvalidToken},
	{"permission denied", Denied},
	{"unsupported operation", Unsupported},
	{"unsupported path", Unsupported},
	{"quota exceeded", Limited},
	{"invalid", Invalid},
	{"missing", Invalid},
}

func classify(text string) Failure {
	if text == "" {
		return None
	}
	for _, c := range classes {
		if strings.Contains(text, c.says) {
			return c.class
		}
	}
	return Other
}

// parsers are those that all Readers share, one for each processor: after a line
// of as many values as fit into a usual one, each keeps some megabytes.
var parsers = func() chan *fastjson.Parser {
	all := make(chan *fastjson.Parser, runtime.GOMAXPROCS(0))
	for range cap(all) {
		all <- new(fastjson.Parser)
	}
	return all
}()

// Reader reads entries. It is not safe for concurrent use.
type Reader struct {
	// Data are the names of the fields that are kept of the data of requests and
	// responses.
	Data []string

	names names
}

// Errors of lines that are no entries. They never hold any of the line.
var (
	ErrNotJSON  = errors.New("the line is not a JSON object")
	ErrNotEntry = errors.New("the object is not an audit entry")
)

// Read reads a line. The entry holds none of its memory. The error wraps
// ErrNotJSON or ErrNotEntry.
func (r *Reader) Read(line []byte) (_ *Entry, err error) {
	if r.names == nil {
		r.names = names{}
	}
	if len(line) > usual {
		if line, err = shorten(line, r.Data); err != nil {
			return nil, ErrNotJSON
		}
	}
	parser := <-parsers
	defer func() { parsers <- parser }()
	value, err := parser.ParseBytes(line)
	if err != nil || value.Type() != fastjson.TypeObject {
		return nil, ErrNotJSON // What the parser says holds parts of the line.
	}
	e := new(Entry)
	switch string(value.GetStringBytes("type")) {
	case "request":
		e.Kind = Request
	case "response":
		e.Kind = Response
	default:
		return nil, fmt.Errorf("%w: its type is neither request nor response", ErrNotEntry)
	}
	request := value.Get("request")
	if request == nil || request.Type() != fastjson.TypeObject {
		return nil, fmt.Errorf("%w: it has no request", ErrNotEntry)
	}
	id := request.GetStringBytes("id")
	if len(id) == 0 || len(id) > longestID {
		return nil, fmt.Errorf("%w: the request has no id, or one that is too long", ErrNotEntry)
	}
	e.ID = bounded(id)
	at, err := time.Parse(time.RFC3339Nano, string(value.GetStringBytes("time")))
	if err != nil || at.Unix() < 0 || at.Unix() >= latest {
		return nil, fmt.Errorf("%w: its time is not in the form of RFC 3339, or not between 1970 and 2262", ErrNotEntry)
	}
	e.Time = at.UTC() // Others cannot all be stored.
	r.request(e, request)
	e.ForwardedFrom = r.name(value, "forwarded_from")
	e.Failure = classify(string(value.GetStringBytes("error")))
	if auth := value.Get("auth"); auth != nil {
		e.Auth = r.auth(auth)
	}
	response := value.Get("response")
	if response != nil {
		if lease := text(response, "secret", "lease_id"); lease != "" {
			e.LeasePrefix, e.LeaseHash = state.FolderOf(lease), state.HashOf(lease)
		}
		e.Unnamed = unnamed(response)
		e.TTL = time.Duration(response.GetInt64("auth", "token_ttl")) * time.Second
	}
	if len(r.Data) > 0 {
		e.Data = some(Data{r.fields(request.Get("data")), r.fields(response.Get("data"))})
	}
	return e, nil
}

// unnamed says whether there is a lease of a token, but for one of type batch, which
// has none, or of what was wrapped.
func unnamed(response *fastjson.Value) bool {
	if wrapped := response.Get("wrap_info"); wrapped != nil && wrapped.Type() == fastjson.TypeObject {
		return true
	}
	kind := response.GetStringBytes("auth", "token_type")
	return len(kind) > 0 && string(kind) != "batch"
}

func (r *Reader) request(e *Entry, request *fastjson.Value) {
	e.Operation = r.name(request, "operation")
	e.Path = text(request, "path")
	e.Namespace = r.name(request, "namespace", "path")
	e.Mount = Mount{Path: r.name(request, "mount_point"), Type: r.name(request, "mount_type")}
	e.RemoteAddress = r.name(request, "remote_address")
	e.RemotePort = request.GetInt("remote_port")
	if headers := request.Get("headers"); headers != nil {
		e.UserAgent = r.name(headers, "user-agent", "0")
		e.TraceParent = text(headers, "traceparent", "0")
		e.TraceState = text(headers, "tracestate", "0")
	}
}

func (r *Reader) auth(auth *fastjson.Value) Auth {
	judged := auth.Get("policy_results")
	return Auth{
		DisplayName: r.name(auth, "display_name"),
		EntityID:    r.name(auth, "entity_id"),
		TokenType:   r.name(auth, "token_type"),
		Judged:      judged != nil,
		Allowed:     judged != nil && judged.GetBool("allowed"),
	}
}

// name is like text, for what most entries have in common.
func (r *Reader) name(value *fastjson.Value, keys ...string) string {
	return r.names.of(value.GetStringBytes(keys...))
}

// text copies a string, empty when there is none.
func text(value *fastjson.Value, keys ...string) string {
	return bounded(value.GetStringBytes(keys...))
}

// latest is the first second that is too late for telemetry.
const latest = math.MaxInt64 / int64(time.Second)

const (
	longestID   = 128
	longestText = 1024 // Vault's own are shorter by far, but for paths.
)

// bounded copies a text up to a length, as entries wait in memory. What is not
// valid UTF-8 is replaced, as nobody would take in a batch that holds it.
func bounded(text []byte) string {
	return strings.ToValidUTF8(string(text[:min(len(text), longestText)]), "\uFFFD")
}
