// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"errors"
	"sync/atomic"
)

// needed has the parts of an entry that are used, as they are written.
type needed struct {
	Type          json.RawMessage `json:"type,omitempty"`
	Time          json.RawMessage `json:"time,omitempty"`
	Error         json.RawMessage `json:"error,omitempty"`
	ForwardedFrom json.RawMessage `json:"forwarded_from,omitempty"`
	Request       *struct {
		ID        json.RawMessage `json:"id,omitempty"`
		Operation json.RawMessage `json:"operation,omitempty"`
		Path      json.RawMessage `json:"path,omitempty"`
		Namespace struct {
			Path json.RawMessage `json:"path,omitempty"`
		} `json:"namespace"`
		MountPoint    json.RawMessage `json:"mount_point,omitempty"`
		MountType     json.RawMessage `json:"mount_type,omitempty"`
		MountClass    json.RawMessage `json:"mount_class,omitempty"`
		RemoteAddress json.RawMessage `json:"remote_address,omitempty"`
		RemotePort    json.RawMessage `json:"remote_port,omitempty"`
		Headers       struct {
			UserAgent   json.RawMessage `json:"user-agent,omitempty"`
			TraceParent json.RawMessage `json:"traceparent,omitempty"`
			TraceState  json.RawMessage `json:"tracestate,omitempty"`
		} `json:"headers"`
	} `json:"request,omitempty"`
	Auth *struct {
		DisplayName   json.RawMessage `json:"display_name,omitempty"`
		EntityID      json.RawMessage `json:"entity_id,omitempty"`
		Accessor      json.RawMessage `json:"accessor,omitempty"`
		TokenType     json.RawMessage `json:"token_type,omitempty"`
		PolicyResults *struct {
			Allowed json.RawMessage `json:"allowed,omitempty"`
		} `json:"policy_results,omitempty"`
	} `json:"auth,omitempty"`
	Response *struct {
		Secret struct {
			LeaseID json.RawMessage `json:"lease_id,omitempty"`
		} `json:"secret"`
		Auth struct {
			TokenTTL  json.RawMessage `json:"token_ttl,omitempty"`
			TokenType json.RawMessage `json:"token_type,omitempty"`
		} `json:"auth"`
		WrapInfo *struct{} `json:"wrap_info,omitempty"`
	} `json:"response,omitempty"`
}

// shorten leaves out of a long line what is not used. encoding/json is slower than
// fastjson, and takes no memory for what it leaves out, where fastjson keeps some
// hundred bytes for each value: 1.3 GB for 5 MB of zeros.
func shorten(line []byte) ([]byte, error) {
	var parts needed
	err := json.Unmarshal(line, &parts)
	var wrongType *json.UnmarshalTypeError // of one part, which is left out
	if err != nil && !errors.As(err, &wrongType) {
		return nil, err
	}
	return json.Marshal(parts)
}

// Room is the memory that several Lines may take together for lines which are
// longer than is kept. It is safe for concurrent use.
type Room struct{ left atomic.Int64 }

// NewRoom returns a Room of so many bytes.
func NewRoom(bytes int64) *Room {
	r := new(Room)
	r.left.Store(bytes)
	return r
}

// take says whether there was room. Nil has room without end.
func (r *Room) take(bytes int64) bool {
	if r == nil {
		return true
	}
	if r.left.Add(-bytes) >= 0 {
		return true
	}
	r.left.Add(bytes)
	return false
}

func (r *Room) give(bytes int64) {
	if r != nil {
		r.left.Add(bytes)
	}
}
