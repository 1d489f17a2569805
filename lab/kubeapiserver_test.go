// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKubeAPIServerStoresObjects(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real kube-apiserver; run without -short")
	}
	builds, err := FindMissing(t.Context(), nil, "kube-apiserver")
	require.NoError(t, err)
	if builds.Missing("kube-apiserver") {
		t.Skip("kube-apiserver is not built, which takes minutes: make kubernetes-test does that")
	}
	l, err := Start(t.Context(), Options{Servers: []string{"kube-apiserver"}, Progress: os.Stderr})
	require.NoError(t, err)
	stopAfter(t, l)
	require.Len(t, l.Servers(), 2, "itself and its etcd")
	require.Contains(t, l.Env(), "KUBECONFIG="+l.KubeAPIServer.Kubeconfig)
	require.FileExists(t, l.KubeAPIServer.Kubeconfig)

	client, err := TLSFiles{
		CA: l.KubeAPIServer.CA, Cert: l.KubeAPIServer.certificate.Cert, Key: l.KubeAPIServer.certificate.Key,
	}.probe()
	require.NoError(t, err)
	header := http.Header{"Authorization": {"Bearer " + l.KubeAPIServer.Token}}
	namespaces := l.KubeAPIServer.URL + "/api/v1/namespaces/default"
	status, _, err := getBy(t.Context(), client, namespaces, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, status, "RBAC is on")

	require.NoError(t, l.KubeAPIServer.Restart(t.Context()))
	var namespace struct{ Metadata struct{ Name, UID string } }
	require.NoError(t, getJSONBy(t.Context(), client, namespaces, header, &namespace))
	require.Equal(t, "default", namespace.Metadata.Name)
	require.NotEmpty(t, namespace.Metadata.UID)
}
