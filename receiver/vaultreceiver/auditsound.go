// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
)

// conditionTraceparent is the name of the condition of the header by which requests
// are in their callers' traces.
const conditionTraceparent = "header traceparent"

// auditSound finds out whether what comes is what is expected, and says what to do
// when it is not. Signs are given for each entry, so they cost next to nothing; the
// rest is for the loop of the stream.
type auditSound struct {
	condition string // its name
	wrong     error

	good, bad atomic.Bool // since the last look
	judge     audit.Sound
}

// saw gives a sign.
func (a *auditSound) saw(good bool) {
	sign := &a.bad
	if good {
		sign = &a.good
	}
	if !sign.Load() {
		sign.Store(true)
	}
}

func (a *auditSound) look(now time.Time, conditions *condition.Reporter) {
	var err error
	if !a.judge.Look(now, a.good.Swap(false), a.bad.Swap(false)) {
		err = a.wrong
	}
	conditions.Set(a.condition, err)
}

// entriesOf are those that come to a source, which a condition names.
func entriesOf(source string) *auditSound {
	return &auditSound{condition: "entries of " + source, wrong: fmt.Errorf(
		"what comes to %s is no audit entry: vault's device must have format=json and no prefix, and nobody else may send there", source)}
}

func entriesOfFiles() *auditSound {
	return &auditSound{condition: "entries of " + conditionFile, wrong: errors.New(
		"what comes to " + conditionFile + " is no audit entry: vault's device must have format=json and no prefix, and audit::file::include and exclude must leave nothing but what it writes, uncompressed")}
}

func traceparents() *auditSound {
	return &auditSound{condition: conditionTraceparent, wrong: errors.New(
		"the header traceparent is audited with hmac, so no request is in its caller's trace: run vault write sys/config/auditing/request-headers/traceparent hmac=false")}
}

// hashed begins a header that Vault has audited with HMAC.
const hashed = "hmac-sha256:"

// sawHeader gives a sign for an entry that came with a trace.
func (s *auditStream) sawHeader(e *audit.Entry) {
	if e.TraceParent != "" {
		s.traceparents.saw(!strings.HasPrefix(e.TraceParent, hashed))
	}
}
