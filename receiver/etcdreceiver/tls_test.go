// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
)

func TestAnEtcdThatSpeaksTLS(t *testing.T) {
	t.Parallel()
	for name, mutual := range map[string]bool{"of the server": false, "of both": true} {
		etcd, client := startEtcd(t, lab.ServerOptions{TLS: &lab.TLS{Mutual: mutual}})
		other, _ := startEtcd(t, lab.ServerOptions{TLS: &lab.TLS{}})
		certificate := etcd.TLS
		plain := "http://" + address.HostPort(etcd.Endpoints[0])
		for of, test := range map[string]struct {
			endpoint string
			files    lab.TLSFiles
			works    bool
			says     string
		}{
			"with all it takes":      {etcd.Endpoints[0], certificate, true, ""},
			"without the CA":         {etcd.Endpoints[0], lab.TLSFiles{Cert: certificate.Cert, Key: certificate.Key}, false, "certificate signed by unknown authority"},
			"with another CA":        {etcd.Endpoints[0], lab.TLSFiles{CA: other.TLS.CA, Cert: certificate.Cert, Key: certificate.Key}, false, "certificate signed by unknown authority"},
			"without a certificate":  {etcd.Endpoints[0], lab.TLSFiles{CA: certificate.CA}, !mutual, "if etcd asks for a client certificate, set tls::cert_file and tls::key_file"},
			"that does not speak it": {plain, lab.TLSFiles{}, false, "error reading server preface"},
		} {
			t.Run(name+", a client "+of, func(t *testing.T) {
				cfg := configFor(test.endpoint)
				cfg.Scrape.Timeout = time.Second
				cfg.TLS.CAFile, cfg.TLS.CertFile, cfg.TLS.KeyFile = test.files.CA, test.files.Cert, test.files.Key
				o := observe(t, cfg)
				if test.works {
					from := o.watching(t, client)
					set(t, client, "/app/key", "")
					o.requireTruth(t, client, from)
					assert.Empty(t, o.Trouble())
					return
				}
				for _, endpoint := range []string{keyspace.WatchOf + "/app/", keyspace.WatchOf + "/locks/", collect.StatusOf + address.HostPort(test.endpoint)} {
					o.Eventually(t, "it is said", func() bool { return o.Warnings(endpoint) == 1 })
					assert.Contains(t, o.said(endpoint), test.says, endpoint)
				}
				assert.Empty(t, o.Events(""))
			})
		}
	}
}
