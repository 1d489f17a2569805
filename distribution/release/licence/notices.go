// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"bytes"
	"fmt"
	"strings"
)

// NoticesFile is the name of the file that [Notices] fills.
const NoticesFile = "THIRD-PARTY-NOTICES.txt"

// Notices returns the licences and notices of the modules as one text: first the
// list of modules, then each text once, with the modules that it belongs to.
func Notices(modules []Module) []byte {
	var out bytes.Buffer
	out.WriteString("otelcol-infra holds code of these modules, each under its own licence. The source of a module is at\n" +
		"https://proxy.golang.org/MODULE/@v/VERSION.zip, that of stdlib at https://go.dev/dl.\n\n" +
		"Images also hold the certificates of Mozilla's CA programme (MPL-2.0), from golang.org/x/crypto/x509roots,\n" +
		"and the time zones of IANA (public domain), from Go.\n\n")
	for _, m := range modules {
		fmt.Fprintf(&out, "%s: %s\n", m.name(), strings.Join(m.Licences(), " AND "))
	}
	users := map[string][]string{}
	var texts []string // in the order of the modules
	for _, m := range modules {
		for _, f := range m.Files {
			if reviewed[[2]string{m.Path, f.Name}] != "" {
				continue
			}
			text := strings.TrimRight(string(f.Text), " \n")
			if users[text] == nil {
				texts = append(texts, text)
			}
			users[text] = append(users[text], m.name()+" ("+f.Name+")")
		}
	}
	rule := strings.Repeat("=", 100) + "\n"
	for _, text := range texts {
		fmt.Fprintf(&out, "\n%s%s\n%s\n%s\n", rule, strings.Join(users[text], "\n"), rule, text)
	}
	return out.Bytes()
}

func (m Module) name() string { return strings.TrimSpace(m.Path + " " + m.Version) }
