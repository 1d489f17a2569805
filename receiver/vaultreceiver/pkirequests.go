// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// endpointMount tells whoever may use anything of a mount what it is.
const endpointMount = "sys/internal/ui/mounts"

// saysNoList is how Vault answers for an issuer that has no revocation list: it may
// not sign one, or is new.
const saysNoList = "unable to find CRL for issuer"

// maxNamed is how many roles, and how many issuers, of a PKI mount are read.
const maxNamed = 1000

// pkiEngine is what a mount is.
type pkiEngine struct {
	kind, path string
	maxTTL     time.Duration
}

// Mount returns what a mount is.
func (c *client) Mount(ctx context.Context, mount string) (pkiEngine, error) {
	var answer struct {
		Data struct {
			Type   string `json:"type" answer:"required"`
			Path   string `json:"path" answer:"required"`
			Config struct {
				MaxLeaseTTL *int64 `json:"max_lease_ttl" answer:"required"`
			} `json:"config"`
		} `json:"data"`
	}
	if err := c.do(ctx, call{endpoint: endpointMount, path: endpointMount + "/" + mount}, &answer); err != nil {
		return pkiEngine{}, err
	}
	data := answer.Data
	return pkiEngine{kind: data.Type, path: data.Path, maxTTL: time.Duration(*data.Config.MaxLeaseTTL) * time.Second}, nil
}

// serials are those that could be read, and the number of the others.
type serials struct {
	known   []state.Serial
	unknown int
}

// Certificates returns the serial numbers of the certificates that a mount keeps.
func (c *client) Certificates(ctx context.Context, endpoint string) (serials, error) {
	names, err := c.list(ctx, call{endpoint: endpoint})
	found := serials{known: make([]state.Serial, 0, len(names))}
	for _, name := range names {
		if serial, ok := state.ParseSerial(name); ok {
			found.known = append(found.known, serial)
		} else if !strings.HasSuffix(name, "/") {
			found.unknown++
		}
	}
	return found, err
}

// issued is a certificate as Vault keeps it.
type issued struct {
	text    string    // in PEM; empty: there is none
	revoked time.Time // zero: it is not
}

// Certificate returns a certificate.
func (c *client) Certificate(ctx context.Context, mount string, serial state.Serial) (issued, error) {
	var answer struct {
		Data struct {
			Certificate string `json:"certificate" answer:"required"`
			Revoked     *int64 `json:"revocation_time" answer:"required"`
			RevokedAt   string `json:"revocation_time_rfc3339"` // not of old revocations
		} `json:"data"`
	}
	err := c.do(ctx, call{endpoint: mount + "/cert/+", path: mount + "/cert/" + serial.String()}, &answer)
	if isAbsent(err) {
		return issued{}, nil
	}
	if err != nil {
		return issued{}, err
	}
	found := issued{text: answer.Data.Certificate}
	if at, parseErr := time.Parse(time.RFC3339Nano, answer.Data.RevokedAt); parseErr == nil {
		found.revoked = at
	} else if *answer.Data.Revoked > 0 {
		found.revoked = time.Unix(*answer.Data.Revoked, 0)
	}
	return found, nil
}

// Issuers returns the issuers of a mount, by their IDs.
func (c *client) Issuers(ctx context.Context, mount string) (map[string]state.IssuerInfo, error) {
	endpoint := mount + "/issuers"
	var answer struct {
		Data struct {
			Keys []string `json:"keys" answer:"required"`
			Info map[string]struct {
				Name   string `json:"issuer_name"`
				KeyID  string `json:"key_id"`
				Serial string `json:"serial_number"`
			} `json:"key_info" answer:"required"`
		} `json:"data"`
	}
	err := c.do(ctx, call{endpoint: endpoint, needs: "list", list: true}, &answer)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if found := len(answer.Data.Keys); found > maxNamed {
		return nil, fmt.Errorf("%s: there are %d, of which at most %d can be followed: have Vault tidy those that have expired", endpoint, found, maxNamed)
	}
	issuers := map[string]state.IssuerInfo{}
	for _, id := range answer.Data.Keys {
		info := answer.Data.Info[id]
		serial, _ := state.ParseSerial(info.Serial)
		issuers[id] = state.IssuerInfo{Name: info.Name, Serial: serial, Signs: info.KeyID != ""}
	}
	return issuers, nil
}

// Issuer returns the certificate of an issuer.
func (c *client) Issuer(ctx context.Context, mount, id string) (*x509.Certificate, error) {
	endpoint := mount + "/issuer/+"
	var answer struct {
		Data struct {
			Certificate string `json:"certificate" answer:"required"`
		} `json:"data"`
	}
	if err := c.do(ctx, call{endpoint: endpoint, path: mount + "/issuer/" + id}, &answer); err != nil {
		return nil, err
	}
	certificate, err := state.ParseCertificate(answer.Data.Certificate)
	if err != nil {
		return nil, fmt.Errorf("%s: that of %s %w", endpoint, id, err)
	}
	return certificate, nil
}

// RevocationList returns the revocation list of an issuer; a zero one when there
// is none.
func (c *client) RevocationList(ctx context.Context, mount, id string) (state.RevocationList, error) {
	endpoint := mount + "/issuer/+/crl"
	var answer struct {
		Data struct {
			CRL string `json:"crl" answer:"required"`
		} `json:"data"`
	}
	err := c.do(ctx, call{endpoint: endpoint, path: mount + "/issuer/" + id + "/crl", absent: saysNoList}, &answer)
	if refusedWith(err) == http.StatusInternalServerError && strings.Contains(err.Error(), saysNoList) {
		return state.RevocationList{}, nil
	}
	if err != nil {
		return state.RevocationList{}, err
	}
	list, err := state.ParseRevocationList(answer.Data.CRL)
	if err != nil {
		return list, fmt.Errorf("%s: that of %s %w", endpoint, id, err)
	}
	return list, nil
}

// Roles returns the names of the roles of a mount.
func (c *client) Roles(ctx context.Context, mount string) ([]string, error) {
	endpoint := mount + "/roles"
	names, err := c.list(ctx, call{endpoint: endpoint})
	if len(names) > maxNamed {
		return nil, fmt.Errorf("%s: there are %d, of which at most %d can be compared: set pki::roles to false", endpoint, len(names), maxNamed)
	}
	return names, err
}

// Role returns what a role allows; known is false when it is gone.
func (c *client) Role(ctx context.Context, mount, name string) (role *state.Role, err error) {
	var answer struct {
		Data struct {
			state.Role
			KeyType string `json:"key_type" answer:"required"`
		} `json:"data"`
	}
	err = c.do(ctx, call{endpoint: mount + "/roles/+", path: mount + "/roles/" + name}, &answer)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	role = &answer.Data.Role
	role.KeyType = answer.Data.KeyType
	return role, nil
}
