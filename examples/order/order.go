// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package order is what the programs of the example agree on.
package order

import _ "embed"

// TaskQueue and Workflow are where and as what orders are processed in Temporal.
const (
	TaskQueue = "orders"
	Workflow  = "Order"
)

// MaxQuantityKey is the key in Consul of how much of an item one order may ask for.
const MaxQuantityKey = "order/config/max_quantity"

// Request is the argument of the workflow and of its activities. Temporal keeps
// it in the workflow's history, the number of the card included: a real service
// encrypts it there, with a PayloadCodec.
type Request struct {
	ID       string `json:"id"`
	User     string `json:"user"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Card     string `json:"card"`
}

// The types of Temporal's application errors with which an order is refused. Any other failure is a dependency's.
const (
	UnknownUser  = "UnknownUser"
	OutOfStock   = "OutOfStock"
	CardDeclined = "CardDeclined"
)

// WorkerPolicy is what the worker may do in Vault.
//
//go:embed worker-policy.hcl
var WorkerPolicy string

// What the worker reads and uses in Vault.
const (
	SecretsMount     = "order-secrets" // a KV secrets engine, version 2
	PaymentSecret    = "payment"
	CredentialsMount = "order-credentials" // version 1, with leases
	DatabaseSecret   = "database"
	TransitMount     = "order-transit"
	CardsKey         = "cards"
	WorkerRole       = "order-worker" // of AppRole, and the name of its policy
)
