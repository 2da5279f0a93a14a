package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/config"
)

type example struct {
	Name    string                             `yaml:"name"`
	Count   int                                `yaml:"count"`
	Big     int64                              `yaml:"big"`
	Ratio   float64                            `yaml:"ratio"`
	On      bool                               `yaml:"on"`
	Keep    config.Duration                    `yaml:"keep"`
	From    time.Time                          `yaml:"from"`
	Key     config.Secret                      `yaml:"key"`
	Server  server                             `yaml:"server"`
	Backup  *server                            `yaml:"backup"`
	Servers []server                           `yaml:"servers"`
	Tags    config.OneOrMany[string]           `yaml:"tags"`
	ByName  map[string]config.OneOrMany[point] `yaml:"by_name"`
	Hidden  string                             `yaml:"-"`
	point
}

type point struct {
	X int `yaml:"x"`
	Y int `yaml:"y"`
}

type server struct {
	Listen string `yaml:"listen"`
	Limit  int    `yaml:"limit"`
}

func (s *server) SetDefaults() { s.Limit = 7 }

func noEnv(string) string { return "" }

func load(t *testing.T, text string) (example, *config.File) {
	t.Helper()
	e := example{Name: "default", Count: 1, Keep: config.Duration(time.Hour), Servers: []server{{Listen: "default"}}}
	f := config.Load("m.yaml", []byte(text), noEnv, &e)
	return e, f
}

func TestLoad(t *testing.T) {
	t.Parallel()
	e, f := load(t, `
name: 123
big: 20_000
ratio: 1.25
on: true
keep: 1d12h
from: 2026-10-07
key: literal
x: 4
server: {listen: ":1"}
backup: {listen: ":2"}
servers:
  - listen: ":3"
  - {listen: ":4", limit: 0}
tags: one
by_name:
  a: {x: 1}
  b: [{x: 2}, {y: 3}]
`)
	require.NoError(t, f.Err())
	key := e.Key
	e.Key = config.Secret{}
	require.Equal(t, "literal", key.Source())
	require.Equal(t, example{
		Name: "123", Count: 1, Big: 20000, Ratio: 1.25, On: true, point: point{X: 4},
		Keep:    config.Duration(36 * time.Hour),
		From:    time.Date(2026, 10, 7, 0, 0, 0, 0, time.UTC),
		Server:  server{Listen: ":1"},
		Backup:  &server{Listen: ":2", Limit: 7},
		Servers: []server{{":3", 7}, {":4", 0}},
		Tags:    []string{"one"},
		ByName:  map[string]config.OneOrMany[point]{"a": {{X: 1}}, "b": {{X: 2}, {Y: 3}}},
	}, e)

	require.True(t, f.Has("servers[1].limit"))
	require.False(t, f.Has("servers[0].limit"))
	require.Equal(t, 13, f.Line("servers[0].limit"), "the nearest thing that is there")
	require.Equal(t, 9, f.Line("x"))
	require.Equal(t, 0, f.Line("nothing.here"))
}

func TestLoadKeepsDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "name:\ncount: ~\nserver:\nservers:\n", "---\n"} {
		e, f := load(t, text)
		require.NoError(t, f.Err(), text)
		require.Equal(t, "default", e.Name)
		require.Equal(t, 1, e.Count)
		require.Equal(t, []server{{Listen: "default"}}, e.Servers)
	}
	e, f := load(t, "servers: []\n")
	require.NoError(t, f.Err())
	require.Empty(t, e.Servers, "an empty list is said, not left out")
}

func TestLoadAnchors(t *testing.T) {
	t.Parallel()
	e, f := load(t, "server: &s {listen: a, limit: 2}\nbackup: *s\nname: !!str 5\n")
	require.NoError(t, f.Err())
	require.Equal(t, &server{"a", 2}, e.Backup)
	require.Equal(t, "5", e.Name)

	_, f = load(t, "servers: &s\n  - *s\n")
	require.EqualError(t, f.Err(),
		"m.yaml:2: servers[0]: no anchor &s stands before this alias (text that starts with * needs quotes)")
	_, f = load(t, "server: &s {limit: 1}\nbackup: {<<: *s}\n")
	require.EqualError(t, f.Err(), "m.yaml:2: backup.<<: unknown key; the keys here are listen, limit")
}

func TestLoadBareVariables(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{key: ${A_KEY}}", "key: ${A_KEY}", "{name: a, key: \"${A_KEY}\"}", "{tags: [x, y], key: ${A_KEY}}"} {
		e, f := load(t, text)
		require.NoError(t, f.Err(), text)
		require.Equal(t, "environment variable A_KEY", e.Key.Source(), text)
	}
}

func TestLoadProblems(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"unknown keys", "nam: x\nzebra: 1\nserver:\n  limitt: 3\n",
			"m.yaml:1: nam: unknown key, did you mean name?\n" +
				"m.yaml:2: zebra: unknown key; the keys here are name, count, big, ratio, on, keep, from, key, server, backup, servers, tags, by_name, x, y\n" +
				"m.yaml:4: server.limitt: unknown key, did you mean limit?"},
		{"numbers", "count: many\nratio: .inf\nbig: 1.5\n",
			"m.yaml:1: count: must be a whole number\nm.yaml:2: ratio: must be a number\nm.yaml:3: big: must be a whole number"},
		{"kinds", "server: 5\nservers: {}\non: yes\nname: [a]\nkeep: {}\nby_name: x\n",
			"m.yaml:1: server: must be a mapping of keys to values\nm.yaml:2: servers: must be a list\n" +
				"m.yaml:3: on: must be true or false\nm.yaml:4: name: must be text, not a list or mapping\n" +
				"m.yaml:5: keep: must be a single value, not a list or mapping\nm.yaml:6: by_name: must be a mapping of keys to values"},
		{"list elements", "servers:\n  - {limit: 1}\n  - limit: a\n    listen: {}\n",
			"m.yaml:3: servers[1].limit: must be a whole number\nm.yaml:4: servers[1].listen: must be text, not a list or mapping"},
		{"durations", "keep: 90\n", `m.yaml:1: keep: "90" is not a duration such as 90s, 15m, 6h, 14d, 2w or 1d12h`},
		{"times", "from: tomorrow\n",
			`m.yaml:1: from: "tomorrow" is neither a date such as 2026-01-31 nor a time such as 2026-01-31T15:04:05Z`},
		{"a secret is not quoted", "key: user:${PASSWORD}@host\n",
			"m.yaml:1: key: a variable must be the whole value, written ${NAME}; with text around it, use file or exec instead"},
		{"no YAML", "name: a\nserver: {\n", "m.yaml:2: could not find flow mapping end token '}'"},
		{"a tab", "server:\n\tlimit: 1\n", "m.yaml:2: a tab stands where only spaces may: indent by spaces"},
		{"a tab first", "\tname: a\n", "m.yaml:1: a tab stands where only spaces may: indent by spaces"},
		{"indented too far", "server:\n  limit: 1\n    listen: a\n",
			"m.yaml:2: mapping value is not allowed in this context: look at this line and the next, one is indented too far or too little, or is text that needs quotes"},
		{"indented too little", "server:\n  limit: 1\n listen: a\n",
			"m.yaml:3: value is not allowed in this context: look at this line and the next, one is indented too far or too little, or is text that needs quotes"},
		{"not quoted", "name: @daily\n", "m.yaml:1: '@' is a reserved character: text that begins so needs quotes"},
		{"key of a block", "listen: a\n", "m.yaml:1: listen: unknown key here: it belongs into server or backup or servers, indented below that"},
		{"variable in what is no secret", "name: ${X}\ntags: [a, ${X}]\n",
			"m.yaml:1: name: only secrets may be ${NAME}: write the value itself\nm.yaml:2: tags[1]: only secrets may be ${NAME}: write the value itself"},
		{"variable without braces", "key: $ANTHROPIC_ADMIN_API_KEY\n",
			"m.yaml:1: key: a variable is written in braces, ${NAME}; if this is the secret itself, put it into a file: file:/path"},
		{"key twice", "name: a\nname: b\n", `m.yaml:2: mapping key "name" already defined at [1:1]`},
		{"two documents", "name: a\n---\nname: b\n", "m.yaml: holds several YAML documents, only one is read"},
		{"not a mapping", "just text\n", "m.yaml:1: must be a mapping of keys to values"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, f := load(t, test.text)
			require.EqualError(t, f.Err(), test.want)
		})
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	_, f := load(t, "server:\n  limit: x\nname: a\n")
	f.Problem("name", "must be longer than %d", 1)
	f.Problem("server.limit", "must be above 0") // could not be decoded: said already
	f.Problem("server", "must be complete")
	f.Problem("server.listen", "must be set")
	f.Problem("name", "must be nicer")
	f.Problem("tags[0]", "must be set")
	require.EqualError(t, f.Err(), "m.yaml: tags[0]: must be set\n"+
		"m.yaml:1: server.listen: must be set\n"+
		"m.yaml:2: server.limit: must be a whole number\n"+
		"m.yaml:3: name: must be longer than 1\n"+
		"m.yaml:3: name: must be nicer")
	var problems config.Problems
	require.ErrorAs(t, f.Err(), &problems)
	require.Equal(t, config.Problem{File: "m.yaml", Line: 3, Path: "name", Message: "must be nicer"}, problems[4])
}

func TestProblemWithoutFile(t *testing.T) {
	t.Parallel()
	f := &config.File{}
	require.NoError(t, f.Err())
	f.Problem("web.listen", "must be set")
	require.EqualError(t, f.Err(), "web.listen: must be set")
	require.False(t, f.Has("web"))
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"name: a\n", "servers: [{listen: a}]\n", "server: &s {limit: 1}\nbackup: *s\n", "key: ${A}\n", "{key: ${A}}",
		"tags:\n  - a\n  - b\n", "? a\n: b\n", "name: |\n  x\n", "a: &a [*a]\n", "keep: 1d12h\nfrom: 2026-01-01\n", "- - -\n", "name: !!binary x\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var e example
		file := config.Load("m.yaml", []byte(text), noEnv, &e)
		if err := file.Err(); err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "m.yaml:"), err.Error())
		}
	})
}
