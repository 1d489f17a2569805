// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package packages

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The container's loopback is its own, so that the guide's addresses are free in
// it, whatever runs on this machine. A socket belongs to the network that its
// thread was in when it was made, and serves in that wherever it is used.

// inside runs a function on a thread that is in the container's network.
func (c *container) inside(t *testing.T, do func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and is not unlocked: the thread ends with the goroutine
		done <- func() error {
			namespace, err := os.Open("/proc/" + c.leader + "/ns/net")
			if err != nil {
				return err
			}
			defer namespace.Close()
			if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return do()
		}()
	}()
	require.NoError(t, <-done)
}

// forward has a server of this machine answer at an address in the container.
func (c *container) forward(t *testing.T, address, server string) {
	t.Helper()
	var listener net.Listener
	c.inside(t, func() (err error) {
		listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", address)
		return err
	})
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go join(client, server)
		}
	}()
}

// join copies between a client and a server until both have ended. An end that goes
// away closes the other, which is all that there is to do about an error.
func join(client net.Conn, address string) {
	defer func() { _ = client.Close() }()
	server, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	done := make(chan struct{}, 2)
	for _, ends := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(ends[0], ends[1])
			_ = ends[0].(*net.TCPConn).CloseWrite()
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

// fetch asks a server in the container; 0 is the status if nobody answers.
func (c *container) fetch(t *testing.T, address, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			c.inside(t, func() error {
				conn, err = new(net.Dialer).DialContext(ctx, network, address)
				return nil
			})
			return conn, err
		},
	}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(content)
}

// get is the status of an answer.
func (c *container) get(t *testing.T, address, path string) int {
	t.Helper()
	status, _ := c.fetch(t, address, path)
	return status
}
