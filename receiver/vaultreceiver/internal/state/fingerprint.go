// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Fingerprint returns a hash of settings, by which a change is seen without the
// settings being kept. What is empty does not count, so that a newer Vault, which
// tells more settings with their defaults, has not changed them.
func Fingerprint(settings map[string]any) string {
	text, err := json.Marshal(filled(settings)) // sorts the keys
	if err != nil {
		return "" // It was JSON, so this does not happen.
	}
	return Digest(string(text))
}

// Digest returns the SHA-256 of a text.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// filled returns a value without the parts of it that are empty; nil when nothing
// is left.
func filled(value any) any {
	switch v := value.(type) {
	case map[string]any:
		parts := map[string]any{}
		for key, part := range v {
			if part = filled(part); part != nil {
				parts[key] = part
			}
		}
		if len(parts) == 0 {
			return nil
		}
		return parts
	case []any:
		if len(v) == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
	case float64:
		if v == 0 {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	}
	return value
}
