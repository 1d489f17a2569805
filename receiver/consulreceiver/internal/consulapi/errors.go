// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulapi

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
	"github.com/otelcol-infra/otelcol-infra/internal/redirect"
)

// maxExplanation is how many bytes of a server's refusal an error holds.
const maxExplanation = 256

// ErrForeign is the error of an answer that Consul would not give.
var ErrForeign = errors.New("the answer is not Consul's, check endpoint")

// Explain names the request that failed, and the likely cause where the error
// alone would puzzle.
func Explain(endpoint string, err error) error {
	var redirected *redirect.Error
	if errors.As(err, &redirected) {
		return fmt.Errorf("%s: %w", endpoint, redirected)
	}
	if jsonanswer.Foreign(err) {
		return fmt.Errorf("%s: %w: %w", endpoint, ErrForeign, err)
	}
	var refused api.StatusError
	if errors.As(err, &refused) {
		if len(refused.Body) > maxExplanation {
			refused.Body = strings.ToValidUTF8(refused.Body[:maxExplanation], "") + "…"
		}
		switch refused.Code {
		case http.StatusForbidden:
			if strings.Contains(refused.Body, "ACL not found") {
				return fmt.Errorf("%s: consul does not know the token, it is wrong, expired or deleted: check token, token_file: %w", endpoint, refused)
			}
			return fmt.Errorf("%s: the token may not read it, see Permissions in the receiver's README: %w", endpoint, refused)
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return fmt.Errorf("%s: consul is busy: %w", endpoint, refused)
		}
		return fmt.Errorf("%s: %w", endpoint, refused)
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%s: set tls::ca_file to the CA of consul's certificate: %w", endpoint, err)
	}
	return fmt.Errorf("%s: %w", endpoint, err)
}

// Unreachable reports whether there was no answer of Consul at all. One that is late
// may still come.
func Unreachable(err error) bool {
	var redirected *redirect.Error
	if errors.As(err, &redirected) {
		return redirected.Elsewhere()
	}
	var failed *url.Error
	return errors.As(err, &failed) && !failed.Timeout() && !errors.Is(err, context.Canceled)
}

// Refused reports whether the answer would be the same again: it is a redirect, or the
// error of a request that may not be made or is not known.
func Refused(err error) bool {
	var redirected *redirect.Error
	code := StatusCode(err)
	return errors.As(err, &redirected) ||
		code >= http.StatusBadRequest && code < http.StatusInternalServerError && code != http.StatusTooManyRequests
}

// StatusCode returns the HTTP status of a refusal, or 0.
func StatusCode(err error) int {
	var refused api.StatusError
	errors.As(err, &refused)
	return refused.Code
}
