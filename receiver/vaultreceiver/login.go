// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

const (
	// lockedOutAfter is longer than Vault counts the wrong logins with one
	// AppRole, of which the fifth in a row would lock out all who use the role.
	lockedOutAfter = 16 * time.Minute

	// refusedAfter is the pause between wrong logins that nobody counts.
	refusedAfter = time.Minute
)

// method is a way to log in.
type method struct {
	endpoint string
	read     func() (credentials, error) // at each login
	longest  time.Duration               // pause between two logins that are refused
	hint     string                      // what a refusal may mean
}

// credentials are what a login takes.
type credentials struct {
	body    map[string]string
	secrets []string // Vault may repeat them in its answer
}

// id tells two credentials apart. It is not for telling.
func (c credentials) id() [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.Join(c.secrets, "\x00")))
}

// method returns the way to log in that is set, or nil.
func (c *Config) method() *method {
	switch {
	case c.AppRole != nil:
		return c.AppRole.method()
	case c.Kubernetes != nil:
		return c.Kubernetes.method()
	default:
		return nil
	}
}

func (c *AppRoleConfig) method() *method {
	mount := strings.Trim(cmp.Or(c.Mount, "approle"), "/")
	return &method{
		endpoint: "auth/" + mount + "/login",
		longest:  lockedOutAfter,
		hint:     "check approle::role_id, approle::secret_id and approle::mount; after five wrong logins Vault locks the role out for a while",
		read: func() (credentials, error) {
			secret, err := c.secret().Read()
			if err != nil {
				return credentials{}, err
			}
			role := string(c.RoleID)
			return credentials{map[string]string{"role_id": role, "secret_id": secret}, []string{role, secret}}, nil
		},
	}
}

func (c *KubernetesConfig) method() *method {
	mount := strings.Trim(cmp.Or(c.Mount, "kubernetes"), "/")
	return &method{
		endpoint: "auth/" + mount + "/login",
		longest:  refusedAfter,
		hint:     "check kubernetes::role, kubernetes::mount, and which service accounts the role is for",
		read: func() (credentials, error) {
			jwt, err := c.jwt().Read()
			if err != nil {
				return credentials{}, err
			}
			return credentials{map[string]string{"role": c.Role, "jwt": jwt}, []string{jwt}}, nil
		},
	}
}

// logIn logs in. The API has no token.
func (m *method) logIn(ctx context.Context, with credentials, to vaultAPI) (*api.SecretAuth, error) {
	body, err := json.Marshal(with.body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.endpoint, err)
	}
	secret, err := parseSecret(to.write(ctx, m.endpoint, body))
	if err != nil {
		return nil, m.explain(with, err)
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return nil, fmt.Errorf("%s: the answer holds no token, check endpoint, and that logins need no second factor", m.endpoint)
	}
	if secret.Auth.LeaseDuration <= 0 { // A login gives no token without an end.
		return nil, fmt.Errorf("%s: %w: it lacks auth.lease_duration", m.endpoint, errForeign)
	}
	return secret.Auth, nil
}

// errRefused is the error of a login with credentials that Vault does not take.
var errRefused = errors.New("vault refuses the login")

// explain says in one line what the API's own error says in many, without the
// credentials.
func (m *method) explain(with credentials, err error) error {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		return explain(m.endpoint, "update", err)
	}
	told := *answer
	told.Errors = slices.Clone(answer.Errors)
	for i, said := range answer.Errors {
		for _, secret := range with.secrets {
			said = strings.ReplaceAll(said, secret, "[REDACTED]")
		}
		told.Errors[i] = said
	}
	if told.RawError || told.Errors == nil || told.StatusCode != http.StatusBadRequest && told.StatusCode != http.StatusForbidden {
		return explain(m.endpoint, "update", &told)
	}
	return fmt.Errorf("%s: %w: status %d: %s (%s)", m.endpoint, errRefused, told.StatusCode, sayAll(told.Errors), m.hint)
}

func sayAll(errs []string) string {
	return strings.Join(strings.Fields(strings.Join(errs, ", ")), " ")
}

// checkNamespace says once that there are no namespaces where one is set: the
// community edition ignores it without a word, so that it would seem to work.
func (s *session) checkNamespace(ctx context.Context) {
	namespace := strings.Trim(s.client.namespace, "/")
	if s.checked || namespace == "" || namespace == "root" {
		return
	}
	var answer struct {
		Initialized *bool `json:"initialized" answer:"required"`
		Enterprise  *bool
	}
	if err := s.client.get(ctx, s.client.api, endpointHealth, nil, &answer); err != nil {
		return // It is tried again with the next turn.
	}
	s.checked = true
	if answer.Enterprise != nil && !*answer.Enterprise {
		s.logger.Warn("namespace is set, but this vault is the community edition, which ignores it: remove it")
	}
}
