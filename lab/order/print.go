// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
)

// printResults writes what happened in each step and where to find it, and what shows each claim.
func printResults(out io.Writer, e *Environment, reports map[string]Report, results []Result) {
	for _, s := range steps {
		report, ok := reports[s.name]
		if !ok {
			continue
		}
		fmt.Fprintf(out, "\n%s: %s (%s)\n  where to find it: %s\n", s.name, s.what, report.End.Sub(report.Begin).Round(100*time.Millisecond), s.where)
		for _, placed := range report.Orders {
			line := fmt.Sprintf("  %s %d %s %6s  %s  %s", placed.ID, placed.Code, placed.Status,
				placed.End.Sub(placed.Begin).Round(10*time.Millisecond), e.link(placed.TraceID), strings.Join(strings.Fields(placed.Reason), " "))
			fmt.Fprintln(out, strings.TrimRight(line, " "))
		}
	}
	fmt.Fprintln(out)
	for _, r := range results {
		if r.Err != nil {
			fmt.Fprintf(out, "MISSING  %v\n", r.Err)
		} else {
			fmt.Fprintf(out, "ok       %s\n           %s\n", r.Claim, r.Evidence)
		}
	}
	fmt.Fprintln(out)
}

// invite says what can be tried by hand while the example stays up.
func (e *Environment) invite(out io.Writer) {
	fmt.Fprintf(out, `
Open %s: what is open now, metrics with their exemplars, traces. Ctrl-C here, or bin/lab down elsewhere, ends everything.
Try it by hand in another terminal:
  eval "$(bin/lab env)"
  place an order    curl -d '{"user":"ann","item":"pen","quantity":1,"card":"4111111111111111"}' $EDGE_URL/orders
                    its trace: %[1]s/?trace=<trace_id of the answer>
  a declined card   the same with a card that ends in 0002
  out of stock      the same with the item lamp
  hold the lock     curl -d '{"key":"%[2]s","value":"%[3]s"}' $ETCD_ENDPOINTS/v3/kv/put      (for 2 s, then place two orders at once)
  seal Vault        curl -X PUT -H "X-Vault-Token: $VAULT_TOKEN" $VAULT_ADDR/v1/sys/seal      (an order waits for half a minute)
  unseal it         curl -X PUT -d "{\"key\":\"$VAULT_UNSEAL_KEY\"}" $VAULT_ADDR/v1/sys/unseal
  Temporal's pages  %[4]s
`, e.Page, base64.StdEncoding.EncodeToString([]byte("/order/config/lock_hold")), base64.StdEncoding.EncodeToString([]byte("2s")), e.Lab.Temporal.UI)
}
