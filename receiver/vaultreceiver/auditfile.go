// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer/attrs"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/operator"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/operator/helper"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
)

const (
	// conditionFile is the name of the condition of the files.
	conditionFile = "audit::file"

	// storedRest is the key of the entries that were read and are not told, beside
	// the offsets up to which was read.
	storedRest = "rest"

	// knownBy is how many of its first bytes a file is known by, also after a
	// rename; they are stored with its offset. Two that begin alike are taken for one.
	// Vault writes first whose request it is, with all policies of the token, and
	// then the ID that no other request has.
	knownBy = 8 << 10
)

// auditFile reads what Vault's audit devices of type file write. It reads on
// only when what it has read was told. How far that is, is stored after each
// round, together with what was read and is not told: halves of exchanges that
// wait, and what was refused until Shutdown. So nothing is lost, and a collector
// that is killed tells again, with the same IDs, what it has told since the last
// round.
type auditFile struct {
	stream  *auditStream
	manager *fileconsumer.Manager
	client  storage.Client // nil: there is no storage
	rest    []*audit.Entry // of an earlier process
	known   bool           // which files there are, to this process or an earlier one
	readers sync.Pool
	ending  atomic.Bool // It reads no more.

	// encoded is the rest of the stream as of a change of it. Only one goroutine uses
	// them at a time.
	encoded []byte
	change  int64 // zero: it is not encoded yet
}

// follow prepares to read the files. The error names the setting.
func (s *auditStream) follow(ctx context.Context, host component.Host) (*auditFile, error) {
	f := &auditFile{stream: s, readers: sync.Pool{New: func() any { return &audit.Reader{Data: s.cfg.Data} }}}
	cfg := *s.cfg.File.Get()
	if id := s.w.cfg.Storage; id != nil {
		client, err := checkpoint.Client(ctx, host, *id, component.KindReceiver, s.w.settings.ID, "audit")
		if err != nil {
			return nil, err
		}
		f.client, s.keepsHalves = client, true
		f.known, err = f.resume(ctx)
		s.w.Condition.Set(conditionFile, err)
		if f.known {
			cfg.StartAt = "beginning" // of what was not there before
		}
	}
	var err error
	if f.manager, err = cfg.reading(s.cfg.LongestLine).Build(s.w.settings.TelemetrySettings, f.emit); err != nil {
		return nil, fmt.Errorf("audit::file cannot be read, check its include and exclude: %w", err)
	}
	return f, nil
}

// reading returns how files are read. The end of a line that is too long is
// left out.
func (c *FileConfig) reading(longest int) fileconsumer.Config {
	reading := fileconsumer.NewConfig()
	reading.Criteria = c.criteria()
	reading.StartAt = c.StartAt
	reading.PollInterval = c.PollInterval
	reading.MaxLogSize = helper.ByteSize(longest) + 1
	reading.MaxLogSizeBehavior = fileconsumer.MaxLogSizeBehaviorTruncate
	reading.FingerprintSize = knownBy
	reading.FlushPeriod = 0 // Half a line waits for its end.
	reading.OnTruncate = fileconsumer.OnTruncateReadWholeFile
	reading.Resolver = attrs.Resolver{}
	return *reading
}

// resume takes in what an earlier process left, and says whether there was one.
func (f *auditFile) resume(ctx context.Context) (known bool, err error) {
	stored, err := f.client.Get(ctx, storedRest)
	switch {
	case err != nil:
		return false, fmt.Errorf("how far audit::file was read cannot be loaded, check the storage %s: %w", f.stream.w.cfg.Storage, err)
	case stored == nil:
		return false, nil
	}
	var rest []audit.Entry
	if err := json.Unmarshal(stored, &rest); err != nil {
		return true, fmt.Errorf("%s in storage %s cannot be decoded, was it saved by another version? requests that it is of are told by halves: %w",
			storedRest, f.stream.w.cfg.Storage, err)
	}
	for _, e := range rest {
		e.Data = e.Data.Only(f.stream.cfg.Data) // Other fields may have been named then.
		f.rest = append(f.rest, &e)
	}
	return true, nil
}

// run reads until ctx ends.
func (f *auditFile) run(ctx context.Context) {
	f.stream.put(f.rest)
	var offsets operator.Persister
	if f.client != nil {
		offsets = &auditOffsets{Client: f.client, file: f}
	}
	if err := f.manager.Start(offsets); err != nil {
		f.stream.w.Condition.Set(conditionFile, fmt.Errorf("audit::file cannot be read from where it was left, check the storage: %w", err))
		return
	}
	f.watchFiles(ctx)
	<-ctx.Done()
	f.ending.Store(true)
	_ = f.manager.Stop() // It never fails.
}

func (f *auditFile) close(ctx context.Context) error {
	if f == nil || f.client == nil {
		return nil
	}
	return f.client.Close(ctx)
}

// emit takes in lines of a file. After it, they count as read.
func (f *auditFile) emit(_ context.Context, lines [][]byte, _ map[string]any, _ int64, _ []int64) error {
	reader := f.readers.Get().(*audit.Reader)
	defer f.readers.Put(reader)
	entries := make([]*audit.Entry, 0, len(lines))
	for _, line := range lines {
		if len(line) > f.stream.cfg.LongestLine {
			f.stream.count(tooLong)
			continue
		}
		e, o := f.stream.read(reader, line)
		f.stream.count(o)
		f.stream.written.saw(o != malformed)
		if o == accepted {
			entries = append(entries, e)
		}
	}
	f.stream.put(entries)
	return nil
}

// auditOffsets stores how far files were read. It is used after each round, when
// nothing is being read.
type auditOffsets struct {
	storage.Client

	file   *auditFile
	saved  [][]byte // last
	rounds int
}

// Batch stores the offsets, and with them what was read before them and is not
// told. That it fails is told by the condition; the next round stores all of it.
// Offsets are stored once more at the end: if that is all, no file was looked at,
// and the next process begins as this one did.
func (o *auditOffsets) Batch(ctx context.Context, ops ...*storage.Operation) error {
	if o.rounds++; o.rounds == 1 && o.file.ending.Load() && !o.file.known {
		return nil
	}
	o.file.known = true
	rest, err := o.file.encodeRest()
	values := [][]byte{rest}
	for _, op := range ops {
		values = append(values, op.Value)
	}
	if err == nil && slices.EqualFunc(values, o.saved, bytes.Equal) {
		return nil // Nobody has written.
	}
	if err == nil {
		err = o.Client.Batch(ctx, append(ops, storage.SetOperation(storedRest, rest))...)
	}
	if o.saved = values; err != nil {
		o.saved = nil
	}
	o.file.said(err)
	return nil
}

// keep stores, after all was told that can be, what is left.
func (f *auditFile) keep(ctx context.Context) {
	if f == nil || f.client == nil || !f.known {
		return
	}
	rest, err := f.encodeRest()
	if err == nil {
		err = f.client.Set(ctx, storedRest, rest)
	}
	f.said(err)
}

// encodeRest returns what is read and not told. As anyone who reads the storage
// reads it, it has no more than what is told.
func (f *auditFile) encodeRest() ([]byte, error) {
	rest, change := f.stream.rest(f.change)
	if change == f.change {
		return f.encoded, nil // Much may wait while nobody writes.
	}
	for i := range rest {
		e, redact := &rest[i], f.stream.exchanges.Redact
		e.Path, e.LeasePrefix, e.UserAgent = redact(e.Path), redact(e.LeasePrefix), ""
	}
	encoded, err := json.Marshal(rest)
	if err == nil {
		f.encoded, f.change = encoded, change
	}
	return encoded, err
}

func (f *auditFile) said(err error) {
	if err != nil {
		err = fmt.Errorf("how far audit::file was read cannot be saved, check the space and permissions of the storage: %w", err)
	}
	f.stream.w.Condition.Set(conditionFile, err)
}
