// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
)

// DomainConfig is of a part of what Vault keeps that is read whole.
type DomainConfig struct {
	// Enabled asks for it.
	Enabled bool `mapstructure:"enabled"`

	// Interval is the time between two readings.
	Interval time.Duration `mapstructure:"interval"`
}

func (c DomainConfig) check(key string) error {
	if !c.Enabled {
		return nil
	}
	return configcheck.Duration(key+"::interval", c.Interval, "1m")
}

// The modes of `leases` and `tokens`.
const (
	ModeOff       = "off"       // nothing is asked
	ModeCount     = "count"     // their number
	ModePrefixes  = "prefixes"  // of leases: each one under the prefixes, too
	ModeAccessors = "accessors" // of tokens: each one, too
)

// FollowConfig is of what is listed at each interval, and then asked for one by
// one, within a budget.
type FollowConfig struct {
	// Interval is the time between two lists.
	Interval time.Duration `mapstructure:"interval"`

	// RequestsPerSecond bounds the requests, those for lists among them. Vault
	// audits each.
	RequestsPerSecond float64 `mapstructure:"requests_per_second"`

	// Limit is how many are followed at most.
	Limit int `mapstructure:"limit"`

	// ExpiryWarning is how long before its end one is told to expire, or a
	// quarter of its TTL if that is less. With 0 none is told to.
	ExpiryWarning time.Duration `mapstructure:"expiry_warning"`
}

func (c FollowConfig) check(key string) error {
	var budget error
	if !(c.RequestsPerSecond > 0) { // Written so that NaN is refused too.
		budget = fmt.Errorf("%s::requests_per_second is %v: set it to more than 0, such as 10", key, c.RequestsPerSecond)
	}
	return errors.Join(
		configcheck.Duration(key+"::interval", c.Interval, "1m"),
		budget,
		configcheck.Positive(key+"::limit", c.Limit),
		configcheck.Timeout(key+"::expiry_warning", c.ExpiryWarning, "1h"),
	)
}

// LeasesConfig is of the leases.
type LeasesConfig struct {
	// Mode is off, count or prefixes.
	Mode string `mapstructure:"mode"`

	// Prefixes are the beginnings of the IDs of the leases that are followed,
	// such as database/creds.
	Prefixes []string `mapstructure:"prefixes"`

	// Depth is how many levels below a prefix are looked into.
	Depth int `mapstructure:"depth"`

	// FullIDs tells the whole ID of a lease, instead of its prefix and a hash.
	// Whoever may revoke leases can revoke one whose ID is known.
	FullIDs bool `mapstructure:"full_ids"`

	FollowConfig `mapstructure:",squash"`
}

func (c LeasesConfig) check() error {
	if c.Mode != ModePrefixes {
		if len(c.Prefixes) > 0 && c.Mode == ModeCount {
			return errors.New("leases::prefixes is set, but leases::mode is count, which follows none: set leases::mode to prefixes")
		}
		return configcheck.OneOf("leases::mode", c.Mode, ModeOff, ModeCount, ModePrefixes)
	}
	var errs []error
	if len(c.Prefixes) == 0 {
		errs = append(errs, errors.New("leases::prefixes is empty: name beginnings of the IDs of leases, such as database/creds"))
	}
	for i, prefix := range c.Prefixes {
		if strings.Trim(prefix, "/") == "" {
			errs = append(errs, fmt.Errorf("leases::prefixes[%d] is empty: name the beginning of the IDs of leases, such as database/creds", i))
		}
		if strings.Contains(prefix, "*") || strings.HasPrefix(within(prefix), "sys/leases/") {
			errs = append(errs, fmt.Errorf("leases::prefixes[%d] is %s: name whole folders of IDs, such as database/creds, of which all is followed", i, prefix))
		}
		for _, other := range c.Prefixes[:i] {
			if one, all := within(prefix), within(other); strings.HasPrefix(one, all) || strings.HasPrefix(all, one) {
				errs = append(errs, fmt.Errorf("leases::prefixes has %s and %s, of which one is within the other: leave out the longer one", other, prefix))
			}
		}
	}
	return errors.Join(append(errs, configcheck.Positive("leases::depth", c.Depth), c.FollowConfig.check("leases"))...)
}

// within returns what all that is within a prefix begins with.
func within(prefix string) string { return strings.Trim(prefix, "/") + "/" }

// TokensConfig is of the tokens.
type TokensConfig struct {
	// Mode is off, count or accessors.
	Mode string `mapstructure:"mode"`

	// LookupDelay is how long after it was first listed a token is looked up. Vault
	// lists a token before it has a lease, and revokes one without a lease that is
	// looked up: who makes it would get one that is good for nothing. So it is no
	// shorter than a request may take, which is Vault's max_request_duration.
	LookupDelay time.Duration `mapstructure:"lookup_delay"`

	FollowConfig `mapstructure:",squash"`
}

func (c TokensConfig) check() error {
	switch c.Mode {
	case ModeCount:
		return configcheck.Duration("tokens::interval", c.Interval, "1m")
	case ModeAccessors:
		return errors.Join(configcheck.Duration("tokens::lookup_delay", c.LookupDelay, "90s"), c.FollowConfig.check("tokens"))
	}
	return configcheck.OneOf("tokens::mode", c.Mode, ModeOff, ModeCount, ModeAccessors)
}

// PKIConfig is of certificates.
type PKIConfig struct {
	// Mounts are the paths of the PKI secrets engines that are observed.
	Mounts []string `mapstructure:"mounts"`

	// Roles finds out which role a certificate was issued with, as far as that
	// can be concluded from what the roles allow.
	Roles bool `mapstructure:"roles"`

	// Lifetimes tells the life of each certificate as a span.
	Lifetimes bool `mapstructure:"lifetimes"`

	FollowConfig `mapstructure:",squash"`
}

func (c PKIConfig) check() error {
	if len(c.Mounts) == 0 {
		return nil
	}
	var errs []error
	seen := map[string]bool{}
	for i, mount := range c.Mounts {
		mount = strings.Trim(mount, "/")
		if mount == "" {
			errs = append(errs, fmt.Errorf("pki::mounts[%d] is empty: name the path of a PKI secrets engine, such as pki", i))
		} else if seen[mount] {
			errs = append(errs, fmt.Errorf("pki::mounts[%d] is %s, which is named before: name each mount once", i, mount))
		}
		seen[mount] = true
	}
	return errors.Join(append(errs, c.FollowConfig.check("pki"))...)
}

// checkDomains checks the settings of all domains.
func (c *Config) checkDomains() error {
	return errors.Join(
		c.Leases.check(),
		c.Tokens.check(),
		c.PKI.check(),
		c.Mounts.check("mounts"),
		c.Policies.check("policies"),
		c.AuditDevices.check("audit_devices"),
		c.Quotas.check("quotas"),
		c.LockedUsers.check("locked_users"),
		c.InFlightRequests.check("in_flight_requests"),
		c.Clients.check("clients"),
	)
}

// setDomains sets the defaults: what costs a request in an interval is on, and
// what costs one for each object is off, but for policies and quotas, of which
// there are few.
func (c *Config) setDomains() {
	follow := FollowConfig{Interval: time.Minute, RequestsPerSecond: 10, Limit: 20000, ExpiryWarning: time.Hour}
	c.Leases = LeasesConfig{Mode: ModeCount, Depth: 8, FollowConfig: follow}
	c.Tokens = TokensConfig{Mode: ModeCount, LookupDelay: 90 * time.Second, FollowConfig: follow}
	c.PKI = PKIConfig{Roles: true, FollowConfig: follow}
	c.PKI.Interval, c.PKI.ExpiryWarning = 10*time.Minute, 30*24*time.Hour
	each := func(interval time.Duration) DomainConfig { return DomainConfig{Enabled: true, Interval: interval} }
	c.Mounts, c.AuditDevices, c.Quotas, c.LockedUsers = each(time.Minute), each(time.Minute), each(time.Minute), each(time.Minute)
	c.Policies, c.Clients = each(5*time.Minute), each(10*time.Minute)
	c.InFlightRequests = each(10 * time.Second)
}
