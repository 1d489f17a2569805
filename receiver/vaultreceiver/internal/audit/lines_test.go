// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lengths reads all lines and returns their lengths, and -1 for one that is too
// long.
func lengths(t *testing.T, from io.Reader, longest int) (all []int, end error) {
	t.Helper()
	lines := NewLines(from, longest)
	for {
		line, err := lines.Next()
		switch {
		case errors.Is(err, ErrTooLong):
			all = append(all, -1)
		case err != nil:
			return all, err
		default:
			all = append(all, len(line))
		}
		require.LessOrEqual(t, cap(lines.long), max(kept, 2*longest), "a line that is too long is not kept")
	}
}

func TestLines(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for name, tc := range map[string]struct {
		stream string
		want   []int
		end    error
	}{
		"nothing":                         {"", nil, io.EOF},
		"lines":                           {"a\nbc\n\n", []int{1, 2, 0}, io.EOF},
		"half a line at the end":          {"a\nbc", []int{1}, ErrCut},
		"longer than the buffer":          {x(3*usual) + "\nab\n", []int{3 * usual, 2}, io.EOF},
		"as long as may be":               {x(100_000) + "\nab\n", []int{100_000, 2}, io.EOF},
		"too long, and the next is right": {x(100_001) + "\nab\n", []int{-1, 2}, io.EOF},
		"too long and cut":                {"ab\n" + x(5_000_000), []int{2}, ErrCut},
	} {
		t.Run(name, func(t *testing.T) {
			got, end := lengths(t, strings.NewReader(tc.stream), 100_000)
			assert.Equal(t, tc.want, got)
			require.ErrorIs(t, end, tc.end)
		})
	}
	_, end := lengths(t, iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a\nb"))), 10)
	require.ErrorIs(t, end, iotest.ErrTimeout, "what the stream says")
}

func TestLongLinesShareRoom(t *testing.T) {
	room := NewRoom(10 * kept)
	read := func(stream string) *Lines {
		lines := NewLines(strings.NewReader(stream), 100*kept)
		lines.Room = room
		return lines
	}
	x := func(n int) string { return strings.Repeat("x", n) + "\n" }
	first, second := read(x(6*kept)+x(2)), read(x(6*kept)+x(kept-1)+x(3)+x(6*kept))
	line, err := first.Next()
	require.NoError(t, err)
	assert.Len(t, line, 6*kept)
	_, err = second.Next()
	require.ErrorIs(t, err, ErrNoRoom, "the first holds it")
	assert.Zero(t, cap(second.long))
	for _, want := range []int{kept - 1, 3} {
		line, err = second.Next()
		require.NoError(t, err, "others need none")
		assert.Len(t, line, want)
	}
	_, err = first.Next()
	require.NoError(t, err)
	line, err = second.Next()
	require.NoError(t, err, "it was given back")
	assert.Len(t, line, 6*kept)
	assert.Less(t, room.left.Load(), int64(5*kept))
	second.Release()
	assert.EqualValues(t, 10*kept, room.left.Load())
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, longest int) {
		longest = max(1, longest%64)
		var want []int
		parts := bytes.Split(stream, []byte("\n"))
		for _, part := range parts[:len(parts)-1] {
			if len(part) > longest {
				want = append(want, -1)
			} else {
				want = append(want, len(part))
			}
		}
		got, end := lengths(t, bytes.NewReader(stream), longest)
		require.Equal(t, want, got)
		if len(parts[len(parts)-1]) > 0 {
			require.ErrorIs(t, end, ErrCut)
		} else {
			require.ErrorIs(t, end, io.EOF)
		}
	})
}
