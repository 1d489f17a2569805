// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// askLockService sends a request to etcd's v3lock service, which jetcd's Lock uses.
func askLockService(t *testing.T, ctx context.Context, endpoint, method string, fields map[string]string) (answer struct{ Key []byte }) {
	t.Helper()
	body, err := json.Marshal(fields)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/v3/lock/"+method, bytes.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(text))
	require.NoError(t, json.Unmarshal(text, &answer))
	return answer
}

func TestLocksOfTheLockServiceAreRecognized(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	grant := led(t, func() (*clientv3.LeaseGrantResponse, error) { return client.Grant(t.Context(), 60) })
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	held := askLockService(t, t.Context(), etcd.Endpoints[0], "lock", map[string]string{"name": encode("/locks/deploy"), "lease": strconv.FormatInt(int64(grant.ID), 10)})
	key := fmt.Sprintf("/locks/deploy/%x", grant.ID)
	require.Equal(t, key, string(held.Key))
	waiter := newLocker(t, client)
	waiter.lock(t.Context())
	assert.Equal(t, key, value(o.event(t, "etcd.lock.queued", waiter.key), "etcd.lock.holder.key"))
	askLockService(t, t.Context(), etcd.Endpoints[0], "unlock", map[string]string{"key": encode(key)})
	waiter.acquired(t)
	o.Eventually(t, "the hold", o.hasSpan(lock.SpanHold, key))
}

// pythonLock acquires and releases a lock with python-etcd3, and says which key it has.
const pythonLock = `
import sys, etcd3
client = etcd3.client(host=sys.argv[1], port=int(sys.argv[2]))
lock = client.lock("app/deploy", ttl=30)
assert lock.acquire(timeout=5)
print(lock.key if isinstance(lock.key, str) else lock.key.decode(), end="")
assert lock.release()
`

// The key of such a lock is one as any other that has a lease.
func TestLocksOfPythonEtcd3AreKeys(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "python3", "-c", "import etcd3").Run(); err != nil {
		t.Skip("needs python3 with the package etcd3:", err)
	}
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Prefixes = append(cfg.Watch.Prefixes, "/locks/app/")
	o := observe(t, cfg)
	o.watching(t, client)
	endpoint, err := url.Parse(etcd.Endpoints[0])
	require.NoError(t, err)
	text, err := exec.CommandContext(t.Context(), "python3", "-c", pythonLock, endpoint.Hostname(), endpoint.Port()).Output()
	require.NoError(t, err)
	o.requireKeyOfALease(t, string(text))
}

// The same transactions as python-etcd3 makes, and Patroni for its leader's key.
func TestLocksOfOneKeyAreKeys(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Prefixes = append(cfg.Watch.Prefixes, "/locks/app/")
	o := observe(t, cfg)
	o.watching(t, client)
	const key, id = "/locks/app/deploy", "0123456789abcdef"
	grant := led(t, func() (*clientv3.LeaseGrantResponse, error) { return client.Grant(t.Context(), 60) })
	for range 2 { // The second one finds the key: nothing of its wait is in etcd.
		led(t, func() (*clientv3.TxnResponse, error) {
			return client.Txn(t.Context()).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
				Then(clientv3.OpPut(key, id, clientv3.WithLease(grant.ID))).Else(clientv3.OpGet(key)).Commit()
		})
	}
	led(t, func() (*clientv3.TxnResponse, error) {
		return client.Txn(t.Context()).If(clientv3.Compare(clientv3.Value(key), "=", id)).Then(clientv3.OpDelete(key)).Commit()
	})
	o.requireKeyOfALease(t, key)
}

func (o *observed) requireKeyOfALease(t *testing.T, key string) {
	t.Helper()
	o.Eventually(t, "its end", o.HasEvent("etcd.key.delete", "etcd.key.name", key))
	assert.Equal(t, []string{"etcd.key.put", "etcd.key.delete"}, o.reported("etcd.key.name", key))
	assert.NotEmpty(t, value(o.Events("etcd.key.put", "etcd.key.name", key)[0].Attributes(), "etcd.lease.id"))
	assert.Empty(t, o.reported("etcd.lock.key", key))
}
