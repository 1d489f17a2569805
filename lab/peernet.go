// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
)

// peerNet carries what the members of an etcd cluster say to each other, so that
// one can be cut off. It is their HTTP proxy and not one in front of each peer
// port, which would not know who asks: all members see the same peer URL of a
// member, and not every request names its sender.
type peerNet struct {
	server *http.Server
	addr   string
	proxy  *httputil.ReverseProxy

	mu    sync.Mutex
	lines map[string]line // by the member's name
}

// line is a member's only way to the others: over when it is cut.
type line struct {
	context.Context
	cut context.CancelFunc
}

func newLine() line {
	ctx, cut := context.WithCancel(context.Background())
	return line{ctx, cut}
}

func startPeerNet() (*peerNet, error) {
	listener, err := net.Listen("tcp", loopback(0))
	if err != nil {
		return nil, fmt.Errorf("listen for etcd's peers: %w", err)
	}
	silent := log.New(io.Discard, "", 0) // a cut is no news
	n := &peerNet{addr: listener.Addr().String(), lines: map[string]line{}}
	n.proxy = &httputil.ReverseProxy{
		Rewrite:       func(*httputil.ProxyRequest) {},
		Transport:     &http.Transport{DialContext: dialLoopback, DisableKeepAlives: true, DisableCompression: true},
		FlushInterval: -1, // streams
		ErrorLog:      silent,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { hangUp() },
	}
	n.server = &http.Server{Handler: n, ErrorLog: silent}
	go func() { _ = n.server.Serve(listener) }() // until stop
	return n, nil
}

// dialLoopback needs no name resolved: only the ports of members differ.
func dialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

// hangUp closes the connection without an answer, as a network would.
func hangUp() { panic(http.ErrAbortHandler) }

// url is where the others reach a member. Its host is a name, as no proxy is
// asked for loopback.
func (n *peerNet) url(p place) string {
	return "http://" + net.JoinHostPort(p.name, strconv.Itoa(p.ports[1]))
}

// env has a member send its requests through here, with its name, and connects it.
func (n *peerNet) env(p place) []string {
	n.mend(p.name)
	return []string{"HTTP_PROXY=http://" + p.name + "@" + n.addr}
}

// ServeHTTP carries one request between two members, until one of them is cut off.
func (n *peerNet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, to := n.line(sender(r)), n.line(r.URL.Hostname())
	ctx, end := context.WithCancel(r.Context())
	defer end()
	defer context.AfterFunc(from, end)()
	defer context.AfterFunc(to, end)()
	if from.Err() != nil || to.Err() != nil {
		hangUp() // AfterFunc ends ctx in a goroutine, maybe too late
	}
	n.proxy.ServeHTTP(w, r.WithContext(ctx))
}

// sender is the member's name, which is the user in the URL of its proxy.
func sender(r *http.Request) string {
	auth := http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	name, _, _ := auth.BasicAuth()
	return name
}

func (n *peerNet) line(name string) line {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l, ok := n.lines[name]; ok {
		return l
	}
	l := newLine() // of no member
	l.cut()
	return l
}

func (n *peerNet) isCut(name string) bool { return n != nil && n.line(name).Err() != nil }

func (n *peerNet) cut(name string) { n.line(name).cut() }

func (n *peerNet) mend(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l, ok := n.lines[name]; !ok || l.Err() != nil {
		n.lines[name] = newLine()
	}
}

// stop cuts all, and waits until what was carried has ended. The members' own
// connections must have ended before.
func (n *peerNet) stop(ctx context.Context) error {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	for _, l := range n.lines {
		l.cut()
	}
	n.mu.Unlock()
	return n.server.Shutdown(ctx)
}
