// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// permitted are the licences under which a binary of Apache-2.0 may hold the
// code, with the notices that a release ships. MPL-2.0 also asks that the source
// can be had: the notices say where. Anything else needs a person to read it.
var permitted = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unlicense", "Zlib"}

// reviewed are files that name another licence and were found not to concern
// what is linked, by module and file.
var reviewed = map[[2]string]string{
	{Stdlib, "src/crypto/internal/boring/LICENSE"}: "is of BoringCrypto, which only GOEXPERIMENT=boringcrypto links; a release builds without",
}

// Check returns an error that names each module that may not be shipped, or of
// which nobody knows.
func Check(modules []Module) error {
	var errs []error
	for _, m := range modules {
		if len(m.Licences()) == 0 {
			errs = append(errs, fmt.Errorf("module %s %s has no licence file: without one nobody may ship it", m.Path, m.Version))
		}
		for _, f := range m.Files {
			for _, id := range f.Licences {
				if slices.Contains(permitted, id) || reviewed[[2]string{m.Path, f.Name}] != "" {
					continue
				}
				errs = append(errs, fmt.Errorf("module %s %s: the licence in %s is %s, not one of %s", m.Path, m.Version, f.Name, id, strings.Join(permitted, ", ")))
			}
		}
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New("remove the component that needs the module from builder-config.yaml, or read the licence and enter it in "+
			"distribution/release/licence/policy.go"))
	}
	return errors.Join(errs...)
}

// Licences are the SPDX identifiers of all licences in the module, sorted,
// without those that were reviewed.
func (m Module) Licences() []string {
	var ids []string
	for _, f := range m.Files {
		if reviewed[[2]string{m.Path, f.Name}] == "" {
			ids = append(ids, f.Licences...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
