// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package configcheck holds checks of configuration values. Every error names
// the YAML key and says what to do.
package configcheck

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

// URL checks that value is an http or https URL with a host.
func URL(key, value, example string) error {
	if value == "" {
		return fmt.Errorf("%s is empty: set it to a URL such as %s", key, example)
	}
	u, err := url.Parse(value)
	if err == nil && u.User != nil {
		return fmt.Errorf("%s holds a user name or password: remove it, there are settings for these", key)
	}
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%s is not an http or https URL: write it like %s", key, example)
	}
	return nil
}

// HostPort checks that an address that is listened on, if there is one, has a port.
func HostPort(key, value, example string) error {
	if value == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(value)
	if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil {
		return fmt.Errorf("%s is %q, which is no address with a port: write it like %s", key, value, example)
	}
	return nil
}

// Positive checks that a number is above zero.
func Positive(key string, value int) error {
	if value <= 0 {
		return fmt.Errorf("%s is %d: set it to a number above 0", key, value)
	}
	return nil
}

// OneOf checks that a value is one of those that there are.
func OneOf(key, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("%s is %q: set it to one of %s", key, value, strings.Join(values, ", "))
}

// shortest is the shortest duration that makes sense here. A number without a
// unit counts as nanoseconds and is shorter.
const shortest = 10 * time.Millisecond

// Duration checks that a duration is not one that was written without a unit.
func Duration(key string, value time.Duration, example string) error {
	if value < shortest {
		return fmt.Errorf("%s is %s: write a duration with a unit, such as %s", key, value, example)
	}
	return nil
}

// Timeout is like Duration, and takes 0 for the default.
func Timeout(key string, value time.Duration, example string) error {
	if value == 0 {
		return nil
	}
	return Duration(key, value, example)
}

// Unmarshal reads a component's configuration and adds to an error what the
// decoder's own words leave out: how to mend it.
func Unmarshal(conf *confmap.Conf, config any) error {
	err := conf.Unmarshal(config)
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "has invalid keys"):
		return fmt.Errorf("%w (check their spelling; the component's README lists its keys)", err)
	case strings.Contains(err.Error(), "time: "): // as time.ParseDuration says it
		return fmt.Errorf("%w (write durations like 10s or 1m30s; the component's README lists its keys)", err)
	default:
		return fmt.Errorf("%w (the component's README lists its keys and what they are)", err)
	}
}
