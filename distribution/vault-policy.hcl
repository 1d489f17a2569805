# What the Vault receiver needs for all that it can tell. Leave out what you do
# not want to be told: what is denied costs its own part only.
#
#   vault policy write otelcol-infra vault-policy.hcl
#   vault token create -orphan -period=24h -policy=otelcol-infra

# The receiver's own token.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}

# The cluster: nodes, raft, numbers of leases, Vault's own metrics.
path "sys/metrics" {
  capabilities = ["read"]
}
path "sys/leases/count" {
  capabilities = ["read"]
}
path "sys/ha-status" {
  capabilities = ["read"]
}
path "sys/storage/raft/configuration" {
  capabilities = ["read"]
}
path "sys/storage/raft/autopilot/state" {
  capabilities = ["read"]
}

# Leases, with leases::mode prefixes. Write the prefixes instead of the star to
# allow less.
path "sys/leases/lookup/*" {
  capabilities = ["list", "sudo"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}
path "sys/leases" {
  capabilities = ["read", "sudo"]
}

# Tokens; the last two with tokens::mode accessors.
path "sys/internal/counters/tokens" {
  capabilities = ["read"]
}
path "auth/token/accessors/" {
  capabilities = ["list", "sudo"]
}
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}

# Certificates: the same for each of pki::mounts. Vault tells the rest to anybody.
path "pki/certs" {
  capabilities = ["list"]
}
path "pki/certs/revoked" {
  capabilities = ["list"]
}
path "pki/issuer/+" {
  capabilities = ["read"]
}
path "pki/roles" {
  capabilities = ["list"]
}
path "pki/roles/+" {
  capabilities = ["read"]
}

# Secrets engines, auth methods, policies, audit devices, quotas.
path "sys/mounts" {
  capabilities = ["read"]
}
path "sys/auth" {
  capabilities = ["read"]
}
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/*" {
  capabilities = ["read"]
}
path "sys/audit" {
  capabilities = ["read", "sudo"]
}
path "sys/quotas/rate-limit" {
  capabilities = ["list"]
}
path "sys/quotas/rate-limit/+" {
  capabilities = ["read"]
}

# Users that are locked out, requests in flight, clients and entities.
path "sys/locked-users" {
  capabilities = ["read"]
}
path "sys/in-flight-req" {
  capabilities = ["read"]
}
path "sys/internal/counters/activity/monthly" {
  capabilities = ["read"]
}
path "sys/internal/counters/entities" {
  capabilities = ["read"]
}
