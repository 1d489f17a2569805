// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// certificates is a folder with ca.crt, tls.crt and tls.key.
type certificates string

// namesOfTheGuide is the line of the guide that a user changes.
const namesOfTheGuide = "names=DNS:gateway-1.example,DNS:gateway.example\n"

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// guideCertificates makes a CA, and a certificate of it with the names, by the commands of the guide.
func guideCertificates(t *testing.T, names string) certificates {
	t.Helper()
	c := certificates(t.TempDir())
	commands := guideCommands(t)
	runShell(t, string(c), commands[0])
	c.renew(t, names)
	return c
}

// renew makes another certificate of the same CA.
func (c certificates) renew(t *testing.T, names string) {
	t.Helper()
	command := guideCommands(t)[1]
	require.Contains(t, command, namesOfTheGuide)
	runShell(t, string(c), strings.Replace(command, namesOfTheGuide, "names="+names+"\n", 1))
}

// guideCommands returns what makes a CA, and what makes a certificate.
func guideCommands(t *testing.T) (commands []string) {
	t.Helper()
	guide, err := os.ReadFile("../docs/guides/gateway.md")
	require.NoError(t, err)
	for _, block := range shellBlock.FindAllStringSubmatch(string(guide), -1) {
		if strings.Contains(block[1], "openssl req") {
			commands = append(commands, block[1])
		}
	}
	require.Len(t, commands, 2, "the guide makes a CA and a certificate")
	return commands
}

func runShell(t *testing.T, dir, command string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl 3 on PATH, with which the guide makes certificates")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", command)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
}

// env are the variables of the shipped configurations.
func (c certificates) env() []string {
	return []string{"TLS_CA_FILE=" + c.file("ca.crt"), "TLS_CERT_FILE=" + c.file("tls.crt"), "TLS_KEY_FILE=" + c.file("tls.key")}
}

func (c certificates) file(name string) string { return filepath.Join(string(c), name) }

// client trusts the CA, and shows the certificate of another folder, if there is one.
func (c certificates) client(t *testing.T, shown certificates) *tls.Config {
	t.Helper()
	ca, err := os.ReadFile(c.file("ca.crt"))
	require.NoError(t, err)
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	require.True(t, config.RootCAs.AppendCertsFromPEM(ca))
	if shown != "" {
		pair, err := tls.LoadX509KeyPair(shown.file("tls.crt"), shown.file("tls.key"))
		require.NoError(t, err)
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}
