// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken from below the range in which Linux picks the local ports of
// outgoing connections (32768 and up), so that a server that is restarted finds
// its ports still free.
const (
	firstPort = 12000
	lastPort  = 32000
)

var ports = struct {
	sync.Mutex
	next int
	// A set, as several labs of one process choose before their servers bind.
	given map[int]bool
}{given: map[int]bool{}}

// FreePorts gives n different loopback ports that are free for TCP and UDP now.
// No port is given out twice in one process. Another process may still take one
// before a server binds it; the servers of this package then start on others.
func FreePorts(n int) ([]int, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		// Processes that start at once should not all try the same ports.
		ports.next = firstPort + rand.IntN(lastPort-firstPort)
	}
	free := make([]int, 0, n)
	for tried := 0; len(free) < n; tried++ {
		if tried > lastPort-firstPort {
			return nil, fmt.Errorf("no %d free ports between %d and %d on loopback; end what listens there", n, firstPort, lastPort)
		}
		port := ports.next
		if ports.next++; ports.next > lastPort {
			ports.next = firstPort
		}
		if !ports.given[port] && isFree(port) {
			ports.given[port] = true
			free = append(free, port)
		}
	}
	return free, nil
}

func isFree(port int) bool {
	tcp, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", loopback(port)) // Consul's gossip
	if err != nil {
		return false
	}
	return udp.Close() == nil
}

// loopback is host:port of a port on 127.0.0.1.
func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// errAddressTaken says that a server did not start since a port was not free after all.
var errAddressTaken = errors.New("address already in use")

// OnFreePorts calls start with n free ports, and again with others when a port
// was taken between the choice and the bind.
func OnFreePorts(ctx context.Context, n int, start func(ports []int) error) error {
	const tries = 4
	var err error
	for range tries {
		var chosen []int
		if chosen, err = FreePorts(n); err != nil {
			return err
		}
		if err = start(chosen); !errors.Is(err, errAddressTaken) || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("%d times other ports tried: %w", tries, err)
}
