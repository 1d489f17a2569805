// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"errors"
	"sync/atomic"
)

// part is a part of an entry as it is written. A text is cut where it would be cut
// anyway, and what else is so long is left out: whoever asks Vault chooses paths and
// headers, and must not be able to hide a request behind long ones.
type part []byte

const (
	// longestPart is how long a text may be as it is written, so that none is longer
	// that is not cut: "\u0000".
	longestPart = 6*longestText + len(`""`)

	// longestOther is how long what is no text may be, as of headers, which are lists.
	// All parts together have no more values than a usual line.
	longestOther = longestText + len(`[""]`)
)

// UnmarshalJSON implements json.Unmarshaler.
func (p *part) UnmarshalJSON(written []byte) error {
	if len(written) <= longestOther || written[0] == '"' && len(written) <= longestPart {
		*p = append((*p)[:0], written...)
		return nil
	}
	var text string
	if json.Unmarshal(written, &text) != nil {
		*p = nil
		return nil
	}
	var err error
	*p, err = json.Marshal(bounded([]byte(text[:min(len(text), longestText)])))
	return err
}

// MarshalJSON implements json.Marshaler.
func (p part) MarshalJSON() ([]byte, error) { return p, nil }

// needed has the parts of an entry that are used.
type needed struct {
	Type          part `json:"type,omitempty"`
	Time          part `json:"time,omitempty"`
	Error         part `json:"error,omitempty"`
	ForwardedFrom part `json:"forwarded_from,omitempty"`
	Request       *struct {
		ID        part `json:"id,omitempty"`
		Operation part `json:"operation,omitempty"`
		Path      part `json:"path,omitempty"`
		Namespace struct {
			Path part `json:"path,omitempty"`
		} `json:"namespace"`
		MountPoint    part `json:"mount_point,omitempty"`
		MountType     part `json:"mount_type,omitempty"`
		RemoteAddress part `json:"remote_address,omitempty"`
		RemotePort    part `json:"remote_port,omitempty"`
		Headers       struct {
			UserAgent   part `json:"user-agent,omitempty"`
			TraceParent part `json:"traceparent,omitempty"`
			TraceState  part `json:"tracestate,omitempty"`
		} `json:"headers"`
	} `json:"request,omitempty"`
	Auth *struct {
		DisplayName   part `json:"display_name,omitempty"`
		EntityID      part `json:"entity_id,omitempty"`
		TokenType     part `json:"token_type,omitempty"`
		PolicyResults *struct {
			Allowed part `json:"allowed,omitempty"`
		} `json:"policy_results,omitempty"`
	} `json:"auth,omitempty"`
	Response *struct {
		Secret struct {
			LeaseID part `json:"lease_id,omitempty"`
		} `json:"secret"`
		Auth struct {
			TokenTTL  part `json:"token_ttl,omitempty"`
			TokenType part `json:"token_type,omitempty"`
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
