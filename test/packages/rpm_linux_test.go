// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
)

// rpm of Debian has no packages to depend on.
const rpm = "rpm --nodeps "

// The same of an rpm, under the same systemd: its scripts are others.
func TestTheLifeOfAnRPM(t *testing.T) {
	t.Parallel()
	first, next := build(t)
	c := boot(t)
	s := startServers(t, c)
	c.put(t, first.rpm)
	c.put(t, next.rpm)
	older, newer := filepath.Base(first.rpm), filepath.Base(next.rpm)

	c.run(t, rpm+"-i "+older)
	assert.Equal(t, "inactive", c.property(t, "ActiveState"), "nothing was started")
	assert.Equal(t, "disabled", c.enabled(t), "nothing was enabled")
	assert.Equal(t, "root:otelcol-infra 750", c.run(t, "stat -c '%U:%G %a' /etc/otelcol-infra/credentials"))

	c.run(t, block(t, installing, "ETCD_LOCK_PREFIXES"))
	c.run(t, block(t, installing, "systemctl enable --now"))
	c.requireHealthy(t)
	c.requireRuns(t, first)
	s.requireObserved(t)
	release := s.hold(t, "/locks/held")
	marker := s.requireSpan(t, "etcd.lock.attempt.start", "/locks/held")
	c.run(t, "echo '# edited here' >>"+standalone)

	before := c.collector(t)
	c.run(t, rpm+"-U "+newer)
	c.requireHealthy(t)
	assert.NotEqual(t, before, c.collector(t), "it was restarted")
	c.requireRuns(t, next)
	assert.Equal(t, "enabled", c.enabled(t))
	assert.Equal(t, "# edited here", c.run(t, "tail -n 1 "+standalone))
	assert.Contains(t, c.run(t, "cat "+standalone+".rpmnew")+"\n", added, "the new one lies beside it")
	release()
	s.requireOneSpan(t, marker, "/locks/held")

	c.run(t, "systemctl disable otelcol-infra")
	c.run(t, rpm+"-U --oldpackage "+older)
	c.requireHealthy(t)
	c.requireRuns(t, first)
	assert.Equal(t, "disabled", c.enabled(t))

	c.run(t, "systemctl stop otelcol-infra; systemctl enable otelcol-infra")
	c.run(t, rpm+"-U "+newer)
	assert.Equal(t, "inactive", c.property(t, "ActiveState"))
	assert.Equal(t, "enabled", c.enabled(t))
	c.run(t, "systemctl start otelcol-infra")
	c.requireHealthy(t)

	c.run(t, rpm+"-e otelcol-infra")
	assert.Equal(t, "not-found", c.property(t, "LoadState"))
	assert.Empty(t, c.run(t, "find /etc/systemd/system -name 'otelcol*'"), "it is disabled")
	assert.Zero(t, c.get(t, "127.0.0.1:13134", "/status"), "it has stopped")
	assert.NotEmpty(t, c.run(t, "ls /var/lib/otelcol-infra"))
	assert.Equal(t, "# edited here", c.run(t, "tail -n 1 "+standalone+".rpmsave"))
	assert.Equal(t, "running", c.run(t, "systemctl is-system-running"), "no unit failed")
}

// Where no systemd runs, as when an image is made, the scripts do what they can.
func TestAnRPMWithoutSystemd(t *testing.T) {
	t.Parallel()
	first, next := build(t)
	root := filepath.Join(t.TempDir(), "root")
	command(t, "cp", "-a", "--reflink=auto", debian(t), root)
	for _, args := range [][]string{{"-i", first.rpm}, {"-U", next.rpm}, {"-e", "otelcol-infra"}} {
		command(t, "rpm", append([]string{"--root=" + root, "--nodeps"}, args...)...)
		if args[0] != "-e" {
			assert.FileExists(t, filepath.Join(root, "usr/bin/otelcol-infra"))
		}
	}
	assert.NoFileExists(t, filepath.Join(root, "usr/bin/otelcol-infra"))
	assert.DirExists(t, filepath.Join(root, "etc/otelcol-infra/credentials"))
}
