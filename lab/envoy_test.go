// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const orderEnvoy = "../examples/order/envoy.yaml"

func TestFindEnvoy(t *testing.T) {
	version := func(v string) string {
		return "case \"$*\" in --version) echo; echo \"$0  version: 816188b86a0a52095b116b107f576324082c7c02/" + v + "/Clean/RELEASE/BoringSSL\";; *) exit 1;; esac"
	}
	t.Setenv("LAB_ENVOY", "")
	t.Setenv("PATH", t.TempDir())
	_, err := FindEnvoy(t.Context())
	require.ErrorIs(t, err, ErrNoEnvoy)
	require.ErrorContains(t, err, "set LAB_ENVOY to its path")

	old := fakeScript(t, "envoy", version("1.30.1"))
	t.Setenv("PATH", filepath.Dir(old))
	_, err = FindEnvoy(t.Context())
	require.ErrorIs(t, err, ErrNoEnvoy)
	require.ErrorContains(t, err, old+", is 1.30.1")

	t.Setenv("LAB_ENVOY", old)
	_, err = FindEnvoy(t.Context())
	require.NotErrorIs(t, err, ErrNoEnvoy, "who names one wants that one")
	require.EqualError(t, err, "LAB_ENVOY names envoy of an old version: "+old+" is 1.30.1; set it to the path of an executable that is 1.37.0 or newer, or unset it")

	t.Setenv("LAB_ENVOY", "/no/such/envoy")
	_, err = FindEnvoy(t.Context())
	require.ErrorContains(t, err, "LAB_ENVOY does not name a usable envoy")

	t.Setenv("LAB_ENVOY", "")
	on := fakeScript(t, "envoy", version("1.38.0-dev"))
	t.Setenv("PATH", filepath.Dir(on))
	path, err := FindEnvoy(t.Context())
	require.NoError(t, err)
	require.Equal(t, on, path)
}

// The addresses of the example's configuration are replaced, and nothing else is.
func TestEnvoyConfigHasOtherAddresses(t *testing.T) {
	content, err := os.ReadFile(orderEnvoy)
	require.NoError(t, err)
	clusters := map[string]string{"orders": "127.0.0.1:3", "collector": "127.0.0.1:4"}
	changed, err := envoyConfig(content, "127.0.0.1:1", "127.0.0.1:2", clusters)
	require.NoError(t, err)
	original, err := envoyConfig(content, "127.0.0.1:10000", "127.0.0.1:9901", map[string]string{"orders": "127.0.0.1:8080", "collector": "127.0.0.1:14317"})
	require.NoError(t, err)
	var shipped, same any
	require.NoError(t, yaml.Unmarshal(content, &shipped))
	require.NoError(t, yaml.Unmarshal(original, &same))
	require.Equal(t, shipped, same, "the addresses that it is shipped with")
	for _, port := range []string{"1", "2", "3", "4"} {
		require.Contains(t, string(changed), `"port_value": `+port+"\n")
	}
	require.NotRegexp(t, `"port_value": \d\d`, string(changed))

	_, err = envoyConfig(content, "127.0.0.1:1", "127.0.0.1:2", map[string]string{"nobody": "127.0.0.1:5"})
	require.EqualError(t, err, "cluster nobody: there is none of that name")
}

func TestStartEnvoy(t *testing.T) {
	if _, err := FindEnvoy(t.Context()); err != nil {
		t.Skip(err)
	}
	e, err := StartEnvoy(t.Context(), EnvoyOptions{Config: orderEnvoy, Clusters: map[string]string{"orders": "127.0.0.1:1", "collector": "127.0.0.1:1"}})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Stop(t.Context())) }()
	require.NoError(t, answersOK("http://"+e.Admin+"/stats/prometheus")(t.Context()))
}
