// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

func TestFreePortsAreFreeAndNeverGivenTwice(t *testing.T) {
	seen := map[int]bool{}
	for range 20 {
		chosen, err := FreePorts(7)
		require.NoError(t, err)
		require.Len(t, chosen, 7)
		for _, port := range chosen {
			require.False(t, seen[port], "port %d given twice", port)
			seen[port] = true
			listener, err := net.Listen("tcp", loopback(port))
			require.NoError(t, err)
			require.NoError(t, listener.Close())
		}
	}
}

// A server that is down while it is restarted must find its ports, whatever the
// tests of another package start meanwhile.
func TestEachProcessHasPortsOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	held := map[int]*flock.Flock{}
	for range (lastPort - firstPort) / portBlock {
		first, lock, err := claimPorts(dir)
		require.NoError(t, err)
		require.NotContains(t, held, first)
		require.GreaterOrEqual(t, first, firstPort)
		require.LessOrEqual(t, first+portBlock, lastPort)
		held[first] = lock
	}
	_, _, err := claimPorts(dir)
	require.ErrorContains(t, err, "other labs and tests have them all")
	require.NoError(t, held[firstPort].Unlock())
	first, lock, err := claimPorts(dir)
	require.NoError(t, err)
	require.Equal(t, firstPort, first)
	held[first] = lock
	for _, lock := range held {
		require.NoError(t, lock.Unlock())
	}
}

func TestOnFreePortsTriesOthersWhenTaken(t *testing.T) {
	taken := fmt.Errorf("etcd: %w", errAddressTaken)
	for name, test := range map[string]struct {
		answers []error
		want    error
	}{
		"at last":       {answers: []error{taken, taken, nil}},
		"never":         {answers: []error{taken, taken, taken, taken}, want: errAddressTaken},
		"other failure": {answers: []error{context.DeadlineExceeded}, want: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			calls, seen := 0, map[int]bool{}
			err := OnFreePorts(t.Context(), 1, func(ports []int) error {
				seen[ports[0]] = true
				calls++
				return test.answers[calls-1]
			})
			require.ErrorIs(t, err, test.want)
			require.Equal(t, len(test.answers), calls)
			require.Len(t, seen, calls)
		})
	}
}
