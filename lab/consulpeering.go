// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Peer peers two Consuls that were started with [ServerOptions.Peering], and waits
// until each finds the other active. Each names its peer by the peer's datacenter.
// They export no services yet: that takes a configuration entry, see [Consul.Put].
func (c *Consul) Peer(ctx context.Context, other *Consul) error {
	var made struct{ PeeringToken string }
	if err := c.post(ctx, "/v1/peering/token", map[string]string{"PeerName": other.Datacenter}, &made); err != nil {
		return fmt.Errorf("peer %s with %s: %w", c.Datacenter, other.Datacenter, err)
	}
	invitation := map[string]string{"PeerName": c.Datacenter, "PeeringToken": made.PeeringToken}
	if err := other.post(ctx, "/v1/peering/establish", invitation, nil); err != nil {
		return fmt.Errorf("peer %s with %s: %w", other.Datacenter, c.Datacenter, err)
	}
	for _, side := range [][2]*Consul{{c, other}, {other, c}} {
		if err := side[0].waitForPeer(ctx, side[1].Datacenter); err != nil {
			return err
		}
	}
	return nil
}

func (c *Consul) waitForPeer(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		var peering struct{ State string }
		err := c.ask(ctx, c.Addr, "/v1/peering/"+name, &peering)
		if err == nil && peering.State == "ACTIVE" {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("peering of %s with %s is %q: %w; last: %w", c.Datacenter, name, peering.State, context.Cause(ctx), err)
		}
	}
}

// Put writes to the API of the first server, such as a service to /v1/agent/service/register.
func (c *Consul) Put(ctx context.Context, path string, body any) error {
	return c.send(ctx, http.MethodPut, path, body, nil)
}

func (c *Consul) post(ctx context.Context, path string, body, out any) error {
	return c.send(ctx, http.MethodPost, path, body, out)
}

// send makes a request with a JSON body, and reads the answer into out unless that is nil.
func (c *Consul) send(ctx context.Context, method, path string, body, out any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, c.scheme+"://"+c.Addr+path, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	request.Header.Set("X-Consul-Token", c.Token)
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s answers %d: %s", method, path, response.StatusCode, bytes.TrimSpace(reply))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(reply, out)
}
