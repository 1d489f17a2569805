// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/distribution/dashboards"
	"github.com/otelcol-infra/otelcol-infra/lab/demo"
	"github.com/otelcol-infra/otelcol-infra/lab/page"
	"github.com/otelcol-infra/otelcol-infra/lab/workload"
)

// The page in a real browser: every panel has data, what is open is listed, and an exemplar leads to its trace.
// PAGE_SCREENSHOT=file.png keeps a snapshot of it.
func TestThePageInABrowser(t *testing.T) {
	executable := chromium(t)
	s := play(t)
	const pace = 3 * demo.Interval
	require.NoError(t, (&workload.Workload{Lab: s.Lab, OTLP: s.OTLP, Audit: s.Audit, Shop: s.Shop, Pace: pace, Progress: func(line string) { t.Log(line) }}).Run(t.Context()))
	leaveOpen(t, s)

	served, err := page.Start(t.Context(), page.Sources{Jaeger: string(s.Jaeger), Prometheus: string(s.Prometheus)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	b := openBrowser(t, executable)

	b.do(chromedp.Navigate(served.URL))
	var panels []string // as selectors
	for _, d := range dashboards.All() {
		if d.Name == "order" {
			continue // Nobody orders here.
		}
		for _, p := range d.Panels {
			panels = append(panels, fmt.Sprintf("section:has(#otelcol-infra-%s) [data-panel=%q]", d.Name, p.Title))
		}
	}
	require.NotEmpty(t, panels)
	encoded, err := json.Marshal(panels)
	require.NoError(t, err)
	b.await("data in all panels", fmt.Sprintf(`%s.every((panel) => document.querySelector(panel)?.dataset.drawn === 'yes')`, encoded))
	b.await("the incident of the service", `document.querySelector('[data-section="Open incidents"]')?.innerText.includes('consul.service.incident')`)
	b.await("the lock that is held", fmt.Sprintf(`/%s\s+holds/.test(document.querySelector('[data-section="Locks"]')?.innerText)`, strings.ReplaceAll(workload.Lock, "/", `\/`)))
	b.await("that a check is critical", `[...document.querySelectorAll('.states .bad')].some((e) => /^[1-9]\d* of \d+ checks critical$/.test(e.innerText))`)
	for section, what := range map[string]string{
		"Last incidents": "vault.sealed", "Longest waits for locks": workload.Lock, "Slowest requests": workload.Application,
	} {
		row := `document.querySelector('[data-section="` + section + `"] tbody')?.innerText`
		b.await(what+" among: "+section, row+`?.includes('`+what+`')`)
	}
	b.await("no workflow", `document.querySelector('[data-section="Running workflows"]')?.innerText.includes('No workflow runs')`)
	assert.Empty(t, b.text(`[...document.querySelectorAll('.error')].map((e) => e.innerText).join('; ')`))
	b.screenshot("")

	const exemplar = `[data-panel="Wait for locks, 95th percentile"] button[data-trace]` // of the longest wait
	trace := b.text(`document.querySelector('` + exemplar + `').dataset.trace`)
	b.do(chromedp.Click(exemplar))
	shown := `document.querySelector('[data-trace-open="` + trace + `"]')?.innerText ?? ''`
	for _, span := range []string{"etcd.lock.attempt", "etcd.lock.wait", "etcd.lock.hold"} {
		b.await("the span "+span, `(`+shown+`).includes('`+span+`')`)
	}
	link := b.text(`location.href`)
	assert.Contains(t, link, "?trace="+trace)
	b.screenshot("-trace")
	b.do(chromedp.Click(`//div[@aria-label="time range"]/button[text()="1h"]`))
	assert.Equal(t, link+"&range=1h", b.text(`location.href`), "both are kept")

	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(link))
	b.await("the trace of the link", `(`+shown+`).includes('etcd.lock.hold')`)
	assert.Equal(t, "15m", b.text(`document.querySelector('.ranges [aria-pressed="true"]').innerText`), "of a link without a range")
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(link+"&range=1h"))
	b.await("the trace and the range of the link", `(`+shown+`).includes('etcd.lock.hold') && document.querySelector('.ranges [aria-pressed="true"]').innerText === '1h'`)

	b.do(chromedp.Navigate(served.URL))
	b.await("the incident", `document.querySelector('[data-section="Open incidents"] tbody button') !== null`)
	b.do(chromedp.Click(`[data-section="Open incidents"] tbody button`))
	b.await("a span of the incident that lasts", `document.querySelector('[data-trace-open]')?.innerText.includes('(open) consul.check.outage')`)
	b.screenshot("-incident")

	b.do(chromedp.Navigate(served.URL + "/?trace=" + absent))
	b.await("that a trace is absent", `document.querySelector('[data-trace-open]')?.innerText.includes('Jaeger does not have this trace')`)
	assert.Empty(t, b.text(`[...document.querySelectorAll('.error')].map((e) => e.innerText).join('; ')`))
}

// absent is the ID of a trace that Jaeger does not have.
const absent = "0000000000000000000000000000dead"

// leaveOpen fails a check and takes a lock, and ends neither.
func leaveOpen(t *testing.T, s *demo.Environment) {
	t.Helper()
	consul, err := api.NewClient(&api.Config{Address: s.Lab.Consul.Addr})
	require.NoError(t, err)
	require.NoError(t, consul.Agent().FailTTL(workload.Service, "by hand"))
	body := fmt.Sprintf(`{"name":%q}`, base64.StdEncoding.EncodeToString([]byte(workload.Lock)))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Lab.Etcd.Endpoints[0]+"/v3/lock/lock", bytes.NewBufferString(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// chromium returns the path of a browser.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs servers, the collector and a browser; run make test")
	}
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium: install chromium or chromium-headless-shell, or set CHROMIUM to its path")
	return ""
}

// browser has one window.
type browser struct {
	t   *testing.T
	ctx context.Context
}

// openBrowser opens a window. The test fails at each error on the console and each request that fails.
func openBrowser(t *testing.T, executable string) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(executable), chromedp.WindowSize(1280, 900))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root.
	}
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, closeWindow := chromedp.NewContext(allocator)
	b := &browser{t, ctx}
	var lock sync.Mutex
	var faults []string
	t.Cleanup(func() {
		closeWindow()
		end()
		lock.Lock()
		defer lock.Unlock()
		assert.Empty(t, faults, "what the browser reports")
	})
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		if fault := faultOf(event); fault != "" && !strings.Contains(fault, absent) {
			lock.Lock()
			defer lock.Unlock()
			faults = append(faults, fault)
		}
	}))
	b.do(chromedp.EmulateViewport(1280, 900))
	return b
}

func faultOf(event any) string {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var texts []string
			for _, argument := range e.Args {
				texts = append(texts, fmt.Sprint(argument.Value, " ", argument.Description))
			}
			return "console: " + strings.Join(texts, " ")
		}
	case *runtime.EventExceptionThrown:
		return "exception: " + fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.Exception)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError {
			return "log: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventLoadingFailed:
		if !e.Canceled {
			return "request: " + e.ErrorText
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= http.StatusBadRequest {
			return fmt.Sprintf("request: %d %s", e.Response.Status, e.Response.URL)
		}
	}
	return ""
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, soon)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...))
}

// text returns what a JavaScript expression gives.
func (b *browser) text(expression string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, soon)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	require.NoError(b.t, err)
	return text
}

// await waits until a JavaScript expression is true.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, soon)
	defer cancel()
	until := chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(soon), chromedp.WithPollingInterval(200*time.Millisecond))
	err := chromedp.Do(ctx, until)
	for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "Cannot find context") { // It was that of the page before.
		err = chromedp.Do(ctx, until)
	}
	if err != nil {
		require.NoError(b.t, err, "%s\nthe text of the page:\n%s", what, b.text(`document.body.innerText`))
	}
}

// screenshot keeps a snapshot, if it is asked for.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	path := os.Getenv("PAGE_SCREENSHOT")
	if path == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, soon)
	defer cancel()
	time.Sleep(2 * time.Second) // Charts fade in.
	snapshot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(strings.TrimSuffix(path, ".png")+name+".png", snapshot, 0o600))
}
