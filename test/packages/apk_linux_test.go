// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openrc prepares a Debian that has not booted for OpenRC, and runs what an apk's
// scripts and its init script are for. No BusyBox is there to make the user.
const openrc = `
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/urandom c 1 9
for folder in exclusive starting started stopping inactive wasinactive failed hotplugged daemons options scheduled tmp; do
	mkdir -p /run/openrc/$folder
done
touch /run/openrc/softlevel /etc/insserv.conf
printf '#!/sbin/openrc-run\ndepend() {\n\tprovide net\n}\nstart() {\n\t:\n}\n' >/etc/init.d/loopback
chmod 0755 /etc/init.d/loopback
running() { readlink /proc/[0-9]*/exe | grep -c '^/usr/bin/otelcol-infra$'; }
ready() { for i in $(seq 100); do grep -q 'Everything is ready' /var/log/otelcol-infra.log && return; sleep 0.2; done; cat /var/log/otelcol-infra.log; }

useradd --system --user-group --no-create-home otelcol-infra
sh /.post-install
echo "credentials: $(stat -c '%U:%G %a' /etc/otelcol-infra/credentials)"
rc-service otelcol-infra start || echo "not started"
sed -i 's|^CONFIG=.*|CONFIG="standalone.yaml"|' /etc/otelcol-infra/otelcol-infra.env
rc-service otelcol-infra start && ready
echo "running: $(running)"
echo "state: $(stat -c '%U:%G %a' /var/lib/otelcol-infra)"
for process in /proc/[0-9]*; do
	[ "$(readlink $process/exe)" != /usr/bin/otelcol-infra ] || tr '\0' '\n' <$process/environ | grep -E '^(GOMEMLIMIT|STATE_DIRECTORY)='
done
: >/var/log/otelcol-infra.log
sh /.post-upgrade && ready
echo "upgraded: $(running)"
sh /.pre-deinstall
echo "removed: $(running)"
`

// The files and scripts of an apk, under the OpenRC that Debian has.
func TestTheLifeOfAnAPK(t *testing.T) {
	t.Parallel()
	first, _ := build(t)
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	command(t, "cp", "-a", "--reflink=auto", debian(t), root)
	download := exec.CommandContext(t.Context(), "apt-get", "download", "openrc", "libeinfo1", "librc1")
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		t.Skipf("apt-get download openrc: %v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	require.NoError(t, err)
	require.Len(t, debs, 3)
	for _, deb := range debs {
		command(t, "sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"`, "sh", deb, root)
	}
	command(t, "tar", "--extract", "--gzip", "--ignore-zeros", "--directory="+root, "--file="+first.apk)
	require.NoError(t, os.WriteFile(filepath.Join(root, "root", "openrc.sh"), []byte(openrc), 0o600))

	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--net", "--mount-proc="+filepath.Join(root, "proc"),
		"chroot", root, "/bin/sh", "/root/openrc.sh")
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, line := range []string{
		"credentials: root:otelcol-infra 750",
		`no configuration is chosen: set CONFIG in /etc/otelcol-infra/otelcol-infra.env, such as CONFIG="standalone.yaml", then run: rc-service otelcol-infra restart`,
		"not started", "running: 1", "state: otelcol-infra:otelcol-infra 700", "GOMEMLIMIT=409MiB", "STATE_DIRECTORY=/var/lib/otelcol-infra",
		"upgraded: 1", "removed: 0",
	} {
		assert.Contains(t, strings.Split(string(out), "\n"), line)
	}
	assert.NotContains(t, string(out), "ulimit")
	if t.Failed() {
		t.Log(string(out))
	}
}
