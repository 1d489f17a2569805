// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/hex"
	"strings"
)

// maxSerial is how many octets a serial number has at most, as RFC 5280 has it.
const maxSerial = 20

// Serial is the serial number of a certificate.
type Serial struct {
	octets [maxSerial]byte
	length uint8
}

// ParseSerial reads a serial number as Vault writes it, in hex with colons or,
// as it once did, with dashes.
func ParseSerial(text string) (s Serial, ok bool) {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ':' || r == '-' }) {
		if len(part) != 2 || s.length == maxSerial {
			return Serial{}, false
		}
		if _, err := hex.Decode(s.octets[s.length:s.length+1], []byte(part)); err != nil {
			return Serial{}, false
		}
		s.length++
	}
	return s, s.length > 0
}

// String returns the serial number in hex with colons.
func (s Serial) String() string {
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 3*maxSerial)
	for i, octet := range s.octets[:s.length] {
		if i > 0 {
			text = append(text, ':')
		}
		text = append(text, digits[octet>>4], digits[octet&15])
	}
	return string(text)
}

func compareSerials(a, b Serial) int { return bytes.Compare(a.octets[:a.length], b.octets[:b.length]) }
