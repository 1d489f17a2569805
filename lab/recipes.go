// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
)

const buildValue = "build" // a LAB_* variable with this value means: ignore PATH

// recipe says how one server, or a tool of one, is found or built. Its module is
// lab/servers/<folder>.
type recipe struct {
	name   string
	env    string
	pkg    string
	tags   string
	folder string // empty: name
	// cost is the processor time of the build when nothing was compiled before.
	cost time.Duration
	// onDemand: it is neither built nor started unless it is named.
	onDemand bool
	// tool: it is no server, and is built only when it is named.
	tool bool

	// oldest is the oldest version that is used instead of a built one.
	oldest string
	// printsVersion is the argument with which it prints its version, and
	// beforeVersion the text before it.
	printsVersion, beforeVersion string
	// versionField is which part of what stands there is the version, separated by slashes.
	versionField int
}

// The oldest versions are those with which the tests and the demo pass. Of older
// ones, etcd 3.6.0 and 3.4.23 fail the etcd receiver's tests of quotas and of users
// without rights, and Prometheus 2.42 does not know scrape_protocols. The others
// were not tried.
//
// They are in the order in which they are built: first those that the demo shows
// while the others are built.
var recipes = []recipe{
	{
		name: "etcd", env: "LAB_ETCD", pkg: "go.etcd.io/etcd/server/v3",
		cost:   68 * time.Second,
		oldest: "3.7.3", printsVersion: "--version", beforeVersion: "etcd Version: ",
	},
	{
		// Its module has other versions than its releases: 0.315.0 is 3.15.0.
		name: "prometheus", env: "LAB_PROMETHEUS", pkg: "github.com/prometheus/prometheus/cmd/prometheus", tags: "remove_all_sd",
		cost:   140 * time.Second,
		oldest: "3.15.0", printsVersion: "--version", beforeVersion: "prometheus, version ",
	},
	{
		// So has this: 1.76.0 is 2.13.0.
		name: "jaeger", env: "LAB_JAEGER", pkg: "github.com/jaegertracing/jaeger/cmd/jaeger",
		cost:   280 * time.Second,
		oldest: "2.13.0", printsVersion: "version", beforeVersion: `"gitVersion":"`,
	},
	{
		name: "vault", env: "LAB_VAULT", pkg: "github.com/hashicorp/vault", tags: "minimal",
		cost:   270 * time.Second,
		oldest: "1.19.5", printsVersion: "version", beforeVersion: "Vault v",
	},
	{
		name: "consul", env: "LAB_CONSUL", pkg: "github.com/hashicorp/consul",
		cost:   310 * time.Second,
		oldest: "1.19.2", printsVersion: "version", beforeVersion: "Consul v",
	},
	{
		// The version is that of its command line; 1.5.1 holds server 1.29.1.
		name: "temporal", env: "LAB_TEMPORAL", pkg: "github.com/temporalio/cli/cmd/temporal", onDemand: true,
		cost:   250 * time.Second,
		oldest: "1.5.1", printsVersion: "--version", beforeVersion: "temporal version ",
	},
	{
		name: "kube-apiserver", env: "LAB_KUBE_APISERVER", pkg: "k8s.io/kubernetes/cmd/kube-apiserver", onDemand: true,
		cost:   460 * time.Second,
		oldest: "1.37.2", printsVersion: "--version", beforeVersion: "Kubernetes v",
	},
	{
		name: "etcdctl", env: "LAB_ETCDCTL", pkg: "go.etcd.io/etcd/etcdctl/v3", folder: "etcdctl", tool: true,
		cost:   25 * time.Second,
		oldest: "3.7.3", printsVersion: "version", beforeVersion: "etcdctl version: ",
	},
	{
		name: "etcdutl", env: "LAB_ETCDUTL", pkg: "go.etcd.io/etcd/etcdutl/v3", folder: "etcdctl", tool: true,
		cost:   25 * time.Second,
		oldest: "3.7.3", printsVersion: "version", beforeVersion: "etcdutl version: ",
	},
}

// ServerNames lists the servers that a lab runs when none is named, in the order
// they are built.
func ServerNames() []string { return serverNames(false) }

// OnDemandServerNames lists the servers that a lab builds and runs only when they
// are named.
func OnDemandServerNames() []string { return serverNames(true) }

func serverNames(onDemand bool) []string {
	return namesOf(func(r recipe) bool { return r.onDemand == onDemand && !r.tool })
}

// ToolNames lists the tools of servers that can be built: [Binary] and [Build] know
// them, and a lab does not run them.
func ToolNames() []string {
	return namesOf(func(r recipe) bool { return r.tool })
}

func namesOf(wanted func(recipe) bool) []string {
	var names []string
	for _, r := range recipes {
		if wanted(r) {
			names = append(names, r.name)
		}
	}
	return names
}

// OldestVersions lists the servers and tools with the oldest version of each that is
// used from PATH, such as "etcd 3.7.3".
func OldestVersions() []string {
	versions := make([]string, len(recipes))
	for i, r := range recipes {
		versions[i] = r.name + " " + r.oldest
	}
	return versions
}

// recipesOf gives the recipes of the named servers, those of [ServerNames] when
// none is named.
func recipesOf(names []string) ([]recipe, error) {
	if len(names) == 0 {
		names = ServerNames()
	}
	known := slices.Concat(ServerNames(), OnDemandServerNames(), ToolNames())
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown server %q; known are %s", name, strings.Join(known, ", "))
		}
	}
	var picked []recipe
	for _, r := range recipes {
		if slices.Contains(names, r.name) {
			picked = append(picked, r)
		}
	}
	return picked, nil
}

// serversFolder finds lab/servers in the working directory or above it.
func serversFolder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		folder := filepath.Join(dir, "lab", "servers")
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return folder, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no lab/servers in the working directory or above it; " +
				"run inside a checkout, or name the servers' binaries in LAB_CONSUL, LAB_ETCD, LAB_VAULT, LAB_JAEGER, LAB_PROMETHEUS, LAB_TEMPORAL, LAB_KUBE_APISERVER, LAB_ETCDCTL and LAB_ETCDUTL")
		}
		dir = parent
	}
}

// version reads the server's version out of the go.mod of its build module.
func (r recipe) version(module string) (string, error) {
	path := filepath.Join(module, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the version of %s: %w", r.name, err)
	}
	parsed, err := modfile.Parse(path, content, nil)
	if err != nil {
		return "", fmt.Errorf("read the version of %s: %w", r.name, err)
	}
	longest, version := "", ""
	for _, require := range parsed.Require {
		// The module of a package is the longest required path above it.
		p := require.Mod.Path
		if (r.pkg == p || strings.HasPrefix(r.pkg, p+"/")) && len(p) > len(longest) {
			longest, version = p, require.Mod.Version
		}
	}
	if version == "" {
		return "", fmt.Errorf("%s requires no module with package %s; restore it from the repository", path, r.pkg)
	}
	return version, nil
}

// digest is 12 hex digits over all that decides what the built binary is.
func (r recipe) digest(module, toolchain string) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("read the module of %s: %w", r.name, err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
	}
	fmt.Fprintf(sum, "%s\n%s\n%s", r.pkg, r.tags, toolchain)
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}
