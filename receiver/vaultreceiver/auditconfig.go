// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer/matcher"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-infra/otelcol-infra/internal/configcheck"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// longestQueue is the largest queue that can be configured. With as many halves that
// wait it takes some gigabytes when it is full.
const longestQueue = 1_000_000

// longestLine is the largest longest_line that can be configured: some of such lines
// may be in memory at a time.
const longestLine = 1 << 30

// Bounds of the fields of data that can be named.
const (
	mostOfData    = 20
	longestOfData = 100 // bytes of a name
)

// AuditConfig is of the audit stream, which becomes a span for each request.
type AuditConfig struct {
	// Socket listens for audit devices of type socket.
	Socket configoptional.Optional[SocketConfig] `mapstructure:"socket"`

	// HTTP serves audit devices of type http, which OpenBao has.
	HTTP configoptional.Optional[HTTPConfig] `mapstructure:"http"`

	// File follows files of audit devices of type file.
	File configoptional.Optional[FileConfig] `mapstructure:"file"`

	// Trust is what becomes of the trace that a caller says it is in, in the
	// header traceparent: parent, link or ignore.
	Trust string `mapstructure:"trust"`

	// Redact are regular expressions. What they match in the path of a request
	// is replaced by a star. Tokens, accessors and IDs of leases are without any.
	Redact []string `mapstructure:"redact"`

	// Data are names of fields of the data of requests and of responses that are told
	// in events, as Vault wrote them: hashed, unless it was told not to.
	Data []string `mapstructure:"data"`

	// OwnRequests tells also those that receivers like this one make.
	OwnRequests bool `mapstructure:"own_requests"`

	// Wait is how long half of an exchange waits for the other.
	Wait time.Duration `mapstructure:"wait"`

	// Queue is how many entries wait for the pipeline, and how many for the other
	// half of their exchange, before entries are dropped.
	Queue int `mapstructure:"queue"`

	// LongestLine is how many bytes an entry has at most. Longer ones are dropped.
	LongestLine int `mapstructure:"longest_line"`
}

// SocketConfig is of a listener.
type SocketConfig struct {
	confignet.AddrConfig `mapstructure:",squash"`

	// Connections is how many there are at most. Each node of Vault has one for
	// each of its devices.
	Connections int `mapstructure:"connections"`
}

func (c *SocketConfig) check() error {
	var transport error
	switch c.Transport {
	case confignet.TransportTypeUnix:
		if c.Endpoint != "" && !filepath.IsAbs(c.Endpoint) && !strings.HasPrefix(c.Endpoint, "@") {
			transport = fmt.Errorf("audit::socket::endpoint is %q: set it to the whole path of a socket, such as /run/otelcol-infra/audit.sock, or audit::socket::transport to tcp", c.Endpoint)
		}
	case confignet.TransportTypeTCP, confignet.TransportTypeTCP4, confignet.TransportTypeTCP6:
		if filepath.IsAbs(c.Endpoint) {
			transport = fmt.Errorf("audit::socket::endpoint is %q: set it to an address such as 127.0.0.1:9200, or audit::socket::transport to unix", c.Endpoint)
		} else {
			transport = configcheck.HostPort("audit::socket::endpoint", c.Endpoint, "127.0.0.1:9200")
		}
	default:
		transport = fmt.Errorf("audit::socket::transport is %q: set it to tcp or unix", c.Transport)
	}
	return errors.Join(transport, configcheck.Positive("audit::socket::connections", c.Connections))
}

// HTTPConfig is of an HTTP server.
type HTTPConfig struct {
	// ServerConfig has the address, TLS and who may post. Its max_request_body_size
	// is an entry of longest_line by default.
	confighttp.ServerConfig `mapstructure:",squash"`

	// Connections is how many there are at most. More of them wait.
	Connections int `mapstructure:"connections"`
}

func (c *HTTPConfig) check() error {
	var errs []error
	switch c.NetAddr.Transport {
	case confignet.TransportTypeTCP, confignet.TransportTypeTCP4, confignet.TransportTypeTCP6:
		errs = append(errs, configcheck.HostPort("audit::http::endpoint", c.NetAddr.Endpoint, "127.0.0.1:9201"))
	default:
		errs = append(errs, fmt.Errorf("audit::http::transport is %q: set it to tcp", c.NetAddr.Transport))
	}
	if auth := c.Auth.Get(); auth != nil && auth.AuthenticatorID == (component.ID{}) {
		errs = append(errs, errors.New("audit::http::auth::authenticator is empty: name an extension that authenticates, such as bearertokenauth"))
	}
	if c.MaxRequestBodySize < 0 {
		errs = append(errs, fmt.Errorf("audit::http::max_request_body_size is %d: set it to a number of bytes, or leave it out", c.MaxRequestBodySize))
	}
	for i, algorithm := range c.CompressionAlgorithms {
		switch algorithm { // Others take memory that the body says.
		case "", "gzip", "zlib", "deflate":
		default:
			errs = append(errs, fmt.Errorf("audit::http::compression_algorithms[%d] is %q: set it to gzip, zlib or deflate", i, algorithm))
		}
	}
	return errors.Join(append(errs,
		configcheck.Positive("audit::http::connections", c.Connections),
		// None without end, or connections that do nothing would keep out others.
		configcheck.Duration("audit::http::read_timeout", c.ReadTimeout, "10s"),
		configcheck.Duration("audit::http::read_header_timeout", c.ReadHeaderTimeout, "10s"),
		configcheck.Duration("audit::http::write_timeout", c.WriteTimeout, "30s"),
		configcheck.Duration("audit::http::idle_timeout", c.IdleTimeout, "2m"),
	)...)
}

// FileConfig is of files that Vault writes. With storage, each entry of them is
// told, however often the collector is restarted or killed; without one, each
// start begins at StartAt, as it is not known how far they were read.
type FileConfig struct {
	// Include are patterns of paths, such as /var/log/vault/audit.log*, and Exclude
	// are of those that are left out. A file that is renamed is read on only if
	// its new name is included too.
	Include []string `mapstructure:"include"`
	Exclude []string `mapstructure:"exclude"`

	// StartAt is where files that are there at the first start are read from:
	// beginning or end. Those that appear later are read as a whole.
	StartAt string `mapstructure:"start_at"`

	// PollInterval is how often it is looked for what was written.
	PollInterval time.Duration `mapstructure:"poll_interval"`
}

func (c *FileConfig) check() error {
	var patterns error
	if len(c.Include) == 0 {
		patterns = errors.New("audit::file::include is empty: set it to the files that vault's audit device writes, such as [/var/log/vault/audit.log*]")
	} else if _, err := matcher.New(c.criteria()); err != nil {
		patterns = fmt.Errorf("audit::file is of files that cannot be looked for, check the patterns: %w", err)
	}
	return errors.Join(patterns,
		configcheck.OneOf("audit::file::start_at", c.StartAt, "beginning", "end"),
		configcheck.Duration("audit::file::poll_interval", c.PollInterval, "200ms"),
	)
}

func (c *FileConfig) criteria() matcher.Criteria {
	return matcher.Criteria{Include: c.Include, Exclude: c.Exclude}
}

// listens says whether there is a socket. An empty endpoint is none, so that it
// can be left to the environment.
func (c *AuditConfig) listens() bool { return c.Socket.HasValue() && c.Socket.Get().Endpoint != "" }

// serves says the same of the HTTP server.
func (c *AuditConfig) serves() bool { return c.HTTP.HasValue() && c.HTTP.Get().NetAddr.Endpoint != "" }

func (c *AuditConfig) enabled() bool { return c.listens() || c.serves() || c.File.HasValue() }

func (c *AuditConfig) check() error {
	if !c.enabled() {
		return nil
	}
	var errs []error
	if socket := c.Socket.Get(); socket != nil {
		errs = append(errs, socket.check())
	}
	if server := c.HTTP.Get(); server != nil {
		errs = append(errs, server.check())
	}
	if file := c.File.Get(); file != nil {
		errs = append(errs, file.check())
	}
	if c.Queue > longestQueue {
		errs = append(errs, fmt.Errorf("audit::queue is %d: set it to at most %d, as what waits is in memory", c.Queue, longestQueue))
	}
	if c.LongestLine > longestLine {
		errs = append(errs, fmt.Errorf("audit::longest_line is %d: set it to at most %d, as some lines are in memory at a time", c.LongestLine, longestLine))
	}
	for i, pattern := range c.Redact {
		if _, err := regexp.Compile(pattern); err != nil {
			errs = append(errs, fmt.Errorf("audit::redact[%d] is not a regular expression, mend it: %w", i, err))
		}
	}
	return errors.Join(append(errs,
		c.checkData(),
		configcheck.OneOf("audit::trust", c.Trust, string(telemetry.TrustParent), string(telemetry.TrustLink), string(telemetry.TrustIgnore)),
		configcheck.Duration("audit::wait", c.Wait, "2m"),
		configcheck.Positive("audit::queue", c.Queue),
		configcheck.Positive("audit::longest_line", c.LongestLine),
	)...)
}

func (c *AuditConfig) checkData() error {
	var errs []error
	if len(c.Data) > mostOfData {
		errs = append(errs, fmt.Errorf("audit::data has %d names: leave at most %d", len(c.Data), mostOfData))
	}
	for i, name := range c.Data {
		switch {
		case name == "":
			errs = append(errs, fmt.Errorf("audit::data[%d] is empty: set it to the name of a field of data, such as common_name", i))
		case len(name) > longestOfData:
			errs = append(errs, fmt.Errorf("audit::data[%d] has %d bytes: set it to a name of at most %d", i, len(name), longestOfData))
		case slices.Contains(c.Data[:i], name):
			errs = append(errs, fmt.Errorf("audit::data[%d] is %q, which is there already: leave it out", i, name))
		}
	}
	return errors.Join(errs...)
}

func defaultAudit() AuditConfig {
	socket := SocketConfig{AddrConfig: confignet.NewDefaultAddrConfig(), Connections: 100}
	socket.Transport = confignet.TransportTypeTCP
	server := HTTPConfig{ServerConfig: confighttp.NewDefaultServerConfig(), Connections: 100}
	server.ReadHeaderTimeout, server.ReadTimeout = 10*time.Second, 10*time.Second
	// OpenBao closes connections that were idle for 90 s. Were it done here, it could
	// be while OpenBao sends, which would lose the entry.
	server.IdleTimeout = 2 * time.Minute
	server.CompressionAlgorithms = []string{"", "gzip"}
	return AuditConfig{
		Socket: configoptional.Default(socket),
		HTTP:   configoptional.Default(server),
		File:   configoptional.Default(FileConfig{StartAt: "end", PollInterval: 200 * time.Millisecond}),
		Trust:  string(telemetry.TrustParent),
		Wait:   2 * time.Minute, Queue: 10_000, LongestLine: 16 << 20,
	}
}
