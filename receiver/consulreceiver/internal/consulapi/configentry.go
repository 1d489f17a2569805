// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulapi

import "github.com/hashicorp/consul/api"

// MeshConfig is a kind of configuration entries that every Consul knows.
const MeshConfig = api.MeshConfig

// ConfigKinds are the kinds of configuration entries that Consul has.
var ConfigKinds = []string{
	api.ServiceDefaults, api.ProxyDefaults, api.ServiceRouter, api.ServiceSplitter, api.ServiceResolver,
	api.IngressGateway, api.TerminatingGateway, api.ServiceIntentions, api.MeshConfig, api.ExportedServices,
	api.SamenessGroup, api.APIGateway, api.TCPRoute, api.HTTPRoute, api.InlineCertificate,
	api.FileSystemCertificate, api.JWTProvider, api.RateLimitIPConfig,
}

// The flags of the keys of Consul's own lock and semaphore.
const (
	LockFlags      = api.LockFlagValue
	SemaphoreFlags = api.SemaphoreFlagValue
)
