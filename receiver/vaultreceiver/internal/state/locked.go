// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

// LockedUsers is how many users are locked out, by the accessors of the auth methods.
type LockedUsers map[string]int64

// locks says of which types the auth methods lock users out.
var locks = map[string]bool{"approle": true, "ldap": true, "userpass": true}

// ByPath returns how many users are locked out, by the paths of the auth methods
// as far as they are known, else by the accessors. A method that could lock
// users out, and has none locked, is there too.
func (u LockedUsers) ByPath(methods Mounts) map[string]int64 {
	byPath := map[string]int64{}
	for _, method := range methods {
		if locks[method.Type] {
			byPath[method.Path] = 0
		}
	}
	paths := methods.Paths()
	for accessor, n := range u {
		path, known := paths[accessor]
		if !known {
			path = accessor
		}
		byPath[path] += n
	}
	return byPath
}
