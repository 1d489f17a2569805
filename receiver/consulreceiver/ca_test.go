// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// A primary datacenter signs with the root certificate, a secondary one with an
// intermediate of its own, which lasts a year.
func TestTheSigningCertificate(t *testing.T) {
	t.Parallel()
	const hcl = `primary_datacenter = "dc1"`
	one, client := startConsul(t, lab.ServerOptions{ExtraHCL: hcl})
	two, _ := startConsul(t, lab.ServerOptions{ExtraHCL: hcl, Datacenter: "dc2", JoinWAN: []string{one.WAN}})
	expiry := func(consul *lab.Consul) (root, signing time.Time) {
		o := observe(t, configFor(consul.Addr))
		o.Eventually(t, consul.Datacenter, func() bool { return o.HasMetric("consul.ca.signing_certificate.expiry_timestamp") })
		at := func(name string) time.Time {
			seconds, _ := o.Float(name)
			return time.Unix(int64(seconds), 0)
		}
		return at("consul.ca.root.expiry_timestamp"), at("consul.ca.signing_certificate.expiry_timestamp")
	}
	root, signing := expiry(one)
	assert.Equal(t, root, signing)
	root, signing = expiry(two)
	assert.WithinDuration(t, time.Now().AddDate(10, 0, 0), root, 10*24*time.Hour)
	assert.WithinDuration(t, time.Now().AddDate(1, 0, 0), signing, 10*24*time.Hour)

	// The new root is signed by the old one, too, and listed with that certificate.
	config, _, err := client.Connect().CAGetConfig(nil)
	require.NoError(t, err)
	config.Config["PrivateKeyType"], config.Config["PrivateKeyBits"] = "rsa", 2048
	_, err = client.Connect().CASetConfig(config, nil)
	require.NoError(t, err)
	roots, _, err := client.Agent().ConnectCARoots(nil)
	require.NoError(t, err)
	require.Len(t, roots.Roots, 2)
	root, signing = expiry(one)
	assert.Equal(t, root, signing)
}
