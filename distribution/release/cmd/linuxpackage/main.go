// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Command linuxpackage makes a deb, an rpm and an apk of a collector that is built
// already, and prints their paths.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/otelcol-infra/otelcol-infra/distribution/release/linuxpackage"
)

func main() {
	var o linuxpackage.Options
	flag.StringVar(&o.Source, "source", "../..", "the checkout's `folder`")
	flag.StringVar(&o.Binary, "binary", "", "the collector for linux")
	flag.StringVar(&o.Arch, "arch", runtime.GOARCH, "amd64 or arm64")
	flag.StringVar(&o.Version, "version", "", "of the packages, such as 0.2.0")
	flag.StringVar(&o.Notices, "notices", "", "a `file` with the licences of what the binary holds")
	flag.StringVar(&o.Output, "output", ".", "an existing `folder`")
	flag.StringVar(&o.RPMKey, "rpm-key", "", "a `file` with an OpenPGP private key")
	flag.StringVar(&o.APKKey, "apk-key", "", "a `file` with an RSA private key")
	at := flag.Int64("time", 0, "of the commit, in `seconds` since 1970, as git log --format=%ct gives it")
	flag.Parse()
	if *at != 0 {
		o.Time = time.Unix(*at, 0).UTC()
	}
	paths, err := linuxpackage.Build(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "linuxpackage:", err)
		os.Exit(1)
	}
	for _, path := range paths {
		fmt.Println(path)
	}
}
