// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// A token in a file, which is read again when it changes, and one that systemd
// decrypts: as the guide says, and with a real Consul that denies all without it.
func TestSecrets(t *testing.T) {
	t.Parallel()
	first, _ := build(t)
	c := boot(t)
	file, encrypted := block(t, installing, "consul-token <<"), block(t, installing, "systemd-creds encrypt")
	token := regexp.MustCompile(`(?m)^[0-9a-f-]{36}$`).FindString(file)
	require.NotEmpty(t, token)
	servers, err := lab.Start(t.Context(), lab.Options{Servers: []string{"consul"}, ConsulToken: token})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Stop()) })
	c.forward(t, "127.0.0.1:8500", servers.Consul.Addr)

	c.put(t, first.deb)
	c.run(t, block(t, installing, "apt-get install"))
	c.run(t, block(t, installing, "ETCD_LOCK_PREFIXES"))
	c.run(t, file)
	const path = "/etc/otelcol-infra/credentials/consul-token"
	assert.Equal(t, "root:otelcol-infra 640", c.run(t, "stat -c '%U:%G %a' "+path))
	c.run(t, "mv "+path+" /root/right && echo wrong >"+path+" && chgrp otelcol-infra "+path)
	c.run(t, block(t, installing, "systemctl enable --now"))
	c.requireHealthy(t)
	time.Sleep(5 * time.Second)
	require.False(t, c.knowsConsul(t), "Consul denies it all")

	before := c.collector(t)
	c.run(t, "cat /root/right >"+path)
	require.Eventually(t, func() bool { return c.knowsConsul(t) }, soon, time.Second, "the file is read again")
	assert.Equal(t, before, c.collector(t), "without a restart")
	c.requireNoTrace(t, token)

	c.run(t, encrypted)
	assert.NotContains(t, c.run(t, "cat /etc/otelcol-infra/consul-token.cred"), token)
	c.run(t, "systemctl restart otelcol-infra")
	c.requireHealthy(t)
	require.Eventually(t, func() bool { return c.knowsConsul(t) }, soon, time.Second, "systemd has decrypted it")
	c.requireNoTrace(t, token)
}

// knowsConsul reports whether what Consul gives only to those with a token has become a metric.
func (c *container) knowsConsul(t *testing.T) bool {
	t.Helper()
	_, metrics := c.fetch(t, "127.0.0.1:9464", "/metrics")
	return strings.Contains(metrics, "\nconsul_catalog_node_count{")
}

// requireNoTrace requires that a token is neither in the log nor in the environment or arguments.
func (c *container) requireNoTrace(t *testing.T, token string) {
	t.Helper()
	assert.NotContains(t, c.said(t), token)
	assert.NotContains(t, c.run(t, fmt.Sprintf("cat /proc/%d/environ /proc/%[1]d/cmdline | tr '\\0' '\\n'", c.collector(t))), token)
}

// A file of another group is read with the drop-in of the guide, and only with it.
func TestTheGroupOfVault(t *testing.T) {
	t.Parallel()
	first, _ := build(t)
	c := boot(t)
	c.put(t, first.deb)
	c.run(t, block(t, installing, "apt-get install"))
	const path = "/var/log/vault/settings.yaml"
	c.run(t, "groupadd --system vault && install -d -m 0750 -g vault /var/log/vault && umask 0027 && echo '{}' >"+path+" && chgrp vault "+path)
	c.set(t, `CONFIG="standalone.yaml `+path+`"`)
	c.requireOneLine(t, "CONFIG: "+path+" does not exist: create it, or correct its name in "+settings)
	c.run(t, block(t, installing, "SupplementaryGroups=vault"))
	c.run(t, "systemctl start otelcol-infra")
	c.requireHealthy(t)
}
