// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package pattern

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func TestMatch(t *testing.T) {
	for name, test := range map[string]struct {
		filter      Filter
		matches     []string
		matchesNone []string
	}{
		"no patterns": {
			matches: []string{"web", "", "a\nb", "\xff"},
		},
		"the whole name": {
			filter:      Filter{Include: []string{"web"}},
			matches:     []string{"web"},
			matchesNone: []string{"", "web-1", "my-web", "web\n", "\nweb", "Web"},
		},
		"any of the included": {
			filter:      Filter{Include: []string{"web-.*", "(?i)db"}},
			matches:     []string{"web-", "web-1", "web-a\nb", "DB"},
			matchesNone: []string{"web", "WEB-1", "db2"},
		},
		"an alternative is whole too": {
			filter:      Filter{Include: []string{"web|db"}},
			matches:     []string{"web", "db"},
			matchesNone: []string{"web1", "1db", "webdb"},
		},
		"anchors of its own": {
			filter:      Filter{Include: []string{"^(?m:web)$"}},
			matches:     []string{"web"},
			matchesNone: []string{"web\ndb", "webs"},
		},
		"a group's name that is used twice": {
			filter:  Filter{Include: []string{"(?P<n>a)", "(?P<n>b)"}},
			matches: []string{"a", "b"},
		},
		"only excluded": {
			filter:      Filter{Exclude: []string{".*-canary", "test"}},
			matches:     []string{"web", "test-1", "web-canary-2"},
			matchesNone: []string{"web-canary", "test"},
		},
		"exclude wins": {
			filter:      Filter{Include: []string{"web.*", "web-canary"}, Exclude: []string{".*-canary"}},
			matches:     []string{"web", "web-1"},
			matchesNone: []string{"web-canary", "db"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, test.filter.Validate("services"))
			m, err := test.filter.Compile()
			require.NoError(t, err)
			for _, name := range test.matches {
				assert.True(t, m.Match(name), "%q", name)
			}
			for _, name := range test.matchesNone {
				assert.False(t, m.Match(name), "%q", name)
			}
		})
	}
}

func TestTheZeroMatcherMatchesAllAndCostsNothing(t *testing.T) {
	var m Matcher
	assert.True(t, m.Match("web"))
	assert.Zero(t, testing.AllocsPerRun(10, func() { m.Match("web") }))
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		filter Filter
		want   string
	}{
		"valid": {filter: Filter{Include: []string{"web.*"}, Exclude: []string{`\d+`}}},
		"glob": {
			filter: Filter{Include: []string{"db", "*web"}},
			want: `services::include[1] "*web" is a regular expression, not a glob: write .* for any text and . for any character: ` +
				"error parsing regexp: missing argument to repetition operator: `*`",
		},
		"a glob that is an expression too": {
			filter: Filter{Exclude: []string{"config/private/*"}},
			want:   `services::exclude[0] "config/private/*" is a regular expression, not a glob: write .* for any text and . for any character`,
		},
		"open": {
			filter: Filter{Exclude: []string{"(web"}},
			want: `services::exclude[0] "(web" is not a regular expression, mend it as RE2 has it: ` +
				"error parsing regexp: missing closing ): `(web`",
		},
		"one that would get out of its parentheses": {
			filter: Filter{Include: []string{"a)|(b"}},
			want: `services::include[0] "a)|(b" is not a regular expression, mend it as RE2 has it: ` +
				"error parsing regexp: unexpected ): `a)|(b`",
		},
		"a quotation without end": {
			filter: Filter{Include: []string{`\Qa.b`}},
			want: `services::include[0] "\\Qa.b" is not a regular expression, mend it as RE2 has it: ` +
				"error parsing regexp: missing closing ): `(?s)^(?:\\Qa.b)$`",
		},
		"empty": {
			filter: Filter{Include: []string{""}},
			want:   "services::include[0] is empty: write a pattern, or remove it",
		},
		"each mistake is told": {
			filter: Filter{Include: []string{"", "a", ""}, Exclude: []string{""}},
			want: "services::include[0] is empty: write a pattern, or remove it\n" +
				"services::include[2] is empty: write a pattern, or remove it\n" +
				"services::exclude[0] is empty: write a pattern, or remove it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.filter.Validate("services")
			_, compileErr := test.filter.Compile()
			if test.want == "" {
				require.NoError(t, err)
				require.NoError(t, compileErr)
			} else {
				require.EqualError(t, err, test.want)
				require.Error(t, compileErr)
			}
		})
	}
}

func TestKeysOfTheConfiguration(t *testing.T) {
	var f Filter
	conf := confmap.NewFromStringMap(map[string]any{"include": []any{"web"}, "exclude": []any{"db"}})
	require.NoError(t, conf.Unmarshal(&f))
	assert.Equal(t, Filter{Include: []string{"web"}, Exclude: []string{"db"}}, f)
}

func FuzzExcludeAlwaysWins(f *testing.F) {
	f.Add("web.*", "web-canary", "web-canary")
	f.Add("a|b", "(?i)B", "b")
	f.Add("a)|(b", `\Q`, "\xff\n")
	f.Fuzz(func(t *testing.T, include, exclude, name string) {
		both, err := Filter{Include: []string{include}, Exclude: []string{exclude}}.Compile()
		if err != nil {
			return
		}
		onlyInclude, err := Filter{Include: []string{include}}.Compile()
		require.NoError(t, err)
		onlyExclude, err := Filter{Exclude: []string{exclude}}.Compile()
		require.NoError(t, err)
		want := onlyInclude.Match(name) && onlyExclude.Match(name)
		if both.Match(name) != want {
			t.Fatalf("include %q, exclude %q: %q is selected: %t", include, exclude, name, !want)
		}
	})
}
