// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestPodsHaveNoPrivileges(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) {
		for _, w := range workloads(mustDecode(t, rendered)) {
			checkPrivileges(t, w)
		}
	})
}

func checkPrivileges(t *testing.T, w workload) {
	t.Helper()
	spec := w.pod.Spec
	if len(spec.Containers) != 1 || len(spec.InitContainers) != 0 {
		t.Errorf("%s: other containers than the collector's", w.name)
	}
	if spec.HostNetwork || spec.HostPID || spec.HostIPC {
		t.Errorf("%s: namespaces of the host", w.name)
	}
	security := spec.SecurityContext
	if !*security.RunAsNonRoot || *security.RunAsUser != 10001 || *security.RunAsGroup != 10001 || *security.FSGroup != 10001 {
		t.Errorf("%s: does not run as 10001", w.name)
	}
	if security.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: seccomp %s", w.name, security.SeccompProfile.Type)
	}
	checkContainerPrivileges(t, w.container())
}

func checkContainerPrivileges(t *testing.T, container core.Container) {
	t.Helper()
	own := container.SecurityContext
	if own == nil || !*own.ReadOnlyRootFilesystem || *own.AllowPrivilegeEscalation || own.Privileged != nil ||
		!slices.Equal(own.Capabilities.Drop, []core.Capability{"ALL"}) || len(own.Capabilities.Add) != 0 {
		t.Errorf("%s: wrong securityContext %v", container.Name, own)
	}
}

func TestRightsExistForDiscoveryOnly(t *testing.T) {
	rightful := map[string]bool{"discovery": true}
	eachCase(t, func(t *testing.T, name, rendered string) {
		objects := mustDecode(t, rendered)
		count := len(of[*rbac.Role](objects)) + len(of[*rbac.ClusterRole](objects)) +
			len(of[*rbac.RoleBinding](objects)) + len(of[*rbac.ClusterRoleBinding](objects))
		if (count > 0) != rightful[name] {
			t.Errorf("there are %d roles and bindings", count)
		}
		accounts := of[*core.ServiceAccount](objects)
		for _, w := range workloads(objects) {
			account, ok := accounts[w.pod.Spec.ServiceAccountName]
			if !ok || *account.AutomountServiceAccountToken {
				t.Errorf("%s: no ServiceAccount without a token", w.name)
			}
			if *w.pod.Spec.AutomountServiceAccountToken != rightful[name] {
				t.Errorf("%s: whether it has a token is %t", w.name, *w.pod.Spec.AutomountServiceAccountToken)
			}
		}
		var rules []rbac.PolicyRule
		for _, o := range objects {
			switch o := o.(type) {
			case *rbac.Role:
				rules = append(rules, o.Rules...)
			case *rbac.ClusterRole:
				rules = append(rules, o.Rules...)
			}
		}
		for _, rule := range rules {
			if !slices.Equal(rule.Verbs, []string{"get", "list", "watch"}) || slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "*") {
				t.Errorf("more than reading is allowed: %v", rule)
			}
		}
	})
}

func TestSecretsAreFiles(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) {
		for _, w := range workloads(mustDecode(t, rendered)) {
			if len(w.container().EnvFrom) > 0 {
				t.Errorf("%s: envFrom", w.name)
			}
			for _, variable := range w.container().Env {
				if variable.ValueFrom != nil && variable.ValueFrom.FieldRef == nil {
					t.Errorf("%s: %s does not come from a field of the pod", w.name, variable.Name)
				}
				if strings.HasSuffix(variable.Name, "TOKEN") || strings.HasSuffix(variable.Name, "PASSWORD") {
					t.Errorf("%s: %s is a secret", w.name, variable.Name)
				}
			}
			for _, volume := range w.pod.Spec.Volumes {
				if volume.Secret != nil && *volume.Secret.DefaultMode != 0o440 {
					t.Errorf("%s: others can read the Secret %s", w.name, volume.Secret.SecretName)
				}
			}
		}
	})
}

func TestWhatPodsMountExists(t *testing.T) {
	eachCase(t, func(t *testing.T, name, rendered string) {
		checkMounts(t, mustDecode(t, rendered), secretsOf(valuesOf(t, "ci/"+name+"-values.yaml")))
	})
}

// checkMounts compares what pods mount with the objects, and with the Secrets that the user makes.
func checkMounts(t *testing.T, objects []runtime.Object, theirs map[string]bool) {
	t.Helper()
	configs := of[*core.ConfigMap](objects)
	for _, certificate := range of[*certmanager.Certificate](objects) {
		theirs[certificate.Spec.SecretName] = true
	}
	for _, w := range workloads(objects) {
		volumes := map[string]bool{}
		for _, claim := range w.claims {
			volumes[claim.Name] = true
		}
		for _, volume := range w.pod.Spec.Volumes {
			if volumes[volume.Name] {
				t.Errorf("%s: two volumes %s", w.name, volume.Name)
			}
			volumes[volume.Name] = true
			if s := volume.Secret; s != nil && !theirs[s.SecretName] {
				t.Errorf("%s: nobody makes the Secret %s", w.name, s.SecretName)
			}
			if c := volume.ConfigMap; c != nil && c.Optional == nil && configs[c.Name] == nil {
				t.Errorf("%s: there is no ConfigMap %s", w.name, c.Name)
			}
		}
		for _, mount := range w.container().VolumeMounts {
			if !volumes[mount.Name] {
				t.Errorf("%s: there is no volume %s", w.name, mount.Name)
			}
			if !mount.ReadOnly && mount.Name != "state" {
				t.Errorf("%s: can write to %s", w.name, mount.Name)
			}
		}
		if !volumes["state"] {
			t.Errorf("%s: no place for state", w.name)
		}
		for _, file := range configFiles(w) {
			folder, name := path.Split(file)
			_, known := configs[configName(w)].Data[name]
			if folder == "/etc/otelcol-infra/" {
				_, err := os.Stat(shipped(name))
				known = err == nil
			}
			if !known {
				t.Errorf("%s: there is no %s", w.name, file)
			}
		}
	}
}

// shipped is the path of a configuration that the image has in /etc/otelcol-infra.
func shipped(name string) string {
	if name == "status.yaml" {
		return filepath.Join("..", name)
	}
	return filepath.Join("../config", name)
}

// configName is the name of the ConfigMap with the additions to the configuration.
func configName(w workload) string {
	for _, volume := range w.pod.Spec.Volumes {
		if volume.Name == "config" && volume.ConfigMap != nil {
			return volume.ConfigMap.Name
		}
	}
	return ""
}

// configFiles are those that the collector is started with.
func configFiles(w workload) []string {
	var files []string
	for _, arg := range w.container().Args {
		if file, ok := strings.CutPrefix(arg, "--config="); ok {
			files = append(files, file)
		}
	}
	return files
}

// secretsOf are the Secrets that the values name: the user makes them.
func secretsOf(values map[string]any) map[string]bool {
	names := map[string]bool{}
	var walk func(value any)
	walk = func(value any) {
		object, _ := value.(map[string]any)
		for key, value := range object {
			if name, ok := value.(string); ok && key == "secretName" {
				names[name] = true
			}
			if secrets, ok := value.(map[string]any); ok && key == "secrets" {
				for _, name := range secrets {
					names[name.(string)] = true
				}
			}
			walk(value)
		}
	}
	walk(values)
	return names
}

func TestSelectorsMatch(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) { checkSelectors(t, mustDecode(t, rendered)) })
}

func checkSelectors(t *testing.T, objects []runtime.Object) {
	t.Helper()
	all := workloads(objects)
	services := of[*core.Service](objects)
	for _, w := range all {
		if own := selected(all, w.selector); len(own) != 1 || own[0].name != w.name {
			t.Errorf("%s: its selector matches %d workloads", w.name, len(own))
		}
	}
	for name, service := range services {
		pods := selected(all, service.Spec.Selector)
		for _, port := range service.Spec.Ports {
			if !slices.ContainsFunc(pods, func(w workload) bool { return w.hasPort(port.TargetPort.StrVal) }) {
				t.Errorf("Service %s: no pod has the port %s", name, port.TargetPort.StrVal)
			}
		}
	}
	for name, set := range of[*apps.StatefulSet](objects) {
		if service := services[set.Spec.ServiceName]; service == nil || service.Spec.ClusterIP != core.ClusterIPNone ||
			len(selected(all, service.Spec.Selector)) == 0 {
			t.Errorf("StatefulSet %s: no headless Service %s", name, set.Spec.ServiceName)
		}
	}
	for name, budget := range of[*policy.PodDisruptionBudget](objects) {
		if len(selected(all, budget.Spec.Selector.MatchLabels)) != 1 {
			t.Errorf("PodDisruptionBudget %s: matches no pods", name)
		}
	}
	for name, scaler := range of[*autoscaling.HorizontalPodAutoscaler](objects) {
		set := of[*apps.StatefulSet](objects)[scaler.Spec.ScaleTargetRef.Name]
		if set == nil || set.Spec.Replicas != nil {
			t.Errorf("HorizontalPodAutoscaler %s: no StatefulSet without replicas", name)
		}
	}
	checkPolicies(t, objects, all)
	checkMonitors(t, objects, services)
}

func checkPolicies(t *testing.T, objects []runtime.Object, all []workload) {
	t.Helper()
	for name, rules := range of[*networking.NetworkPolicy](objects) {
		pods := selected(all, rules.Spec.PodSelector.MatchLabels)
		if len(pods) != 1 {
			t.Errorf("NetworkPolicy %s: selects %d workloads", name, len(pods))
			continue
		}
		for _, rule := range rules.Spec.Ingress {
			if len(rule.From) == 0 {
				t.Errorf("NetworkPolicy %s: lets everybody in", name)
			}
			for _, port := range rule.Ports {
				if !pods[0].hasPort(port.Port.StrVal) {
					t.Errorf("NetworkPolicy %s: there is no port %s", name, port.Port.StrVal)
				}
			}
		}
	}
}

func checkMonitors(t *testing.T, objects []runtime.Object, services map[string]*core.Service) {
	t.Helper()
	for name, monitor := range of[*monitoring.ServiceMonitor](objects) {
		var ports []string
		for _, service := range services {
			if labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) {
				for _, port := range service.Spec.Ports {
					ports = append(ports, port.Name)
				}
			}
		}
		for _, endpoint := range monitor.Spec.Endpoints {
			if !slices.Contains(ports, endpoint.Port) {
				t.Errorf("ServiceMonitor %s: there is no port %s", name, endpoint.Port)
			}
		}
	}
}

func TestProbesAskTheHealthCheck(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) {
		for _, w := range workloads(mustDecode(t, rendered)) {
			c := w.container()
			for _, probe := range []*core.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				if !w.hasPort(probe.HTTPGet.Port.StrVal) || probe.HTTPGet.Path != "/status" {
					t.Errorf("%s: probes %v", w.name, probe.HTTPGet)
				}
			}
			if w.env("HEALTH_CHECK_ENDPOINT") != ":13134" {
				t.Errorf("%s: the health check is at %s", w.name, w.env("HEALTH_CHECK_ENDPOINT"))
			}
		}
	})
}

// Go collects garbage before memory_limiter refuses data, and that is before the
// kernel kills the collector.
func TestMemoryLimitsFollowFromTheContainers(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) {
		for _, w := range workloads(mustDecode(t, rendered)) {
			quantity := w.container().Resources.Limits[core.ResourceMemory]
			container := quantity.Value() >> 20
			limiter, err := strconv.ParseInt(w.env("MEMORY_LIMIT_MIB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			goal, err := strconv.ParseInt(strings.TrimSuffix(w.env("GOMEMLIMIT"), "MiB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if limiter != container*90/100 || goal != limiter*80/100 {
				t.Errorf("%s: of %d MiB, memory_limiter has %d and Go %d", w.name, container, limiter, goal)
			}
		}
	})
}

func TestGatewaysHaveTimeToEnd(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) {
		objects := mustDecode(t, rendered)
		for _, w := range workloads(objects) {
			pause := time.Duration(0)
			if w.container().Lifecycle != nil {
				pause = time.Duration(w.container().Lifecycle.PreStop.Sleep.Seconds) * time.Second
			}
			if grace := time.Duration(*w.pod.Spec.TerminationGracePeriodSeconds) * time.Second; grace < pause+30*time.Second {
				t.Errorf("%s: is killed %s after it was asked to end", w.name, grace-pause)
			}
			if w.env("GATEWAYS_DNS") == "" {
				continue
			}
			wait, err := time.ParseDuration(w.env("DECISION_WAIT"))
			if err != nil {
				t.Fatal(err)
			}
			const untilOthersKnow = 35 * time.Second
			if pause < untilOthersKnow+wait {
				t.Errorf("%s: ends %s after it has left the DNS answers, and traces wait %s", w.name, pause-untilOthersKnow, wait)
			}
		}
	})
}

func TestGatewaysFindEachOther(t *testing.T) {
	eachCase(t, func(t *testing.T, _, rendered string) { checkGateways(t, mustDecode(t, rendered)) })
}

func checkGateways(t *testing.T, objects []runtime.Object) {
	t.Helper()
	services := of[*core.Service](objects)
	for name, set := range of[*apps.StatefulSet](objects) {
		if !strings.HasSuffix(name, "-gateway") {
			continue
		}
		w := selected(workloads(objects), set.Spec.Selector.MatchLabels)[0]
		headless := set.Spec.ServiceName
		if w.env("GATEWAYS_SERVER_NAME") != headless {
			t.Errorf("%s: asks for the certificate of %s", name, w.env("GATEWAYS_SERVER_NAME"))
		}
		for _, certificate := range of[*certmanager.Certificate](objects) {
			if certificate.Spec.SecretName == name+"-tls" && !slices.Contains(certificate.Spec.DNSNames, headless) {
				t.Errorf("%s: its certificate is not for %s", name, headless)
			}
		}
		if set.Spec.Replicas == nil {
			if w.env("GATEWAYS_DNS") != headless || w.env("GATEWAYS") != "" || services[headless].Spec.PublishNotReadyAddresses {
				t.Errorf("%s: scales, and is found by GATEWAYS_DNS=%q", name, w.env("GATEWAYS_DNS"))
			}
			continue
		}
		var names []string
		for i := range *set.Spec.Replicas {
			names = append(names, strconv.Quote(name+"-"+strconv.Itoa(int(i))+"."+headless+":4319"))
		}
		if want := "[" + strings.Join(names, ",") + "]"; w.env("GATEWAYS") != want || !services[headless].Spec.PublishNotReadyAddresses {
			t.Errorf("%s: GATEWAYS is %s instead of %s", name, w.env("GATEWAYS"), want)
		}
	}
}

func TestThereIsOneObserver(t *testing.T) {
	observers := 0
	eachCase(t, func(t *testing.T, _, rendered string) {
		for name, set := range of[*apps.StatefulSet](mustDecode(t, rendered)) {
			if strings.HasSuffix(name, "-observer") {
				observers++
				if *set.Spec.Replicas != 1 {
					t.Errorf("%s has %d replicas", name, *set.Spec.Replicas)
				}
			}
		}
	})
	if observers == 0 {
		t.Error("no values in ci have an observer")
	}
}

// A changed configuration has to restart the pods, which read it only once.
func TestAChangedConfigurationRestartsPods(t *testing.T) {
	annotations := func(percentage string) map[string]string {
		objects := mustDecode(t, mustRender(t, valuesFrom(t, `{tls: {secretName: a}, gateway: {enabled: true, jaegerEndpoint: "jaeger:4317", `+
			`config: {processors: {tail_sampling: {num_traces: `+percentage+`}}}}}`)))
		return workloads(objects)[0].pod.Annotations
	}
	if before, after := annotations("1000"), annotations("2000"); before["checksum/config"] == "" || maps.Equal(before, after) {
		t.Errorf("the annotations are %v before and %v after", before, after)
	}
}
