# What the worker may do. Vault's policy "default", which each token has unless
# asked otherwise, lets it renew and revoke its own token and renew its leases.

path "order-secrets/data/payment" {
  capabilities = ["read"]
}

path "order-credentials/database" {
  capabilities = ["read"]
}

path "order-transit/encrypt/cards" {
  capabilities = ["update"]
}
