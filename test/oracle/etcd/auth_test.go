// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// observer is the collector's user, and its role.
const observer = "observer"

// users makes the users root and observer, and returns what the collector needs to log in.
func (s *system) users(t *testing.T) (config string) {
	t.Helper()
	ctx := t.Context()
	s.password = filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(s.password, []byte("first"), 0o600))
	_, err := s.client.RoleAdd(ctx, observer)
	require.NoError(t, err)
	for _, prefix := range s.prefixes.covering() {
		require.NoError(t, s.permit(ctx, prefix))
	}
	for user, password := range map[string]string{root: rootPassword, observer: "first"} {
		_, err = s.client.UserAdd(ctx, user, password)
		require.NoError(t, err)
	}
	for user, role := range map[string]string{root: root, observer: observer} {
		_, err = s.client.UserGrantRole(ctx, user, role)
		require.NoError(t, err)
	}
	return fmt.Sprintf("    username: %s\n    password_file: %s\n", observer, s.password)
}

func (s *system) permit(ctx context.Context, prefix string) error {
	_, err := s.client.RoleGrantPermission(ctx, observer, prefix, clientv3.GetPrefixRangeEnd(prefix), clientv3.PermissionType(clientv3.PermRead))
	return err
}

// turnOn turns authentication on, under a collector that runs.
func (s *system) turnOn(ctx context.Context) error {
	began := time.Now()
	if _, err := s.client.AuthEnable(ctx); err != nil {
		return err
	}
	return s.isBack(ctx, "authentication turned on", began)
}

// toggled turns authentication off, and on again.
func (s *system) toggled() oracle.Fault {
	return s.serverFault("authentication turned off and on", func(ctx context.Context, random *rand.Rand) error {
		off := time.Second + time.Duration(random.Int64N(int64(2*time.Second)))
		if _, err := s.client.AuthDisable(ctx); err != nil {
			return err
		}
		oracle.Sleep(ctx, off)
		return s.insist(ctx, func(ctx context.Context) error {
			_, err := s.client.AuthEnable(ctx)
			return err
		})
	})
}

// narrowed takes the right to read a prefix away, which counts once the watch is opened
// again, and gives it back.
func (s *system) narrowed() oracle.Fault {
	return s.serverFault("role narrowed", func(ctx context.Context, random *rand.Rand) error {
		prefix := []string{prefixApp, prefixLocks, prefixElections}[random.IntN(3)]
		lasts := time.Second + time.Duration(random.Int64N(int64(4*time.Second)))
		if _, err := s.client.RoleRevokePermission(ctx, observer, prefix, clientv3.GetPrefixRangeEnd(prefix)); err != nil {
			return err
		}
		err := s.etcd.Members[0].Restart(ctx)
		oracle.Sleep(ctx, lasts)
		return errors.Join(err, s.insist(ctx, func(ctx context.Context) error { return s.permit(ctx, prefix) }))
	})
}

// rotated gives the collector's user another password, and later its file. The tokens of
// before end with etcd.
func (s *system) rotated() oracle.Fault {
	return s.serverFault("password rotated", func(ctx context.Context, random *rand.Rand) error {
		later := time.Duration(random.Int64N(int64(2 * time.Second)))
		password := fmt.Sprintf("rotated-%d", random.Uint32())
		if _, err := s.client.UserChangePassword(ctx, observer, password); err != nil {
			return err
		}
		if err := s.etcd.Members[0].Restart(ctx); err != nil {
			return err
		}
		oracle.Sleep(ctx, later)
		return os.WriteFile(s.password, []byte(password), 0o600)
	})
}
