# What the Vault receiver needs, a section for each part of its configuration.
# Leave out what you do not want to be told, and switch that off: what is denied
# costs its own part only.
#
#   vault policy write otelcol-infra vault-policy.hcl
#   vault token create -orphan -period=24h -policy=otelcol-infra

## The receiver's own token
# Vault's policy default has this, too.
# vault.own_token.ttl, and the events of the token
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
# For a token of a login, and for one that is periodic
path "auth/token/renew-self" {
  capabilities = ["update"]
}

## Cluster
# vault.lease.count, and what scrape_server_metrics takes over
path "sys/metrics" {
  capabilities = ["read"]
}
# vault.lease.irrevocable.count
path "sys/leases/count" {
  capabilities = ["read"]
}
# vault.ha.node.count, vault.ha.node.clock.skew
path "sys/ha-status" {
  capabilities = ["read"]
}
# vault.raft.peer.count, and the events of peers that were added or removed
path "sys/storage/raft/configuration" {
  capabilities = ["read"]
}
# The other vault.raft metrics, and the events of peers that are unhealthy or healthy again
path "sys/storage/raft/autopilot/state" {
  capabilities = ["read"]
}

## Leases
# For leases::mode prefixes, with the prefixes database/creds, pki/issue and auth.
# The leases there are: one path for each of leases::prefixes
path "sys/leases/lookup/database/creds/*" {
  capabilities = ["list", "sudo"]
}
path "sys/leases/lookup/pki/issue/*" {
  capabilities = ["list", "sudo"]
}
path "sys/leases/lookup/auth/*" {
  capabilities = ["list", "sudo"]
}
# The times of a lease. It does not allow to renew or to revoke one
path "sys/leases/lookup" {
  capabilities = ["update"]
}
# vault.lease.irrevocable: whether there are such leases, and which
path "sys/leases/count" {
  capabilities = ["read"]
}
path "sys/leases" {
  capabilities = ["read", "sudo"]
}

## Tokens
# vault.token.count
path "sys/internal/counters/tokens" {
  capabilities = ["read"]
}
# With tokens::mode accessors: which tokens there are, by their accessors
path "auth/token/accessors/" {
  capabilities = ["list", "sudo"]
}
# When a token ends, and where it was made. It allows neither to renew nor to revoke one
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}

## PKI
# For pki::mounts, with the mount pki. Vault tells single certificates, the list of the
# issuers and their revocation lists to anybody.
# vault.pki.certificate.count and the other metrics and events of certificates
path "pki/certs" {
  capabilities = ["list"]
}
# vault.pki.revoked.count, vault.pki.certificate.revoked
path "pki/certs/revoked" {
  capabilities = ["list"]
}
# vault.pki.ca.expiry, vault.pki.ca.expiring
path "pki/issuer/+" {
  capabilities = ["read"]
}
# For vault.pki.role; none of it with pki::roles: false
path "pki/roles" {
  capabilities = ["list"]
}
path "pki/roles/+" {
  capabilities = ["read"]
}

## Mounts
# vault.mount.count, and the events of secrets engines
path "sys/mounts" {
  capabilities = ["read"]
}
# The same of auth methods, and their paths for vault.locked_user.count
path "sys/auth" {
  capabilities = ["read"]
}

## Policies
# vault.policy.count, and the events of policies that came or went
path "sys/policies/acl" {
  capabilities = ["list"]
}
# The events of policies that were changed
path "sys/policies/acl/*" {
  capabilities = ["read"]
}

## Audit devices
path "sys/audit" {
  capabilities = ["read", "sudo"]
}

## Quotas
path "sys/quotas/rate-limit" {
  capabilities = ["list"]
}
path "sys/quotas/rate-limit/+" {
  capabilities = ["read"]
}
# vault.quota.refusals, and the event
path "sys/metrics" {
  capabilities = ["read"]
}

## Locked users
path "sys/locked-users" {
  capabilities = ["read"]
}

## Requests in flight
path "sys/in-flight-req" {
  capabilities = ["read"]
}

## Clients
# vault.client.count
path "sys/internal/counters/activity/monthly" {
  capabilities = ["read"]
}
# vault.entity.count
path "sys/internal/counters/entities" {
  capabilities = ["read"]
}
