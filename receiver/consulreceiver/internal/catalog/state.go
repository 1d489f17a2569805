// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

// Service is a service of the catalog, known by its name.
type Service struct{}

// Node is a node of the catalog, known by its name.
type Node struct {
	Address string
}
