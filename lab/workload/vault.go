// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"time"

	vault "github.com/hashicorp/vault/api"
)

// What is in Vault.
const (
	PKIMount = "pki" // a certificate authority, with a role that issues certificates with leases
	PKIRole  = "web"
	User     = "ann" // logs in at auth/userpass

	CertificateLeases = PKIMount + "/issue"    // prefix of the lease that expires
	LoginLeases       = "auth/userpass"        // prefix of the lease that is renewed and revoked
	VaultLeases       = 2                      // that come and go
	password          = "correct horse staple" // of the user
)

// prepareVault makes the certificate authority and the user.
func (s *Workload) prepareVault(ctx context.Context) error {
	client, err := s.Lab.Vault.Client(0)
	if err != nil {
		return err
	}
	longest := vault.MountConfigInput{MaxLeaseTTL: "8760h"}
	if err := client.Sys().MountWithContext(ctx, PKIMount, &vault.MountInput{Type: "pki", Config: longest}); err != nil {
		return fmt.Errorf("mount %s: %w", PKIMount, err)
	}
	if err := client.Sys().EnableAuthWithOptionsWithContext(ctx, "userpass", &vault.EnableAuthOptions{Type: "userpass"}); err != nil {
		return fmt.Errorf("enable userpass: %w", err)
	}
	for _, write := range []struct {
		path string
		data map[string]any
	}{
		{PKIMount + "/root/generate/internal", map[string]any{"common_name": "Demo CA", "key_type": "ec", "ttl": "720h"}},
		{PKIMount + "/roles/" + PKIRole, map[string]any{
			"allowed_domains": "example", "allow_subdomains": true, "key_type": "ec", "generate_lease": true,
		}},
	} {
		if _, err := client.Logical().WriteWithContext(ctx, write.path, write.data); err != nil {
			return fmt.Errorf("write %s: %w", write.path, err)
		}
	}
	return nil
}

// leaseVault has one lease expire, and another be renewed and then revoked.
func (s *Workload) leaseVault(ctx context.Context) error {
	client, err := s.Lab.Vault.Client(0)
	if err != nil {
		return err
	}
	ttl := max(2*s.Pace, 2*time.Second).Truncate(time.Second)
	s.report(fmt.Sprintf("vault: a certificate is issued, whose lease expires after %s", ttl))
	issued, err := client.Logical().WriteWithContext(ctx, CertificateLeases+"/"+PKIRole, map[string]any{
		"common_name": "web.example", "ttl": ttl.String(),
	})
	if err != nil {
		return fmt.Errorf("issue a certificate: %w", err)
	}
	expires := time.Now().Add(ttl)
	_, err = client.Logical().WriteWithContext(ctx, LoginLeases+"/users/"+User, map[string]any{"password": password, "token_ttl": ttl.String()})
	if err != nil {
		return fmt.Errorf("make the user %s: %w", User, err)
	}
	s.report(fmt.Sprintf("vault: %s logs in, and renews the token", User))
	login, err := client.Logical().WriteWithContext(ctx, LoginLeases+"/login/"+User, map[string]any{"password": password})
	if err != nil {
		return fmt.Errorf("log in as %s: %w", User, err)
	}
	client.SetToken(login.Auth.ClientToken)
	if err := pause(ctx, s.Pace); err != nil {
		return err
	}
	if _, err := client.Auth().Token().RenewSelfWithContext(ctx, 0); err != nil {
		return fmt.Errorf("renew the token of %s: %w", User, err)
	}
	if err := pause(ctx, s.Pace); err != nil {
		return err
	}
	s.report(fmt.Sprintf("vault: %s revokes the token", User))
	if err := client.Auth().Token().RevokeSelfWithContext(ctx, ""); err != nil {
		return fmt.Errorf("revoke the token of %s: %w", User, err)
	}
	return s.gone(ctx, issued.LeaseID, expires)
}

// gone waits until a lease that expires has gone.
func (s *Workload) gone(ctx context.Context, lease string, expires time.Time) error {
	client, err := s.Lab.Vault.Client(0)
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Until(expires)); err != nil {
		return err
	}
	for {
		if _, err := client.Sys().LookupWithContext(ctx, lease); err != nil {
			return ctx.Err() // Vault knows it no more.
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// vault has leases come and go, and then seals the server: a sealed one revokes
// nothing.
func (s *Workload) vault(ctx context.Context) error {
	if s.Audit != "" { // Somebody observes.
		if err := s.callVault(ctx); err != nil {
			return err
		}
	}
	if err := s.leaseVault(ctx); err != nil {
		return err
	}
	if err := pause(ctx, s.Pace); err != nil { // The observer looks at the leases in its own time.
		return err
	}
	return s.sealVault(ctx)
}

func (s *Workload) sealVault(ctx context.Context) error {
	s.report("vault: is sealed")
	if err := s.Lab.Vault.Seal(ctx); err != nil {
		return err
	}
	if err := pause(ctx, s.Pace); err != nil {
		return err
	}
	s.report("vault: is unsealed")
	if err := s.Lab.Vault.Unseal(ctx); err != nil {
		return err
	}
	return pause(ctx, s.Pace) // What is shown then is as it is.
}
