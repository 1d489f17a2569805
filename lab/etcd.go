// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
)

// Etcd is an etcd cluster of one or three members.
type Etcd struct {
	*Cluster
	// Endpoints are the members' client URLs, such as "http://127.0.0.1:12001",
	// in the order of Members.
	Endpoints []string
	// TLS is what a client needs; empty without TLS.
	TLS TLSFiles

	client *http.Client
	peers  *peerNet // nil unless Partitionable
}

// StartEtcd starts a cluster, and waits until each member is healthy.
func StartEtcd(ctx context.Context, opts ServerOptions) (*Etcd, error) {
	e := &Etcd{client: probeClient}
	if opts.Partitionable {
		if opts.Members != 3 {
			return nil, errors.New("a partitionable etcd without peers to cut off; choose 3 members")
		}
		var err error
		if e.peers, err = startPeerNet(); err != nil {
			return nil, err
		}
	}
	cluster, err := startCluster(ctx, "etcd", 2, opts, func(places []place) ([]launch, error) {
		return e.prepare(places, opts)
	})
	if err != nil {
		return nil, errors.Join(err, e.peers.stop(ctx))
	}
	e.Cluster = cluster
	return e, nil
}

func (e *Etcd) prepare(places []place, opts ServerOptions) ([]launch, error) {
	scheme, tlsArgs, err := e.secure(places[0].home, opts.TLS)
	if err != nil {
		return nil, err
	}
	e.Endpoints = make([]string, len(places))
	peers, cluster := make([]string, len(places)), make([]string, len(places))
	for i, p := range places {
		e.Endpoints[i], peers[i] = scheme+loopback(p.ports[0]), "http://"+loopback(p.ports[1])
		if e.peers != nil {
			peers[i] = e.peers.url(p)
		}
		cluster[i] = p.name + "=" + peers[i]
	}
	launches := make([]launch, len(places))
	for i, p := range places {
		endpoint := e.Endpoints[i]
		launches[i] = launch{ready: e.ready(endpoint), args: slices.Concat([]string{
			"--name=" + p.name, "--data-dir=" + filepath.Join(p.home, "data"),
			"--listen-client-urls=" + endpoint, "--advertise-client-urls=" + endpoint,
			"--listen-peer-urls=http://" + loopback(p.ports[1]), "--initial-advertise-peer-urls=" + peers[i],
			"--initial-cluster=" + strings.Join(cluster, ","), "--initial-cluster-state=new",
			"--log-level=warn",
		}, tlsArgs)}
		if e.peers != nil {
			launches[i].env = e.peers.env(p)
		}
	}
	return launches, nil
}

// secure makes the certificates if asked to, and gives the arguments with them.
// That is for clients alone: the members speak plainly with each other.
func (e *Etcd) secure(home string, options *TLS) (scheme string, args []string, err error) {
	if options == nil {
		return "http://", nil, nil
	}
	server, client, err := writeTLS(home)
	if err != nil {
		return "", nil, err
	}
	if e.client, err = client.probe(); err != nil {
		return "", nil, err
	}
	e.TLS = client
	args = []string{"--cert-file=" + server.Cert, "--key-file=" + server.Key}
	if options.Mutual {
		args = append(args, "--client-cert-auth", "--trusted-ca-file="+server.CA)
	}
	return "https://", args, nil
}

func (e *Etcd) ready(endpoint string) func(context.Context) error {
	return func(ctx context.Context) error {
		var health struct{ Health, Reason string }
		if err := getJSONBy(ctx, e.client, endpoint+"/health", nil, &health); err != nil {
			return err
		}
		if health.Health != "true" {
			return fmt.Errorf("etcd at %s is not healthy: %s", endpoint, health.Reason)
		}
		return nil
	}
}

// Leader is the index in Members of the one that leads. It asks each about
// itself, in its metrics, which need no user when there are users. One that is
// cut off is not asked: it takes itself for the leader for up to two seconds more.
func (e *Etcd) Leader(ctx context.Context) (int, error) {
	err := errors.New("no etcd member leads now")
	for i, endpoint := range e.Endpoints {
		if e.peers.isCut(e.Members[i].name) {
			continue
		}
		_, metrics, asked := getBy(ctx, e.client, endpoint+"/metrics", nil)
		if asked != nil {
			err = errors.Join(err, asked)
		} else if strings.Contains(string(metrics), "\netcd_server_is_leader 1\n") {
			return i, nil
		}
	}
	return 0, err
}

// Partition cuts member i off from both others, in both directions, until
// [Etcd.Heal]: what they say to each other ends, and each new connection is
// refused. The member goes on answering its clients, soon without a leader. It
// cannot become ready while it is cut off, so do not restart it then. Only for
// a cluster that was started as Partitionable.
func (e *Etcd) Partition(i int) { e.partitionable().cut(e.Members[i].name) }

// Heal lets member i reach the others again, except one that is cut off itself.
func (e *Etcd) Heal(i int) { e.partitionable().mend(e.Members[i].name) }

func (e *Etcd) partitionable() *peerNet {
	if e.peers == nil {
		panic("lab: this etcd cannot be partitioned; start it with ServerOptions.Partitionable")
	}
	return e.peers
}

// Stop ends all members, and removes their folder if it is a throw-away one.
func (e *Etcd) Stop(ctx context.Context) error {
	return errors.Join(e.Cluster.Stop(ctx), e.peers.stop(ctx))
}
