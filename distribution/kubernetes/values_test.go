// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"strings"
	"testing"
)

func TestErrorsOfValuesNameTheKey(t *testing.T) {
	const gateway = "tls: {secretName: a}\ngateway:\n  enabled: true\n  jaegerEndpoint: jaeger:4317\n  "
	for _, c := range []struct{ name, values, want string }{
		{"unknown key", "gatway: {enabled: true}", "'gatway' not allowed"},
		{"unknown key of the gateway", gateway + "replica: 3", "at '/gateway': additional properties 'replica' not allowed"},
		{"unknown key of persistence", "observer: {persistence: {storageClass: fast}}", "at '/observer/persistence': additional properties 'storageClass' not allowed"},
		{"text for a number", gateway + "replicas: two", "at '/gateway/replicas'"},
		{"no gateways", gateway + "replicas: 0", "at '/gateway/replicas'"},
		{"no Jaeger", "gateway: {enabled: true}", "at '/gateway/jaegerEndpoint'"},
		{"Jaeger as a URL", "gateway: {enabled: true, jaegerEndpoint: 'http://jaeger:4317'}", "at '/gateway/jaegerEndpoint'"},
		{"nothing to observe", "observer: {enabled: true}", "at '/observer/observe'"},
		{"unknown system", "observer: {observe: [nomad]}", "at '/observer/observe/0'"},
		{"audit files of an observer", "observer: {observe: [vault-audit]}", "at '/observer/observe/0'"},
		{"replicas of the observer", "observer: {replicas: 2}", "at '/observer': additional properties 'replicas' not allowed"},
		{"token in the environment", "observer: {env: {VAULT_TOKEN: hvs.secret}}", "at '/observer/env/VAULT_TOKEN'"},
		{"password in the environment", "observer: {env: {ETCD_PASSWORD: secret}}", "at '/observer/env/ETCD_PASSWORD'"},
		{"no limit of memory", "agent: {resources: {limits: {memory: null}}}", "at '/agent/resources/limits': missing property 'memory'"},
		{"limit of memory in bytes", "agent: {resources: {limits: {memory: '268435456'}}}", "at '/agent/resources/limits/memory'"},
		{"bad digest", "image: {digest: latest}", "at '/image/digest'"},
		{"everybody may send", "networkPolicy: {clients: []}", "at '/networkPolicy/clients'"},
		{"cert-manager without an issuer", "tls: {certManager: {enabled: true}}", "at '/tls/certManager/issuerRef/name'"},
		{"relative folder", "agent: {persistence: {hostPath: state}}", "at '/agent/persistence/hostPath'"},
		{"no certificate", "gateway: {enabled: true, jaegerEndpoint: 'jaeger:4317'}", "tls.secretName: name a Secret"},
		{"no gateway for agents", "agent: {enabled: true}\ntls: {secretName: a}", "agent.gatewayEndpoint: name host:port"},
		{"no gateway for the observer", "observer: {enabled: true, observe: [etcd]}\ntls: {secretName: a}", "observer.gatewayEndpoint: name host:port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := render(valuesFrom(t, c.values), namespace)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("the error is %v, without %q", err, c.want)
			}
			if strings.Contains(err.Error(), "hvs.secret") {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
}
