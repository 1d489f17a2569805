// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

const maxTail = 256 << 10 // bytes read from the end of a log

// fileTail gives the last n lines of the file, of those after byte from.
func fileTail(path string, from int64, n int) string {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	from = max(from, info.Size()-maxTail)
	content, err := io.ReadAll(io.NewSectionReader(file, from, maxTail))
	if err != nil {
		return fmt.Sprintf("(log not readable: %v)", err)
	}
	return lastLines(content, n)
}

// lastLines gives the last n lines, without the line end of the last one.
func lastLines(content []byte, n int) string {
	lines := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}
