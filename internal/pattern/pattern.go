// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package pattern selects by name what a component is about.
package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Filter is the part of a configuration that selects names. Its patterns are
// regular expressions (RE2) that have to match the whole name.
type Filter struct {
	// Include selects the names that match any of its patterns; every name
	// when it is empty.
	Include []string `mapstructure:"include"`

	// Exclude leaves out the names that match any of its patterns, included
	// or not.
	Exclude []string `mapstructure:"exclude"`
}

// Validate checks the patterns. Its errors name the YAML key of the pattern,
// under the one that is given.
func (f Filter) Validate(key string) error {
	_, err := f.compile(key + "::")
	return err
}

// Compile returns what the filter selects. It fails for what Validate refuses.
func (f Filter) Compile() (Matcher, error) { return f.compile("") }

func (f Filter) compile(parent string) (Matcher, error) {
	include, includeErr := compileAll(parent+"include", f.Include)
	exclude, excludeErr := compileAll(parent+"exclude", f.Exclude)
	if err := errors.Join(includeErr, excludeErr); err != nil {
		return Matcher{}, err
	}
	return Matcher{include: include, exclude: exclude}, nil
}

// Any selects the names that match any of the patterns as a whole; every name
// when there is none. Its errors name the key.
func Any(key string, patterns []string) (Matcher, error) {
	include, err := compileAll(key, patterns)
	if err != nil {
		return Matcher{}, err
	}
	return Matcher{include: include}, nil
}

func compileAll(key string, patterns []string) ([]*regexp.Regexp, error) {
	var compiled []*regexp.Regexp
	var errs []error
	for i, pattern := range patterns {
		re, err := compile(pattern)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s[%d] %w", key, i, err))
		}
		compiled = append(compiled, re)
	}
	return compiled, errors.Join(errs...)
}

// glob finds patterns such as config/*, which as an expression would match hardly
// any name, and so exclude nothing that was meant.
var glob = regexp.MustCompile(`[\w/-]\*$`)

func notAGlob(pattern string) error {
	return fmt.Errorf("%q is a regular expression, not a glob: write .* for any text and . for any character", pattern)
}

func compile(pattern string) (*regexp.Regexp, error) {
	// An environment variable that is not set gives it, and it would match nothing.
	if pattern == "" {
		return nil, errors.New("is empty: write a pattern, or remove it")
	}
	if glob.MatchString(pattern) {
		return nil, notAGlob(pattern)
	}
	// Alone at first, as a)|(b is an expression only between parentheses.
	_, err := regexp.Compile(pattern)
	if err == nil {
		var whole *regexp.Regexp
		if whole, err = regexp.Compile("(?s)^(?:" + pattern + ")$"); err == nil {
			return whole, nil
		}
	}
	var mistake *syntax.Error
	if errors.As(err, &mistake) && mistake.Code == syntax.ErrMissingRepeatArgument {
		return nil, fmt.Errorf("%w: %w", notAGlob(pattern), err)
	}
	return nil, fmt.Errorf("%q is not a regular expression, mend it as RE2 has it: %w", pattern, err)
}

// Matcher is what a Filter selects. The zero Matcher selects every name.
type Matcher struct {
	include, exclude []*regexp.Regexp
}

// Match reports whether the name is selected.
func (m Matcher) Match(name string) bool {
	return (len(m.include) == 0 || matchesAny(m.include, name)) && !matchesAny(m.exclude, name)
}

func matchesAny(patterns []*regexp.Regexp, name string) bool {
	for _, p := range patterns {
		if p.MatchString(name) {
			return true
		}
	}
	return false
}
