// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// Etcd is an etcd cluster of one or three members.
type Etcd struct {
	*Cluster
	// Endpoints are the members' client URLs, such as "http://127.0.0.1:12001",
	// in the order of Members.
	Endpoints []string
}

// StartEtcd starts a cluster, and waits until each member is healthy.
func StartEtcd(ctx context.Context, opts ServerOptions) (*Etcd, error) {
	e := &Etcd{}
	cluster, err := startCluster(ctx, "etcd", 2, opts, e.prepare)
	if err != nil {
		return nil, err
	}
	e.Cluster = cluster
	return e, nil
}

func (e *Etcd) prepare(places []place) ([]launch, error) {
	e.Endpoints = make([]string, len(places))
	cluster, launches := make([]string, len(places)), make([]launch, len(places))
	for i, p := range places {
		e.Endpoints[i] = "http://" + loopback(p.ports[0])
		cluster[i] = p.name + "=http://" + loopback(p.ports[1])
	}
	for i, p := range places {
		endpoint, peers := e.Endpoints[i], "http://"+loopback(p.ports[1])
		launches[i] = launch{ready: etcdReady(endpoint), args: []string{
			"--name=" + p.name, "--data-dir=" + filepath.Join(p.home, "data"),
			"--listen-client-urls=" + endpoint, "--advertise-client-urls=" + endpoint,
			"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers,
			"--initial-cluster=" + strings.Join(cluster, ","), "--initial-cluster-state=new",
			"--log-level=warn",
		}}
	}
	return launches, nil
}

func etcdReady(endpoint string) func(context.Context) error {
	return func(ctx context.Context) error {
		var health struct{ Health, Reason string }
		if err := getJSON(ctx, endpoint+"/health", nil, &health); err != nil {
			return err
		}
		if health.Health != "true" {
			return fmt.Errorf("etcd at %s is not healthy: %s", endpoint, health.Reason)
		}
		return nil
	}
}
