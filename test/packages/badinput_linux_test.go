// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const again = ", then run: systemctl restart otelcol-infra"

// requireOneLine requires that the service does not start, is not started again,
// and has one line to give, which the status shows.
func (c *container) requireOneLine(t *testing.T, want string) {
	t.Helper()
	assert.Equal(t, want+again, c.fails(t))
	out, _ := c.try(t, "systemctl status --no-pager otelcol-infra") // of one that failed: an error
	assert.Contains(t, out, want+again)
}

// fails starts the service, which has to fail for good, and gives what it says
// itself, without systemd's lines.
func (c *container) fails(t *testing.T) (said string) {
	t.Helper()
	before := c.said(t)
	out, err := c.try(t, "systemctl restart otelcol-infra")
	require.Error(t, err, "who starts it is not left in the belief that it runs")
	assert.Contains(t, out, "systemctl status otelcol-infra")
	require.Equal(t, "failed", c.property(t, "ActiveState"), "and not started again")
	assert.Equal(t, "0", c.property(t, "NRestarts"))
	return strings.TrimSpace(strings.TrimPrefix(c.said(t), before))
}

// said is what the service has said since it was installed.
func (c *container) said(t *testing.T) string {
	t.Helper()
	return c.run(t, "journalctl --sync; journalctl --no-pager -o cat --unit=otelcol-infra --identifier=otelcol-infra")
}

// set sets a setting.
func (c *container) set(t *testing.T, setting string) {
	t.Helper()
	name, _, _ := strings.Cut(setting, "=")
	c.run(t, "sed -i '/^"+name+"=/d' "+settings+" && echo '"+setting+"' >>"+settings)
}

// What is wrong fails in one line that says what to do, and works once that was done.
func TestBadInput(t *testing.T) {
	t.Parallel()
	first, _ := build(t)
	c := boot(t)
	c.put(t, first.deb)
	c.run(t, block(t, installing, "apt-get install"))

	t.Run("nothing is configured", func(t *testing.T) {
		c.requireOneLine(t, `no configuration is chosen: set CONFIG in /etc/otelcol-infra/otelcol-infra.env, such as CONFIG="standalone.yaml"`)
	})
	t.Run("the settings are gone", func(t *testing.T) {
		c.run(t, "mv "+settings+" "+settings+".away")
		defer c.run(t, "mv "+settings+".away "+settings)
		c.requireOneLine(t, `no configuration is chosen: set CONFIG in /etc/otelcol-infra/otelcol-infra.env, such as CONFIG="standalone.yaml"`)
	})
	t.Run("no such configuration", func(t *testing.T) {
		c.set(t, `CONFIG="standalone.yml"`)
		c.requireOneLine(t, "CONFIG: /etc/otelcol-infra/standalone.yml does not exist: create it, or correct its name in /etc/otelcol-infra/otelcol-infra.env")
	})
	c.set(t, `CONFIG="standalone.yaml"`)
	t.Run("a configuration of others", func(t *testing.T) {
		c.run(t, "chmod 0600 "+standalone)
		c.requireOneLine(t, "CONFIG: "+standalone+" cannot be read by otelcol-infra: run: chgrp otelcol-infra "+standalone+" && chmod 0640 "+standalone)
		c.run(t, "chgrp otelcol-infra "+standalone+" && chmod 0640 "+standalone) // as it says
	})
	t.Run("a misspelled key", func(t *testing.T) {
		c.write(t, "/etc/otelcol-infra/more.yaml", "receivers:\n  etcd:\n    colection_interval: 10s\n")
		c.set(t, `CONFIG="standalone.yaml more.yaml"`)
		defer c.set(t, `CONFIG="standalone.yaml"`)
		said := c.fails(t)
		assert.NotContains(t, said, "\n", "one line")
		assert.Regexp(t, `^the configuration is refused: .* has invalid keys: colection_interval .*: correct standalone.yaml more.yaml or `+settings+again+`$`, said)
	})
	t.Run("a limit with a unit", func(t *testing.T) {
		c.set(t, `MEMORY_LIMIT_MIB="1g"`)
		c.requireOneLine(t, "MEMORY_LIMIT_MIB in "+settings+" is not a number: write MiB, such as 512")
		c.set(t, `MEMORY_LIMIT_MIB="512"`)
	})
	t.Run("secrets", func(t *testing.T) {
		const path = "/etc/otelcol-infra/credentials/vault-token"
		c.set(t, `VAULT_TOKEN_FILE="`+path+`"`)
		c.requireOneLine(t, "VAULT_TOKEN_FILE: "+path+" does not exist: create it, or correct its name in "+settings)
		c.run(t, "umask 0077; echo hvs.a-secret >"+path)
		c.requireOneLine(t, "VAULT_TOKEN_FILE: "+path+" cannot be read by otelcol-infra: run: chgrp otelcol-infra "+path+" && chmod 0640 "+path)
		c.run(t, "chgrp otelcol-infra "+path+" && chmod 0640 "+path)
		c.run(t, "systemctl restart otelcol-infra")
		c.requireHealthy(t)
		assert.NotContains(t, c.run(t, "journalctl --no-pager -u otelcol-infra"), "hvs.a-secret")
		c.run(t, "systemctl stop otelcol-infra")
	})
	t.Run("a certificate", func(t *testing.T) {
		const path = "/etc/otelcol-infra/tls/tls.key"
		c.write(t, "/etc/otelcol-infra/more.yaml", "exporters:\n  otlp_grpc/jaeger:\n    tls:\n      key_file: ${env:TLS_KEY_FILE:-"+path+"}\n")
		c.set(t, `CONFIG="standalone.yaml more.yaml"`)
		defer c.set(t, `CONFIG="standalone.yaml"`)
		c.requireOneLine(t, "TLS_KEY_FILE: "+path+" does not exist: create it, or correct its name in "+settings)
	})
	t.Run("a port that another has", func(t *testing.T) {
		c.forward(t, "127.0.0.1:9464", "127.0.0.1:1")
		c.run(t, "systemctl start otelcol-infra")
		last := regexp.MustCompile(`(?m)^Error: cannot start pipelines: .* listen tcp 127.0.0.1:9464: bind: address already in use\z`)
		require.Eventually(t, func() bool { return last.MatchString(c.said(t)) }, soon, 200*time.Millisecond)
		assert.Equal(t, "auto-restart", c.property(t, "SubState"), "it may be free later")
		time.Sleep(15 * time.Second)
		assert.Contains(t, []string{"1", "2"}, c.property(t, "NRestarts"), "each ten seconds")
	})
	c.requireHealthy(t) // The port is free now.
}

// While its disk is full or read-only the service does not start, and says so. It
// loses nothing: a lock that was held all the time is one span.
func TestTheStateCannotBeWritten(t *testing.T) {
	t.Parallel()
	first, _ := build(t)
	c := boot(t)
	s := startServers(t, c)
	c.put(t, first.deb)
	c.run(t, block(t, installing, "apt-get install"))
	c.run(t, block(t, installing, "ETCD_LOCK_PREFIXES"))
	const state = "/var/lib/otelcol-infra"
	c.run(t, "mkdir "+state+" && mount -t tmpfs -o size=16m tmpfs "+state)
	c.run(t, "systemctl start otelcol-infra")
	c.requireHealthy(t)
	s.requireObserved(t)
	release := s.hold(t, "/locks/disk")
	marker := s.requireSpan(t, "etcd.lock.attempt.start", "/locks/disk")
	c.run(t, "systemctl stop otelcol-infra")
	sums := func() string { return c.run(t, "cd "+state+" && sha256sum *_* events.jsonl") }
	before := sums()

	c.run(t, "dd if=/dev/zero of="+state+"/filler bs=4096 2>/dev/null || true")
	c.requireOneLine(t, "no space is left in "+state+", what is stored there is kept: free 1 MiB or more")
	assert.Equal(t, before, sums())
	c.run(t, "rm "+state+"/filler")

	c.run(t, "mount -o remount,ro "+state)
	c.requireOneLine(t, state+" is read-only, what is stored there is kept: mount it read-write")
	assert.Equal(t, before, sums())
	c.run(t, "mount -o remount,rw "+state)

	c.run(t, "systemctl start otelcol-infra")
	c.requireHealthy(t)
	release()
	s.requireOneSpan(t, marker, "/locks/disk")

	// A disk that fills while it runs, too.
	before = c.property(t, "MainPID")
	release = s.hold(t, "/locks/filled")
	marker = s.requireSpan(t, "etcd.lock.attempt.start", "/locks/filled")
	c.run(t, "dd if=/dev/zero of="+state+"/filler bs=4096 2>/dev/null || true")
	release()
	time.Sleep(5 * time.Second) // It has seen the release, and has nowhere to keep that.
	c.run(t, "rm "+state+"/filler")
	s.requireOneSpan(t, marker, "/locks/filled")
	assert.Equal(t, before, c.property(t, "MainPID"))
}
