// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	settings   = "/etc/otelcol-infra/otelcol-infra.env"
	standalone = "/etc/otelcol-infra/standalone.yaml"
)

// Installed, configured, started, upgraded, rolled back, removed and purged, by the
// guides' own commands. A lock that is held meanwhile is one span.
func TestTheLifeOfADeb(t *testing.T) {
	t.Parallel()
	first, next := build(t)
	c := boot(t)
	s := startServers(t, c)
	c.put(t, first.deb)
	c.put(t, next.deb)

	c.run(t, block(t, installing, "apt-get install"))
	assert.Equal(t, "inactive", c.property(t, "ActiveState"), "nothing was started")
	assert.Equal(t, "disabled", c.enabled(t), "nothing was enabled")
	assert.Equal(t, "root:otelcol-infra 750", c.run(t, "stat -c '%U:%G %a' /etc/otelcol-infra/credentials"))
	assert.Equal(t, "root:otelcol-infra 750", c.run(t, "stat -c '%U:%G %a' /etc/otelcol-infra/tls"))

	c.run(t, block(t, installing, "ETCD_LOCK_PREFIXES"))
	c.run(t, block(t, installing, "systemctl enable --now"))
	c.requireHealthy(t)
	assert.Equal(t, "enabled", c.enabled(t))
	c.requireRuns(t, first)
	assert.Equal(t, "otelcol-infra:otelcol-infra 700", c.run(t, "stat -c '%U:%G %a' /var/lib/otelcol-infra"))
	status := c.run(t, fmt.Sprintf("cat /proc/%d/status", c.collector(t)))
	assert.Regexp(t, `(?m)^CapBnd:\s+0+$`, status)
	assert.Regexp(t, `(?m)^NoNewPrivs:\s+1$`, status)
	assert.Equal(t, "otelcol-infra", c.run(t, fmt.Sprintf("stat -c %%U /proc/%d", c.collector(t))))
	assert.Contains(t, c.run(t, fmt.Sprintf("tr '\\0' '\\n' </proc/%d/environ", c.collector(t))), "GOMEMLIMIT=409MiB", "80 %% of MEMORY_LIMIT_MIB")

	s.requireObserved(t)
	release := s.hold(t, "/locks/held")
	marker := s.requireSpan(t, "etcd.lock.attempt.start", "/locks/held")
	c.run(t, "echo '# edited here' >>"+standalone)

	before := c.collector(t)
	c.run(t, block(t, upgrading, "--force-confold ./otelcol-infra_0.3"))
	c.requireHealthy(t)
	assert.NotEqual(t, before, c.collector(t), "it was restarted")
	c.requireRuns(t, next)
	assert.Equal(t, "enabled", c.enabled(t))
	assert.Equal(t, "# edited here", c.run(t, "tail -n 1 "+standalone))
	assert.Contains(t, c.run(t, "cat "+standalone+".dpkg-dist")+"\n", added, "the new one lies beside it")
	assert.Contains(t, c.run(t, "cat "+settings), `ETCD_LOCK_PREFIXES="/locks/"`)
	assert.Empty(t, s.spans(t, "etcd.lock.attempt", "/locks/held"), "it is held")
	release()
	s.requireOneSpan(t, marker, "/locks/held")

	// Disabled stays disabled, while it runs; that is the way back, too.
	release = s.hold(t, "/locks/back")
	marker = s.requireSpan(t, "etcd.lock.attempt.start", "/locks/back")
	c.run(t, "systemctl disable otelcol-infra")
	c.run(t, block(t, upgrading, "--allow-downgrades"))
	c.requireHealthy(t)
	c.requireRuns(t, first)
	assert.Equal(t, "disabled", c.enabled(t))
	release()
	s.requireOneSpan(t, marker, "/locks/back")

	// Stopped stays stopped, while it is enabled.
	c.run(t, "systemctl stop otelcol-infra; systemctl enable otelcol-infra")
	c.run(t, block(t, upgrading, "--force-confold ./otelcol-infra_0.3"))
	assert.Equal(t, "inactive", c.property(t, "ActiveState"))
	assert.Equal(t, "enabled", c.enabled(t))
	c.run(t, "systemctl start otelcol-infra")
	c.requireHealthy(t)

	c.run(t, block(t, upgrading, "apt-get remove"))
	assert.Equal(t, "not-found", c.property(t, "LoadState"))
	assert.Empty(t, c.run(t, "find /etc/systemd/system -name 'otelcol*'"), "it is disabled")
	assert.Zero(t, c.get(t, "127.0.0.1:13134", "/status"), "it has stopped")
	assert.NotEmpty(t, c.run(t, "ls /var/lib/otelcol-infra"))
	assert.Contains(t, c.run(t, "cat "+settings), `ETCD_LOCK_PREFIXES="/locks/"`)

	// It goes on where it ended.
	c.run(t, block(t, upgrading, "--force-confold ./otelcol-infra_0.3"))
	assert.Equal(t, "disabled", c.enabled(t))
	c.run(t, "systemctl enable --now otelcol-infra")
	c.requireHealthy(t)
	assert.Equal(t, "# edited here", c.run(t, "tail -n 1 "+standalone))

	c.run(t, block(t, upgrading, "apt-get purge"))
	assert.Empty(t, c.run(t, "find / -xdev -name '*otelcol*' -not -path '/root/*' -not -path '/proc/*' -not -path '/var/log/*' -not -path '/sys/*'"))
	_, err := c.try(t, "getent passwd otelcol-infra || getent group otelcol-infra")
	require.Error(t, err, "user and group are gone")
	assert.Equal(t, "not-found", c.property(t, "LoadState"))
	assert.Equal(t, "running", c.run(t, "systemctl is-system-running"), "no unit failed")
}

// requireRuns requires that a version runs: the process and not just the file.
func (c *container) requireRuns(t *testing.T, r *release) {
	t.Helper()
	require.Equal(t, "otelcol-infra version "+r.running, c.run(t, fmt.Sprintf("/proc/%d/exe --version", c.collector(t))))
	_, metrics := c.fetch(t, "127.0.0.1:8888", "/metrics")
	require.Contains(t, metrics, `service_version="`+r.running+`"`, "its own telemetry says so")
}
