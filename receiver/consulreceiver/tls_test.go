// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

func TestAConsulThatSpeaksTLS(t *testing.T) {
	t.Parallel()
	for name, mutual := range map[string]bool{"of the server": false, "of both": true} {
		consul, _ := startConsul(t, lab.ServerOptions{TLS: &lab.TLS{Mutual: mutual}})
		certificate := consul.TLS
		for client, test := range map[string]struct {
			scheme string
			files  lab.TLSFiles
			works  bool
			says   string
		}{
			"with all it takes":      {"https://", certificate, true, ""},
			"without the CA":         {"https://", lab.TLSFiles{Cert: certificate.Cert, Key: certificate.Key}, false, "set tls::ca_file to the CA of consul's certificate"},
			"without a certificate":  {"https://", lab.TLSFiles{CA: certificate.CA}, !mutual, ""}, // How it is cut off differs.
			"that does not speak it": {"http://", lab.TLSFiles{}, false, "Client sent an HTTP request to an HTTPS server"},
		} {
			t.Run(name+", a client "+client, func(t *testing.T) {
				cfg := configFor(consul.Addr)
				cfg.HTTP.Endpoint = test.scheme + consul.Addr
				cfg.HTTP.TLS.CAFile, cfg.HTTP.TLS.CertFile, cfg.HTTP.TLS.KeyFile = test.files.CA, test.files.Cert, test.files.Key
				o := observe(t, cfg)
				if test.works {
					o.Eventually(t, "up is 1", o.HasValue(1, "consul.up"))
					watching(t, o, endpointChecks, endpointMembers, endpointUserEvents)
					assert.Empty(t, o.Trouble())
					return
				}
				o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
				// A client that does not speak TLS gets an answer, to each request.
				o.Eventually(t, "it is said", func() bool { return o.Warnings(agentCondition)+o.Warnings(endpointPeers) == 1 })
				said := o.Log.FilterLevelExact(zap.WarnLevel).All()[0].ContextMap()["error"]
				assert.Contains(t, said, test.says)
				requireBounded(t, o, 1)
			})
		}
	}
}
