// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"slices"
)

// chosen has the fields of an object that are named, and are no lists or objects.
// It goes through what is written by itself: encoding/json would make a map of all
// fields, or take other cases of a name for the name.
type chosen struct {
	names []string
	parts []part // nil: there is none of that name
}

// UnmarshalJSON implements json.Unmarshaler. What is written is valid.
func (c *chosen) UnmarshalJSON(written []byte) error {
	if len(c.names) == 0 || written[0] != '{' {
		return nil
	}
	c.parts = make([]part, len(c.names))
	seen := make([]bool, len(c.names)) // The first of several counts, as with fastjson.
	for rest := written[1:]; ; {
		rest = bytes.TrimLeft(rest, " \t\r\n,")
		if rest[0] == '}' {
			return nil
		}
		end := endOf(rest)
		name := rest[:end]
		rest = bytes.TrimLeft(rest[end:], " \t\r\n:")
		end = endOf(rest)
		if i := c.index(name); i >= 0 && !seen[i] {
			seen[i] = true
			if rest[0] != '{' && rest[0] != '[' {
				_ = c.parts[i].UnmarshalJSON(rest[:end]) // It never fails.
			}
		}
		rest = rest[end:]
	}
}

// index returns which name is written, -1 for none.
func (c *chosen) index(written []byte) int {
	if bytes.IndexByte(written, '\\') < 0 {
		return slices.IndexFunc(c.names, func(name string) bool { return name == string(written[1:len(written)-1]) })
	}
	longest := 0
	for _, name := range c.names {
		longest = max(longest, len(name))
	}
	var name string
	if len(written) > len(`""`)+longest*len(`\u0000`) || json.Unmarshal(written, &name) != nil {
		return -1
	}
	return slices.Index(c.names, name)
}

// endOf returns where the value ends that valid JSON begins with.
func endOf(written []byte) int {
	depth := 0
	for i := 0; i < len(written); i++ {
		switch written[i] {
		case '"':
			i = endOfText(written, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			if end := bytes.IndexAny(written[i:], ",}] \t\r\n"); end >= 0 {
				return i + end
			}
			return len(written)
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(written)
}

// endOfText returns where the text ends that begins at from.
func endOfText(written []byte, from int) int {
	for i := from + 1; i < len(written); i++ {
		switch written[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(written)
}

// IsZero says that there is nothing, so that it is left out.
func (c chosen) IsZero() bool {
	return !slices.ContainsFunc(c.parts, func(p part) bool { return p != nil })
}

// MarshalJSON implements json.Marshaler.
func (c chosen) MarshalJSON() ([]byte, error) {
	fields := make(map[string]part, len(c.parts))
	for i, p := range c.parts {
		if p != nil {
			fields[c.names[i]] = p
		}
	}
	return json.Marshal(fields)
}
