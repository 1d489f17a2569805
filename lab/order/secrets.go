// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// knownSecrets are those that the example knows, by what they are.
func (e *Environment) knownSecrets() (map[string]string, error) {
	secrets := map[string]string{
		"the collector's token":    e.Token,
		"vault's root token":       e.Lab.Vault.RootToken,
		"the payment key":          "example-payment-key",
		"the database password":    "example-password",
		"the number of a card":     goodCard,
		"the number of a bad card": declinedCard,
	}
	for i, key := range e.Lab.Vault.UnsealKeys {
		secrets[fmt.Sprintf("unseal key %d", i)] = key
	}
	id, err := os.ReadFile(filepath.Join(e.secrets, "secret_id"))
	if err != nil {
		return nil, fmt.Errorf("read the worker's secret ID: %w", err)
	}
	secrets["the worker's secret ID"] = string(bytes.TrimSpace(id))
	return secrets, nil
}

// noSecret searches the traces of all orders, the events, and the logs of servers,
// collector and programs.
func noSecret(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	secrets, err := e.knownSecrets()
	if err != nil {
		return "", err
	}
	places := map[string][]byte{}
	spans := 0
	for _, report := range reports {
		for _, placed := range report.Orders {
			trace, err := e.trace(ctx, placed)
			if err != nil {
				return "", err
			}
			spans += len(trace)
			places["trace "+placed.TraceID] = fmt.Append(nil, trace)
		}
	}
	files, err := filepath.Glob(filepath.Join(e.Lab.Dir, "*.log"))
	if err != nil {
		return "", fmt.Errorf("list the logs: %w", err)
	}
	files = append(files, string(e.Events))
	for _, file := range files {
		if places[file], err = os.ReadFile(file); err != nil {
			return "", fmt.Errorf("search for secrets: %w", err)
		}
	}
	if err := leaked(secrets, places); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d secrets are in none of %d spans and %d files", len(secrets), spans, len(files)), nil
}

// leaked is an error that names a secret and the place that has it, but does not hold it.
func leaked(secrets map[string]string, places map[string][]byte) error {
	for place, content := range places {
		for what, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				return fmt.Errorf("%s is in %s", what, place)
			}
		}
	}
	return nil
}
