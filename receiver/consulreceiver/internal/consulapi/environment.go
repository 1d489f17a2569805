// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulapi

import (
	"os"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
)

// TokenOfEnvironment returns the token that CONSUL_HTTP_TOKEN_FILE or
// CONSUL_HTTP_TOKEN gives.
func TokenOfEnvironment() tokenfile.Source {
	return tokenfile.Source{
		Token:    configopaque.String(os.Getenv(api.HTTPTokenEnvName)),
		File:     os.Getenv(api.HTTPTokenFileEnvName),
		FileName: api.HTTPTokenFileEnvName,
	}
}

// NamespaceOfEnvironment returns CONSUL_NAMESPACE.
func NamespaceOfEnvironment() string { return os.Getenv(api.HTTPNamespaceEnvName) }

// PartitionOfEnvironment returns CONSUL_PARTITION.
func PartitionOfEnvironment() string { return os.Getenv(api.HTTPPartitionEnvName) }
