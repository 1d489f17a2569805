// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package envtest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVariables(t *testing.T) {
	assert.Contains(t, Variables(t, "VAULT_", "-find", "github.com/hashicorp/vault/api/..."), "VAULT_WRAP_TTL", "of a constant")
	assert.Contains(t, Variables(t, "ETCD_", "-find", "go.etcd.io/etcd/client/v3/..."), "ETCD_CLIENT_DEBUG", "of an argument")
	assert.Contains(t, Variables(t, "GRPC_", "-deps", "go.etcd.io/etcd/client/v3"), "GRPC_ENFORCE_ALPN_ENABLED", "of what is imported")
}

func TestRerun(t *testing.T) {
	if IsChild() {
		assert.Equal(t, "planted", os.Getenv("PLANTED"))
		return
	}
	assert.Empty(t, os.Getenv("PLANTED"))
	Rerun(t, "PLANTED=planted")
}
