// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/gofrs/flock"
)

// Ports are taken from below the range in which Linux picks the local ports of
// outgoing connections (32768 and up), so that a server that is restarted finds
// its ports still free. For the same end each process has blocks of its own.
const (
	firstPort = 12000
	lastPort  = 32000
	portBlock = 500
)

var ports struct {
	sync.Mutex
	next, end int            // what is left of the newest block
	blocks    []*flock.Flock // that this process has, until it ends
}

// FreePorts gives n different loopback ports that are free for TCP and UDP now.
// No port is given out twice in one process, nor by another of the same user that
// runs. Another program may still take one before a server binds it; the servers
// of this package then start on others.
func FreePorts(n int) ([]int, error) {
	ports.Lock()
	defer ports.Unlock()
	free := make([]int, 0, n)
	for len(free) < n {
		if ports.next == ports.end {
			first, lock, err := claimPorts(filepath.Join(os.TempDir(), fmt.Sprintf("otelcol-infra-ports-%d", os.Getuid())))
			if err != nil {
				return nil, fmt.Errorf("no %d free ports between %d and %d on loopback: %w", n, firstPort, lastPort, err)
			}
			ports.next, ports.end, ports.blocks = first, first+portBlock, append(ports.blocks, lock)
		}
		if isFree(ports.next) {
			free = append(free, ports.next)
		}
		ports.next++
	}
	return free, nil
}

// claimPorts gives the first port of a block that no process has that looks in the
// same folder. The block is this process's as long as it holds the lock.
func claimPorts(dir string) (first int, lock *flock.Flock, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, nil, fmt.Errorf("make the folder of what ports are taken: %w", err)
	}
	const blocks = (lastPort - firstPort) / portBlock
	for i, begin := 0, rand.IntN(blocks); i < blocks; i++ {
		first = firstPort + (begin+i)%blocks*portBlock
		lock = flock.New(filepath.Join(dir, strconv.Itoa(first)))
		if locked, err := lock.TryLock(); err != nil || locked {
			return first, lock, err
		}
	}
	return 0, nil, fmt.Errorf("other labs and tests have them all, see %s; end some", dir)
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
