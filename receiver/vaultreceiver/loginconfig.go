// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/internal/tokenfile"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// serviceAccountToken is where Kubernetes puts the token of a pod's account.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" // #nosec G101 -- a path

// AppRoleConfig is a login with the auth method approle.
type AppRoleConfig struct {
	// Mount is where the auth method is mounted, below auth/.
	Mount string `mapstructure:"mount"`

	RoleID configopaque.String `mapstructure:"role_id"`

	// SecretID or the file that holds it, which is read at every login.
	SecretID     configopaque.String `mapstructure:"secret_id"`
	SecretIDFile string              `mapstructure:"secret_id_file"`
}

// KubernetesConfig is a login with the auth method kubernetes.
type KubernetesConfig struct {
	// Mount is where the auth method is mounted, below auth/.
	Mount string `mapstructure:"mount"`

	// Role is the name of the role in Vault.
	Role string `mapstructure:"role"`

	// JWTFile holds the token of the pod's service account. It is read at every
	// login, as Kubernetes rotates it.
	JWTFile string `mapstructure:"jwt_file"`
}

// OwnTokenConfig is what is told of the token that the receiver itself uses.
type OwnTokenConfig struct {
	// Enabled has the token looked up each minute.
	Enabled bool `mapstructure:"enabled"`

	// ExpiryWarning is how long before the token's end it is told. It is less
	// for a token that the receiver keeps alive itself.
	ExpiryWarning time.Duration `mapstructure:"expiry_warning"`
}

// validateLogin checks that there is at most one way to a token. When there is
// none, the environment variable VAULT_TOKEN counts.
func (c *Config) validateLogin() error {
	var ways []string
	for _, way := range []struct {
		key string
		set bool
	}{
		{"token", c.Token != ""},
		{"token_file", c.TokenFile != ""},
		{"approle", c.AppRole != nil},
		{"kubernetes", c.Kubernetes != nil},
	} {
		if way.set {
			ways = append(ways, way.key)
		}
	}
	switch {
	case len(ways) == 2:
		return fmt.Errorf("%s and %s are both set: keep one of them", ways[0], ways[1])
	case len(ways) > 2:
		return fmt.Errorf("%s are all set: keep one of them", strings.Join(ways, ", "))
	case c.AppRole != nil:
		return c.AppRole.check()
	case c.Kubernetes != nil:
		return c.Kubernetes.check()
	default:
		return c.token().Validate()
	}
}

func (c *AppRoleConfig) check() error {
	var noRole, noSecret error
	if c.RoleID == "" {
		noRole = errors.New("approle::role_id is empty: set it to the role ID of the receiver's role")
	}
	if c.SecretID == "" && c.SecretIDFile == "" {
		noSecret = errors.New("approle::secret_id is empty: set it, or approle::secret_id_file")
	}
	return errors.Join(checkMount("approle::mount", c.Mount), noRole, noSecret, c.secret().Validate())
}

func (c *AppRoleConfig) secret() tokenfile.Source {
	return tokenfile.Source{Token: c.SecretID, File: c.SecretIDFile, Name: "approle::secret_id"}
}

func (c *KubernetesConfig) check() error {
	var noRole error
	if c.Role == "" {
		noRole = errors.New("kubernetes::role is empty: set it to the name of the receiver's role in vault")
	}
	return errors.Join(checkMount("kubernetes::mount", c.Mount), noRole, c.jwt().Validate())
}

func (c *KubernetesConfig) jwt() tokenfile.Source {
	return tokenfile.Source{File: cmp.Or(c.JWTFile, serviceAccountToken), Name: "kubernetes::jwt"}
}

func checkMount(key, mount string) error {
	if strings.HasPrefix(strings.Trim(mount, "/")+"/", "auth/") {
		return fmt.Errorf("%s begins with auth/: write only what follows", key)
	}
	return nil
}

// check checks what is told of the token.
func (c OwnTokenConfig) check() error {
	return configcheck.Duration("own_token::expiry_warning", c.ExpiryWarning, "24h")
}

// source returns the way that is set, and the token of a way that needs no
// login: empty when there is none.
func (c *Config) source() (metadata.AttributeVaultOwnTokenSource, tokenfile.Source) {
	switch {
	case c.AppRole != nil:
		return metadata.AttributeVaultOwnTokenSourceApprole, tokenfile.Source{}
	case c.Kubernetes != nil:
		return metadata.AttributeVaultOwnTokenSourceKubernetes, tokenfile.Source{}
	case c.TokenFile != "":
		return metadata.AttributeVaultOwnTokenSourceTokenFile, c.token()
	case c.Token != "":
		return metadata.AttributeVaultOwnTokenSourceToken, c.token()
	default:
		return metadata.AttributeVaultOwnTokenSourceEnvironment,
			tokenfile.Source{Token: configopaque.String(os.Getenv(api.EnvVaultToken))}
	}
}
