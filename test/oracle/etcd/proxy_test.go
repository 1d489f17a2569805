// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// proxy is a grpc-proxy between the collector and etcd.
type proxy struct {
	*system
	endpoint string
	server   *lab.Server
}

func (s *system) startProxy(t *testing.T) *proxy {
	t.Helper()
	binary, err := lab.Binary(t.Context(), "etcd", nil)
	require.NoError(t, err)
	ports, err := lab.FreePorts(2)
	require.NoError(t, err)
	s.proxied = true
	dir := t.TempDir()
	p := &proxy{system: s, endpoint: fmt.Sprintf("http://127.0.0.1:%d", ports[0])}
	p.server, err = lab.StartProgram(t.Context(), lab.ProgramOptions{
		Name: "grpc-proxy", Binary: binary, Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir},
		ReadyURL: fmt.Sprintf("http://127.0.0.1:%d/health", ports[1]),
		Args: []string{
			"grpc-proxy", "start", "--endpoints=" + s.etcd.Endpoints[0], fmt.Sprintf("--listen-addr=127.0.0.1:%d", ports[0]),
			fmt.Sprintf("--metrics-addr=http://127.0.0.1:%d", ports[1]), "--data-dir=" + dir + "/data",
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.server.Stop(context.Background())) })
	return p
}

// watchToo has others watch the same ranges through the proxy.
func (p *proxy) watchToo(t *testing.T) {
	t.Helper()
	client := p.newClient(t, p.endpoint)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	for _, prefix := range p.prefixes.covering() {
		for range 2 {
			changes := client.Watch(ctx, prefix, clientv3.WithPrefix())
			p.background.Go(func() {
				for range changes { // That they are watched is all.
				}
			})
		}
	}
}

func (p *proxy) killed() oracle.Fault {
	return p.serverFault("proxy killed", func(ctx context.Context, random *rand.Rand) error {
		away := time.Duration(random.Int64N(int64(down)))
		if err := p.server.Kill(); err != nil {
			return err
		}
		oracle.Sleep(ctx, away)
		return p.server.Restart(ctx)
	})
}
