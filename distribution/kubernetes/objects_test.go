// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

// strict decodes objects of Kubernetes, of the Prometheus operator and of cert-manager,
// and refuses unknown and duplicate fields.
var strict = func() runtime.Decoder {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoring.AddToScheme, certmanager.AddToScheme} {
		if err := add(types); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
}()

// decode reads the objects of a YAML stream. Two of the same kind and name are an error.
func decode(rendered string) ([]runtime.Object, error) {
	var objects []runtime.Object
	known := map[string]bool{}
	for document := range strings.SplitSeq(rendered, "---\n") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		object, kind, err := strict.Decode([]byte(document), nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%w, in\n%s", err, document)
		}
		name, err := meta.NewAccessor().Name(object)
		if err != nil {
			return nil, err
		}
		namespace, err := meta.NewAccessor().Namespace(object)
		if err != nil {
			return nil, err
		}
		id := fmt.Sprint(kind, " ", namespace, "/", name)
		if known[id] {
			return nil, fmt.Errorf("there are two of %s", id)
		}
		known[id] = true
		objects = append(objects, object)
	}
	return objects, nil
}

func mustDecode(t *testing.T, rendered string) []runtime.Object {
	t.Helper()
	objects, err := decode(rendered)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// of gives the objects of one type by name.
func of[T interface {
	runtime.Object
	GetName() string
}](objects []runtime.Object) map[string]T {
	all := map[string]T{}
	for _, object := range objects {
		if o, ok := object.(T); ok {
			all[o.GetName()] = o
		}
	}
	return all
}

// workload is what runs pods.
type workload struct {
	name     string
	selector map[string]string
	pod      core.PodTemplateSpec
	claims   []core.PersistentVolumeClaim
}

func (w workload) container() core.Container { return w.pod.Spec.Containers[0] }

func (w workload) env(name string) string {
	for _, variable := range w.container().Env {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}

func (w workload) hasPort(name string) bool {
	for _, port := range w.container().Ports {
		if port.Name == name {
			return true
		}
	}
	return false
}

func workloads(objects []runtime.Object) []workload {
	var all []workload
	for name, o := range of[*apps.StatefulSet](objects) {
		all = append(all, workload{name, o.Spec.Selector.MatchLabels, o.Spec.Template, o.Spec.VolumeClaimTemplates})
	}
	for name, o := range of[*apps.DaemonSet](objects) {
		all = append(all, workload{name, o.Spec.Selector.MatchLabels, o.Spec.Template, nil})
	}
	return all
}

// selected are those whose pods have the labels.
func selected(all []workload, matchLabels map[string]string) []workload {
	var some []workload
	for _, w := range all {
		if labels.SelectorFromSet(matchLabels).Matches(labels.Set(w.pod.Labels)) {
			some = append(some, w)
		}
	}
	return some
}

func TestObjectsAreDecodedStrictly(t *testing.T) {
	eachCase(t, func(t *testing.T, name, rendered string) {
		objects := mustDecode(t, rendered)
		if (len(objects) == 0) != (name == "nothing") {
			t.Errorf("there are %d objects", len(objects))
		}
	})
	for problem, object := range map[string]string{
		"unknown field \"spec.replica\"":          "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {replica: 2}\n",
		"unknown field \"spec.endpoints[0].prt\"": "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a}\nspec: {endpoints: [{prt: a}]}\n",
		"unknown field \"spec.secretname\"":       "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a}\nspec: {secretname: a}\n",
		"there are two of /v1, Kind=Service":      strings.Repeat("---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n", 2),
	} {
		if _, err := decode(object); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("decoding gives %v instead of %s", err, problem)
		}
	}
}
