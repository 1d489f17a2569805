// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// KubeAPIServer is Kubernetes' API alone, on an etcd of its own: it validates, admits
// and stores objects. No controller and no kubelet acts on them, so no pod runs.
type KubeAPIServer struct {
	*Server
	// Etcd is where it stores objects.
	Etcd *Etcd
	// URL is that of the API, such as "https://127.0.0.1:12001".
	URL string
	// CA is the file with the certificate that a client trusts, in PEM.
	CA string
	// Token is the bearer token of a user who may do everything.
	Token string
	// Kubeconfig is a file with all of these.
	Kubeconfig string

	certificate TLSFiles // of the server
}

// StartKubeAPIServer starts etcd and an API server that uses RBAC, and waits until it
// is ready. The admission plugins are Kubernetes' defaults without ServiceAccount, for
// which there would have to be a controller.
func StartKubeAPIServer(ctx context.Context, opts ServerOptions) (*KubeAPIServer, error) {
	etcdOpts := ServerOptions{Progress: opts.Progress}
	if opts.Dir != "" {
		etcdOpts.Dir = filepath.Join(opts.Dir, "kube-apiserver-etcd")
		if err := os.Mkdir(etcdOpts.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of kube-apiserver's etcd; name another folder: %w", err)
		}
	}
	etcd, err := StartEtcd(ctx, etcdOpts)
	if err != nil {
		return nil, err
	}
	k := &KubeAPIServer{Etcd: etcd, Token: rand.Text()}
	k.Server, err = startServer(ctx, "kube-apiserver", 1, opts, k.prepare)
	if err != nil {
		return nil, errors.Join(err, etcd.Stop(ctx))
	}
	return k, nil
}

func (k *KubeAPIServer) prepare(home string, ports []int) (launch, error) {
	k.URL, k.Kubeconfig = "https://"+loopback(ports[0]), filepath.Join(home, "kubeconfig")
	ca, err := newAuthority(home)
	if err != nil {
		return launch{}, err
	}
	server, err := ca.issue("server", x509.ExtKeyUsageServerAuth)
	if err != nil {
		return launch{}, err
	}
	accounts, err := ca.issue("service-accounts") // signs their tokens
	if err != nil {
		return launch{}, err
	}
	k.CA, k.certificate = ca.file, server
	client, err := server.probe()
	if err != nil {
		return launch{}, err
	}
	tokens := filepath.Join(home, "tokens.csv")
	err = errors.Join(
		os.WriteFile(tokens, []byte(k.Token+`,lab,lab,"system:masters"`+"\n"), 0o600),
		os.WriteFile(k.Kubeconfig, []byte(k.kubeconfig()), 0o600))
	if err != nil {
		return launch{}, err
	}
	header := http.Header{"Authorization": {"Bearer " + k.Token}}
	return launch{
		args: []string{
			"--etcd-servers=" + strings.Join(k.Etcd.Endpoints, ","),
			"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(ports[0]),
			"--tls-cert-file=" + server.Cert, "--tls-private-key-file=" + server.Key,
			"--token-auth-file=" + tokens, "--authorization-mode=RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + accounts.Cert, "--service-account-signing-key-file=" + accounts.Key,
			"--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none",
			"--disable-admission-plugins=ServiceAccount",
		},
		ready: func(ctx context.Context) error {
			status, body, err := getBy(ctx, client, k.URL+"/readyz", header)
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("%s/readyz answers %d: %s", k.URL, status, body)
			}
			return err
		},
	}, nil
}

func (k *KubeAPIServer) kubeconfig() string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: lab, user: {token: %q}}]
contexts: [{name: lab, context: {cluster: lab, user: lab}}]
current-context: lab
`, k.URL, k.CA, k.Token)
}

// Stop ends the API server and then its etcd, and removes their folders if they are
// throw-away ones.
func (k *KubeAPIServer) Stop(ctx context.Context) error {
	return errors.Join(k.Server.Stop(ctx), k.Etcd.Stop(ctx))
}
