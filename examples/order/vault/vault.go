// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package vault is a client of Vault that logs in by AppRole and stays logged
// in, and that renews the leases of what it reads. Each request is a client
// span and carries traceparent: with an audit device, what Vault does is found in
// the trace of its caller.
package vault

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Pauses after a login that failed.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
)

// timeout of requests that have no other. A lost answer must not use up the time in which a lease can be renewed.
const timeout = 5 * time.Second

// ErrNoToken is the error of a request for which there is no valid token now: Run is logging in. Try again later.
var ErrNoToken = errors.New("not logged in to vault now")

var errInvalid = errors.New("the token is not valid any more")

// variables are those of VAULT_* that count. Vault's own package takes a proxy, a namespace, headers, a rate limit
// and more from others, and a wrong one of them would fail the program.
var variables = []string{"VAULT_ADDR", "VAULT_TOKEN", "VAULT_ROLE_ID_FILE", "VAULT_SECRET_ID_FILE"}

// Connect returns a client of the server at VAULT_ADDR that has no token yet.
// It unsets what else Vault's package would take from the environment.
func Connect() (*api.Client, error) {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "VAULT_") && !slices.Contains(variables, name) {
			if err := os.Unsetenv(name); err != nil {
				return nil, fmt.Errorf("unset %s: %w", name, err)
			}
		}
	}
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, fmt.Errorf("make the configuration of a client of vault: %w", config.Error)
	}
	config.Address = cmp.Or(os.Getenv("VAULT_ADDR"), "http://127.0.0.1:8200")
	config.Timeout = timeout
	config.MaxRetries = 0 // The callers retry, where it shows.
	config.HttpClient.Transport = otelhttp.NewTransport(config.HttpClient.Transport,
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + r.URL.Path }),
		otelhttp.WithSpanOptions(trace.WithAttributes(semconv.ServicePeerName("vault"))))
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of vault, check VAULT_ADDR: %w", err)
	}
	client.ClearToken() // NewClient takes VAULT_TOKEN
	return client, nil
}

// Client has a token and keeps it valid while Run runs.
type Client struct {
	api                      *api.Client
	roleIDFile, secretIDFile string
	session                  atomic.Pointer[session]
}

// session is the life of a token.
type session struct {
	ctx context.Context
	end context.CancelCauseFunc

	mu     sync.Mutex
	leases map[string]*api.Secret // by path; they end with the token
}

// New returns a client that logs in by AppRole, with the IDs in two files that are read at each login.
func New(roleIDFile, secretIDFile string) (*Client, error) {
	client, err := Connect()
	if err != nil {
		return nil, err
	}
	return &Client{api: client, roleIDFile: roleIDFile, secretIDFile: secretIDFile}, nil
}

// Run logs in, renews the token, and logs in again when it cannot be renewed
// any more or was revoked. When ctx ends, it revokes the token and with it the leases.
func (c *Client) Run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		secret, err := c.logIn(ctx)
		if err != nil {
			slog.Warn("login to vault failed and is retried", "pause", pause, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, maxPause)
			continue
		}
		pause = firstPause
		slog.Info("logged in to vault", "ttl_seconds", secret.Auth.LeaseDuration)
		current := &session{leases: map[string]*api.Secret{}}
		current.ctx, current.end = context.WithCancelCause(ctx)
		c.api.SetToken(secret.Auth.ClientToken)
		c.session.Store(current)
		err = c.renew(current.ctx, secret)
		current.end(err)
		if ctx.Err() == nil {
			slog.Warn("vault token is replaced by a new one", "reason", err)
		}
	}
	if c.session.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := c.api.Auth().Token().RevokeSelfWithContext(ctx, ""); err != nil {
		slog.Warn("vault token was not revoked and lives until it expires", "error", err)
	}
}

// logIn uses a client of its own: requests go on with the old token, if that is still valid.
func (c *Client) logIn(ctx context.Context) (*api.Secret, error) {
	roleID, err := os.ReadFile(c.roleIDFile)
	if err != nil {
		return nil, fmt.Errorf("read the role ID of vault's AppRole, check VAULT_ROLE_ID_FILE: %w", err)
	}
	method, err := approle.NewAppRoleAuth(strings.TrimSpace(string(roleID)), &approle.SecretID{FromFile: c.secretIDFile})
	if err != nil {
		return nil, fmt.Errorf("use vault's AppRole, check VAULT_ROLE_ID_FILE and VAULT_SECRET_ID_FILE: %w", err)
	}
	fresh, err := c.api.Clone()
	if err != nil {
		return nil, fmt.Errorf("make a client of vault: %w", err)
	}
	fresh.ClearToken()
	secret, err := fresh.Auth().Login(ctx, method)
	if err != nil {
		return nil, fmt.Errorf("log in to vault: %w", readable(err))
	}
	return secret, nil
}

// renew renews a token or a lease until ctx ends or it cannot be renewed any longer; the error says why.
func (c *Client) renew(ctx context.Context, secret *api.Secret) error {
	watcher, err := c.api.NewLifetimeWatcher(&api.LifetimeWatcherInput{
		Secret: secret,
		// A new one is better than a wait for the next try: that may come after the old one has expired.
		RenewBehavior: api.RenewBehaviorErrorOnErrors,
	})
	if err != nil {
		return fmt.Errorf("watch the lifetime of what vault gave: %w", err)
	}
	go watcher.Start()
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-watcher.RenewCh():
		case err := <-watcher.DoneCh():
			if err != nil {
				return fmt.Errorf("renew: %w", readable(err))
			}
			return errors.New("it is near the end of its longest life")
		}
	}
}

// statusError is an answer of Vault other than success, in one line.
type statusError struct {
	status int
	text   string
}

func (e statusError) Error() string { return fmt.Sprintf("vault answered %d: %s", e.status, e.text) }

// Denied is true for the error of a request that Vault's policies do not allow. Trying again does not help.
func Denied(err error) bool {
	var answer statusError
	return errors.As(err, &answer) && answer.status == http.StatusForbidden
}

// readable replaces Vault's answer of several lines.
func readable(err error) error {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		return err
	}
	return statusError{answer.StatusCode, strings.Join(strings.Fields(strings.Join(answer.Errors, "; ")), " ")}
}

// call makes a request. When the token was revoked, or expired while Vault could not be reached, Run is asked for a new
// one: Vault answers 403 then, too.
func (c *Client) call(ctx context.Context, request func() error) error {
	current := c.session.Load()
	if current == nil {
		return ErrNoToken
	}
	err := readable(request())
	if !Denied(err) {
		return err
	}
	if c.session.Load() == current {
		if _, lookup := c.api.Auth().Token().LookupSelfWithContext(ctx); !Denied(readable(lookup)) {
			return err
		}
		current.end(errInvalid)
	}
	return fmt.Errorf("%w: %w", ErrNoToken, errInvalid)
}

// Secret reads a secret of a KV secrets engine, version 2.
func (c *Client) Secret(ctx context.Context, mount, path string) (data map[string]any, err error) {
	var secret *api.KVSecret
	err = c.call(ctx, func() error {
		secret, err = c.api.KVv2(mount).Get(ctx, path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read secret %s of vault's %s: %w", path, mount, err)
	}
	return secret.Data, nil
}

// Credentials reads a leased secret once and renews its lease; it is read
// again when the lease or the token has ended.
func (c *Client) Credentials(ctx context.Context, path string) (data map[string]any, err error) {
	current := c.session.Load()
	if current == nil {
		return nil, ErrNoToken
	}
	current.mu.Lock()
	defer current.mu.Unlock() // also while reading, or two callers would have two leases
	if lease := current.leases[path]; lease != nil && current.ctx.Err() == nil {
		return lease.Data, nil
	}
	var secret *api.Secret
	err = c.call(ctx, func() error {
		secret, err = c.api.Logical().ReadWithContext(ctx, path)
		return err
	})
	if err == nil && secret == nil {
		err = errors.New("there is no such secret; write it first")
	}
	if err != nil {
		return nil, fmt.Errorf("read credentials %s of vault: %w", path, err)
	}
	if secret.LeaseID == "" {
		return secret.Data, nil
	}
	current.leases[path] = secret
	go func() {
		err := c.renew(current.ctx, secret)
		if current.ctx.Err() == nil {
			slog.Info("lease of vault is replaced when it is needed", "path", path, "reason", err)
		}
		current.mu.Lock()
		defer current.mu.Unlock()
		delete(current.leases, path)
	}()
	return secret.Data, nil
}

// Encrypt encrypts with a key of a transit secrets engine.
func (c *Client) Encrypt(ctx context.Context, mount, key, plaintext string) (ciphertext string, err error) {
	var secret *api.Secret
	err = c.call(ctx, func() error {
		secret, err = c.api.Logical().WriteWithContext(ctx, mount+"/encrypt/"+key,
			map[string]any{"plaintext": base64.StdEncoding.EncodeToString([]byte(plaintext))})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("encrypt with key %s of vault's %s: %w", key, mount, err)
	}
	if secret != nil {
		ciphertext, _ = secret.Data["ciphertext"].(string)
	}
	if ciphertext == "" {
		return "", fmt.Errorf("encrypt with key %s of vault's %s: the answer has no ciphertext", key, mount)
	}
	return ciphertext, nil
}
