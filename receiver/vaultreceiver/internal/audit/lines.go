// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"errors"
	"io"
)

// Errors of lines that are left out. More may follow the first two, nothing
// follows ErrCut.
var (
	ErrTooLong = errors.New("the line is too long")
	ErrNoRoom  = errors.New("there is no room for so long a line")
	ErrCut     = errors.New("the last line is not complete")
)

// Lines reads lines of a stream, which may send anything. It takes memory for
// one line, and keeps no more than a usual one takes.
type Lines struct {
	// Room is what lines take that are longer than is kept. Nil is without end.
	Room *Room

	from    *bufio.Reader
	longest int
	long    []byte // of a line that is longer than the buffer
	taken   int64  // of the room
}

const (
	// usual is a size that lines rarely exceed.
	usual = 16 << 10

	// kept is up to how much memory is kept after a longer line.
	kept = 64 << 10
)

// NewLines returns the lines of from that have up to longest bytes.
func NewLines(from io.Reader, longest int) *Lines {
	return &Lines{from: bufio.NewReaderSize(from, usual), longest: longest}
}

// Reset has it read another stream. What is left of this one is forgotten.
func (l *Lines) Reset(from io.Reader) {
	l.Release()
	l.from.Reset(from)
}

// Next returns the next line, without its end, which is valid until the next
// call. The error is ErrTooLong, ErrNoRoom, ErrCut, io.EOF after a complete line,
// or what the stream says.
func (l *Lines) Next() ([]byte, error) {
	l.Release()
	length, roomy := 0, true
	for {
		part, err := l.from.ReadSlice('\n')
		length += len(part)
		switch {
		case errors.Is(err, io.EOF) && length > 0:
			return nil, ErrCut
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case err == nil && length-1 > l.longest:
			return nil, ErrTooLong
		case err == nil && length == len(part):
			return part[:len(part)-1], nil
		case length-1 > l.longest:
			l.long = nil
			l.Release()
		case roomy:
			roomy = l.keep(part)
		}
		if err == nil && !roomy {
			return nil, ErrNoRoom
		}
		if err == nil {
			return l.long[:length-1], nil
		}
	}
}

// Release gives back the room of the line that Next has returned.
func (l *Lines) Release() {
	if l.long = l.long[:0]; cap(l.long) > kept {
		l.long = nil
	}
	l.Room.give(l.taken)
	l.taken = 0
}

// keep adds a part to a long line, and says whether there was room for it.
func (l *Lines) keep(part []byte) bool {
	if size := int64(len(l.long) + len(part)); size > kept {
		more := size - l.taken
		if !l.Room.take(more) {
			l.long = nil
			l.Release()
			return false
		}
		l.taken += more
	}
	l.long = append(l.long, part...)
	return true
}
