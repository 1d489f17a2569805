# What the collector's token needs in Vault for this example, beside
# distribution/vault-policy.hcl: to list the leases of the worker's credentials.
path "sys/leases/lookup/order-credentials/*" {
  capabilities = ["list", "sudo"]
}
