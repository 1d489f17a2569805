// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// cluster is a real API server, which stores objects and runs no pods.
type cluster struct {
	config *rest.Config
	client dynamic.Interface
	mapper meta.RESTMapper

	mu       sync.Mutex
	warnings []string
}

// startCluster skips the test when there is no kube-apiserver: it takes minutes to build.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real kube-apiserver; run without -short")
	}
	builds, err := lab.FindMissing(t.Context(), nil, "kube-apiserver", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	if builds.Missing("kube-apiserver", "etcd") {
		t.Skip("kube-apiserver or etcd is not built: make kubernetes-test does that")
	}
	server, err := lab.StartKubeAPIServer(t.Context(), lab.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(server.LogTail(30))
		}
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{}
	c.config = &rest.Config{
		Host: server.URL, BearerToken: server.Token, TLSClientConfig: rest.TLSClientConfig{CAFile: server.CA},
		QPS: -1, WarningHandler: c,
	}
	if c.client, err = dynamic.NewForConfig(c.config); err != nil {
		t.Fatal(err)
	}
	c.discover(t)
	return c
}

// HandleWarningHeader keeps what the server warns of.
func (c *cluster) HandleWarningHeader(_ int, _, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warnings = append(c.warnings, text)
}

// warned gives the warnings since it was last called.
func (c *cluster) warned() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	warnings := c.warnings
	c.warnings = nil
	return warnings
}

func (c *cluster) discover(t *testing.T) {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		t.Fatal(err)
	}
	c.mapper = restmapper.NewDiscoveryRESTMapper(groups)
}

func (c *cluster) resource(o *unstructured.Unstructured, namespace string) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.client.Resource(mapping.Resource), nil
	}
	if o.GetNamespace() != "" {
		namespace = o.GetNamespace()
	}
	return c.client.Resource(mapping.Resource).Namespace(namespace), nil
}

// apply applies an object on the server, which refuses unknown fields; it may be for "All", a dry run.
func (c *cluster) apply(ctx context.Context, o *unstructured.Unstructured, namespace string, dryRun ...string) (*unstructured.Unstructured, error) {
	resource, err := c.resource(o, namespace)
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	applied, err := resource.Patch(ctx, o.GetName(), types.ApplyPatchType, content,
		metav1.PatchOptions{FieldManager: "helm", FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun})
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return applied, nil
}

// applyAll applies a YAML stream, and gives the version of each object by kind and name.
func (c *cluster) applyAll(t *testing.T, rendered, namespace string, dryRun ...string) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, o := range unstructuredOf(t, rendered) {
		applied, err := c.apply(t.Context(), o, namespace, dryRun...)
		if err != nil {
			t.Error(err)
			continue
		}
		versions[o.GetKind()+" "+o.GetName()] = applied.GetResourceVersion()
	}
	return versions
}

func (c *cluster) makeNamespace(t *testing.T, name, podSecurity string) {
	t.Helper()
	c.applyAll(t, fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels: {pod-security.kubernetes.io/enforce: %[2]s, pod-security.kubernetes.io/warn: %[2]s}
`, name, podSecurity), "")
}

func unstructuredOf(t *testing.T, rendered string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for document := range strings.SplitSeq("\n"+rendered, "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatal(err)
		}
		if o.Object != nil {
			all = append(all, o)
		}
	}
	return all
}

// The modules that hold the definitions of kinds that are not Kubernetes' own. The
// newest of the Prometheus operator's is older than its types; its fields were there.
var definitions = map[string][]string{
	"github.com/prometheus-operator/prometheus-operator@v0.85.0": {
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	},
	"github.com/cert-manager/cert-manager@v1.21.2": {"deploy/crds/cert-manager.io_certificates.yaml"},
}

// define applies the definitions of kinds, and waits until the server knows them.
func (c *cluster) define(t *testing.T) {
	t.Helper()
	for module, files := range definitions {
		dir, err := download(t.Context(), t.TempDir(), module)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			c.applyAll(t, string(content), "")
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		c.discover(t)
		err := errors.Join(c.knows("monitoring.coreos.com/v1", "ServiceMonitor"),
			c.knows("monitoring.coreos.com/v1", "PrometheusRule"), c.knows("cert-manager.io/v1", "Certificate"))
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func (c *cluster) knows(version, kind string) error {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(version)
	o.SetKind(kind)
	_, err := c.resource(o, "default")
	return err
}

// download gives the folder of a module in Go's cache.
func download(ctx context.Context, anywhere, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = anywhere
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if decoded := json.Unmarshal(out, &answer); decoded != nil || answer.Error != "" {
		return "", fmt.Errorf("go mod download %s: %w: %s", module, errors.Join(err, decoded), answer.Error)
	}
	return answer.Dir, nil
}
