// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// ErrAnotherCluster is the error of an answer of another cluster than the one before.
var ErrAnotherCluster = errors.New("etcd is another cluster than before")

// ErrDisconnected is the error of a watch that was open and has lost its connection.
var ErrDisconnected = errors.New("the watch has lost its connection")

// Denied reports whether etcd refused a request as the user may not make it.
func Denied(err error) bool { return errors.Is(err, rpctypes.ErrPermissionDenied) }

// Compacted reports whether etcd no longer has the history that was requested.
func Compacted(err error) bool { return errors.Is(err, rpctypes.ErrCompacted) }

// FutureRevision reports whether etcd does not have the requested revision yet, as
// after a backup was restored.
func FutureRevision(err error) bool { return errors.Is(err, rpctypes.ErrFutureRev) }

// Explain says what to do about a refusal.
func Explain(err error) error {
	switch {
	case Denied(err):
		return fmt.Errorf("%w: the user needs read of the whole prefix", err)
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("%w: check username and password", err)
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("%w: set username and password", err)
	default:
		return err
	}
}

// hint says what a connection that breaks may lack. A server that misses a
// certificate hangs up, and only sometimes is its reason read before.
func (c *Client) hint(err error) error {
	if err == nil || !c.options.Anonymous {
		return err
	}
	for _, sign := range []string{"certificate required", "broken pipe", "connection reset", "error reading server preface"} {
		if strings.Contains(err.Error(), sign) {
			return fmt.Errorf("%w: if etcd asks for a client certificate, set tls::cert_file and tls::key_file", err)
		}
	}
	return err
}

func loggedOut(err error) bool {
	for _, sign := range []error{rpctypes.ErrAuthFailed, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return false
}
