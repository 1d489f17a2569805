// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// On a real API server all objects are accepted, in a namespace that allows restricted
// pods only. Where pods mount a folder of the node, the namespace must allow everything.
func TestEverythingIsAcceptedOnAServer(t *testing.T) {
	c := startCluster(t)
	c.define(t)
	const open = "open"
	c.makeNamespace(t, namespace, "restricted")
	c.makeNamespace(t, open, "privileged")
	for _, name := range []string{"shop", "users"} {
		c.makeNamespace(t, name, "restricted")
	}
	c.warned()
	mountsNode := map[string]bool{"agent-host-path": true, "everything": true}
	eachCase(t, func(t *testing.T, name, rendered string) {
		c.applyAll(t, rendered, namespace, "All")
		warnings := c.warned()
		if mountsNode[name] != slices.ContainsFunc(warnings, func(s string) bool { return strings.Contains(s, "hostPath") }) {
			t.Errorf("the server warns of %q", warnings)
		}
		if !mountsNode[name] {
			if len(warnings) > 0 {
				t.Errorf("the server warns of %q", warnings)
			}
			c.admitsPods(t, rendered, namespace, true)
			return
		}
		c.admitsPods(t, rendered, namespace, false)
		c.applyAll(t, rendered, open, "All")
		if warnings := c.warned(); len(warnings) > 0 {
			t.Errorf("in a namespace that allows everything, the server warns of %q", warnings)
		}
		c.admitsPods(t, rendered, open, true)
	})
	t.Run("kustomize", func(t *testing.T) {
		for _, folder := range []string{"kustomize/base", "kustomize/overlays/example"} {
			c.applyAll(t, build(t, folder), namespace, "All")
			if warnings := c.warned(); len(warnings) > 0 {
				t.Errorf("the server warns of %q", warnings)
			}
		}
	})
	t.Run("mistakes are refused", func(t *testing.T) {
		for mistake, want := range map[string]string{
			"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999}]}":                                            "must be between 1 and 65535",
			"apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a}\nspec: {secretName: a, issuerRef: {name: a}, dns: [a]}": "spec.dns",
		} {
			_, err := c.apply(t.Context(), unstructuredOf(t, mistake)[0], namespace, "All")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the server answers %v instead of %s", err, want)
			}
		}
	})
}

// admitsPods asks whether the pods of all workloads would be admitted; of those that
// mount a folder of the node, whether they would not.
func (c *cluster) admitsPods(t *testing.T, rendered, namespace string, admitted bool) {
	t.Helper()
	refused := false
	for _, o := range unstructuredOf(t, rendered) {
		template, ok, _ := unstructured.NestedMap(o.Object, "spec", "template")
		if !ok {
			continue
		}
		pod := &unstructured.Unstructured{Object: template}
		pod.SetAPIVersion("v1")
		pod.SetKind("Pod")
		pod.SetName(o.GetName() + "-0")
		removeClaims(pod)
		_, err := c.apply(t.Context(), pod, namespace, "All")
		if err != nil && (admitted || !strings.Contains(err.Error(), "hostPath")) {
			t.Error(err)
		}
		refused = refused || err != nil
	}
	if !admitted && !refused {
		t.Errorf("the namespace %s admits pods that mount a folder of the node", namespace)
	}
	c.warned()
}

// removeClaims takes out mounts of claims, for which the controller of StatefulSets adds the volumes.
func removeClaims(pod *unstructured.Unstructured) {
	volumes, _, _ := unstructured.NestedSlice(pod.Object, "spec", "volumes")
	if slices.ContainsFunc(volumes, func(v any) bool { return v.(map[string]any)["name"] == "state" }) {
		return
	}
	volumes = append(volumes, map[string]any{"name": "state", "persistentVolumeClaim": map[string]any{"claimName": "state"}})
	_ = unstructured.SetNestedSlice(pod.Object, volumes, "spec", "volumes")
}

// Whoever upgrades applies a changed chart with changed values over what is there.
func TestUpgradeOnAServer(t *testing.T) {
	c := startCluster(t)
	c.makeNamespace(t, namespace, "restricted")
	const before = `
tls: {secretName: a}
gateway: {enabled: true, jaegerEndpoint: "jaeger:4317"}
agent: {enabled: true}
observer: {enabled: true, observe: [etcd], env: {ETCD_ENDPOINTS: "http://etcd:2379"}}
`
	first := c.applyAll(t, renderVersion(t, before, "0.2.0"), namespace)
	if again := c.applyAll(t, renderVersion(t, before, "0.2.0"), namespace); !maps.Equal(first, again) {
		t.Errorf("applied twice, the objects change: %v, %v", first, again)
	}

	changed := strings.Replace(before, "http://etcd:2379", "http://etcd-new:2379", 1)
	second := c.applyAll(t, renderVersion(t, changed, "0.2.0"), namespace)
	if got, want := differing(first, second), []string{"StatefulSet otelcol-infra-observer"}; !slices.Equal(got, want) {
		t.Errorf("another etcd changes %q instead of %q", got, want)
	}

	// A new version of the chart, with gateways that scale: nothing that cannot be changed differs.
	scaling := strings.Replace(changed, `enabled: true, jaegerEndpoint`, `enabled: true, autoscaling: {enabled: true}, decisionWaitSeconds: 20, jaegerEndpoint`, 1)
	third := c.applyAll(t, renderVersion(t, scaling, "0.3.0"), namespace)
	if again := c.applyAll(t, renderVersion(t, scaling, "0.3.0"), namespace); !maps.Equal(third, again) {
		t.Errorf("applied twice, the objects change: %v, %v", third, again)
	}
	if len(differing(second, third)) == 0 {
		t.Error("a new version changes nothing")
	}

	// And back.
	fourth := c.applyAll(t, renderVersion(t, before, "0.2.0"), namespace)
	if len(fourth) != len(first) {
		t.Errorf("there are %d objects instead of %d", len(fourth), len(first))
	}
	for _, warning := range c.warned() {
		t.Error(warning)
	}
}

func differing(before, after map[string]string) []string {
	var names []string
	for name, version := range after {
		if before[name] != version {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// The service accounts may do what discovery needs, and nothing else.
func TestServiceAccountsMayOnlyDiscoverOnAServer(t *testing.T) {
	c := startCluster(t)
	for _, name := range []string{namespace, "shop", "users", "other"} {
		c.makeNamespace(t, name, "restricted")
	}
	c.applyAll(t, mustRender(t, valuesOf(t, "ci/discovery-values.yaml")), namespace)
	for _, ask := range []struct {
		account, verb, group, resource, namespace string
		allowed                                   bool
	}{
		{"agent", "list", "", "pods", "shop", true},
		{"agent", "watch", "discovery.k8s.io", "endpointslices", "users", true},
		{"agent", "list", "", "pods", "other", false},
		{"agent", "get", "", "secrets", "shop", false},
		{"agent", "delete", "", "pods", "shop", false},
		{"gateway", "list", "", "services", "other", true},
		{"gateway", "list", "", "secrets", "other", false},
		{"gateway", "get", "", "configmaps", namespace, false},
		{"gateway", "list", "", "nodes", "", false},
	} {
		review := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
			"metadata": map[string]any{},
			"spec": map[string]any{
				"user": "system:serviceaccount:" + namespace + ":otelcol-infra-" + ask.account,
				"resourceAttributes": map[string]any{
					"verb": ask.verb, "group": ask.group, "resource": ask.resource, "namespace": ask.namespace,
				},
			},
		}}
		resource, err := c.resource(review, "")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := resource.Create(t.Context(), review, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if allowed, _, _ := unstructured.NestedBool(answer.Object, "status", "allowed"); allowed != ask.allowed {
			t.Errorf("whether %s may %s %s in %q is %t", ask.account, ask.verb, ask.resource, ask.namespace, allowed)
		}
	}
}
