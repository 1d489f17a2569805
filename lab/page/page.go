// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package page serves one local page over Prometheus and Jaeger: what is open now, the metrics with their exemplars,
// and the trace behind each of them.
package page

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/distribution/dashboards"
)

//go:embed assets
var assets embed.FS

// The page loads nothing from other hosts. Its components set styles in the document.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var traceID = regexp.MustCompile("^[0-9a-fA-F]{1,32}$")

// Sources are the URLs of the servers that the page reads from.
type Sources struct{ Jaeger, Prometheus string }

// New returns the page and what it asks for: the dashboards, what is open now, what has ended lately, and the query APIs
// of Prometheus and Jaeger below /prometheus and /jaeger. It answers only requests that name a loopback address, and
// never changes anything.
func New(sources Sources) (http.Handler, error) {
	prometheus, err := forward("Prometheus", sources.Prometheus, "/prometheus")
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	jaeger, err := forward("Jaeger", sources.Jaeger, "/jaeger")
	if err != nil {
		return nil, fmt.Errorf("jaeger: %w", err)
	}
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, fmt.Errorf("open the page: %w", err)
	}
	boards, err := json.Marshal(definitions())
	if err != nil {
		return nil, fmt.Errorf("encode the dashboards: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /dashboards", func(w http.ResponseWriter, _ *http.Request) { answer(w, boards) })
	mux.Handle("GET /now", now(sources))
	mux.Handle("GET /recent", recent(sources))
	for _, path := range []string{"query", "query_range", "query_exemplars"} {
		mux.Handle("GET /prometheus/api/v1/"+path, prometheus)
		mux.Handle("POST /prometheus/api/v1/"+path, prometheus) // Queries may be too long for a URL.
	}
	mux.HandleFunc("GET /jaeger/api/v3/traces/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !traceID.MatchString(r.PathValue("id")) {
			http.Error(w, "a trace ID has up to 32 hexadecimal digits", http.StatusBadRequest)
			return
		}
		jaeger.ServeHTTP(w, r)
	})
	return protect(mux), nil
}

// definition is a dashboard in the format of Perses, which knows no exemplars: their series stand beside it, by panel.
type definition struct {
	Dashboard any               `json:"dashboard"`
	Exemplars map[string]string `json:"exemplars"`
}

func definitions() []definition {
	var all []definition
	for _, d := range dashboards.All() {
		exemplars := map[string]string{}
		for i, p := range d.Panels {
			if p.Exemplars != "" {
				exemplars[dashboards.PanelName(i)] = p.Exemplars
			}
		}
		all = append(all, definition{d.Perses(), exemplars})
	}
	return all
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // The client is gone if this fails.
}

// forward passes requests on to a server, without the prefix of their path and without cookies or credentials.
func forward(name, target, prefix string) (http.Handler, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	if to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return nil, fmt.Errorf("%q is no URL: write it as http://127.0.0.1:9090", target)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("Authorization")
		},
		ModifyResponse: func(r *http.Response) error { // CORS is not the server's to grant here.
			for header := range r.Header {
				if strings.HasPrefix(header, "Access-Control-") {
					r.Header.Del(header)
				}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, name+" does not answer: "+err.Error(), http.StatusBadGateway)
		},
	}
	return http.StripPrefix(prefix, proxy), nil
}

// protect refuses requests that a page of another origin made, also by a name of its own for a loopback address.
func protect(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.Host) {
			http.Error(w, "this page is served on loopback addresses only", http.StatusForbidden)
			return
		}
		header := w.Header()
		header.Set("Content-Security-Policy", contentSecurityPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	}))
}

func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
