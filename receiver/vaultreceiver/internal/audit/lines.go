// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"errors"
	"io"
)

// Errors of lines that are left out. More may follow ErrTooLong, nothing
// follows ErrCut.
var (
	ErrTooLong = errors.New("the line is too long")
	ErrCut     = errors.New("the last line is not complete")
)

// Lines reads lines of a stream, which may send anything. It takes memory for
// one line, and keeps no more than a usual one takes.
type Lines struct {
	from    *bufio.Reader
	longest int
	long    []byte // of a line that is longer than the buffer
}

// usual is a size that lines rarely exceed.
const usual = 16 << 10

// NewLines returns the lines of from that have up to longest bytes.
func NewLines(from io.Reader, longest int) *Lines {
	return &Lines{from: bufio.NewReaderSize(from, usual), longest: longest}
}

// Next returns the next line, without its end, which is valid until the next
// call. The error is ErrTooLong, ErrCut, io.EOF after a complete line, or what
// the stream says.
func (l *Lines) Next() ([]byte, error) {
	if cap(l.long) > largest {
		l.long = nil
	}
	l.long = l.long[:0]
	length := 0
	for {
		part, err := l.from.ReadSlice('\n')
		length += len(part)
		switch {
		case err == nil && length-1 > l.longest:
			return nil, ErrTooLong
		case err == nil && len(l.long) == 0:
			return part[:len(part)-1], nil
		case err == nil:
			l.long = append(l.long, part[:len(part)-1]...)
			return l.long, nil
		case errors.Is(err, io.EOF) && length > 0:
			return nil, ErrCut
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case length <= l.longest:
			l.long = append(l.long, part...)
		}
	}
}
