package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// environment is a getenv that knows these variables only.
type environment map[string]string

func (e environment) get(name string) string { return e[name] }

const examplePath = "../../config.example.yaml"

func TestConfigExample(t *testing.T) {
	t.Parallel()
	env := environment{"XDG_STATE_HOME": "/state"}
	c, err := loadConfig(examplePath, env.get)
	require.NoError(t, err)
	require.Equal(t, examplePath, c.source())
	want := defaultConfig(env.get)
	require.True(t, want.Organizations[0].AdminKey.Equal(c.Organizations[0].AdminKey))
	want.Organizations[0].AdminKey = c.Organizations[0].AdminKey
	want.Storage.SQLite.Path = "monitor.db" // the default depends on the user
	want.Prices, want.Teams = pricing.Overrides{}, team.Teams{}
	want.Prices = pricing.Overrides{}
	want.Notifiers, want.Digests = []alerts.NotifierConfig{}, []alerts.DigestConfig{}
	want.Rules = []alerts.RuleConfig{}
	want.file = examplePath
	require.Equal(t, want, c, "the example shows the defaults")
}

// TestConfigExampleIsComplete reads the example with its comments made settings.
func TestConfigExampleIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(examplePath)
	require.NoError(t, err)
	all := strings.NewReplacer("\n  # ", "\n  ", "\n  #   ", "\n    ", "prices: {}", "prices:", "\n#  ", "\n  ",
		"teams: []", "teams:", "notifiers: []", "notifiers:", "digests: []", "digests:", "rules: []", "rules:",
		"except: []", "except:", "own_domains: []", "own_domains: [acme.example]").Replace(string(text))
	var c Config
	f := config.Load("all.yaml", []byte(all), environment{}.get, &c)
	require.NoError(t, f.Err())
	for _, path := range configPaths(reflect.TypeFor[Config](), "") {
		require.True(t, shows(f, path), "config.example.yaml does not show %s", path)
	}
	alerts.ValidateNotifiers(f, "notifiers", c.Notifiers)
	alerts.ValidateDigests(f, "digests", c.Digests, c.Notifiers, checkSchedule)
	require.NoError(t, f.Err(), "the example's notifiers and digests")
	alerts.CheckRules(c.Rules, c.notifierNames(), func(path, format string, args ...any) { f.Problem("rules"+path, format, args...) })
	require.NoError(t, f.Err(), "the example's rules")
	_, err = pricing.Load(c.Prices)
	require.NoError(t, err, "the example's prices")
	c.Teams.Check(f.Problem)
	require.NoError(t, f.Err(), "the example's teams")
}

// shows reports whether the file has the path: of a list of blocks each kind is in an element of its own.
func shows(f *config.File, path string) bool {
	for i := range 20 {
		if f.Has(strings.Replace(path, "[0]", fmt.Sprintf("[%d]", i), 1)) {
			return true
		}
	}
	return false
}

// configPaths lists the paths of all keys under the type, with list elements 0 and the map key
// that the example has.
func configPaths(typ reflect.Type, path string) []string {
	switch typ {
	case reflect.TypeFor[config.Secret](), reflect.TypeFor[time.Time]():
		return []string{path}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return configPaths(typ.Elem(), path)
	case reflect.Slice:
		return configPaths(typ.Elem(), path+"[0]")
	case reflect.Map:
		if strings.HasSuffix(path, ".headers") {
			return configPaths(typ.Elem(), path+".Authorization")
		}
		if typ.Elem().Kind() == reflect.String { // names of the user's own
			return []string{path}
		}
		return configPaths(typ.Elem(), path+".claude-next-1")
	case reflect.Struct:
		var paths []string
		for _, field := range reflect.VisibleFields(typ) {
			if name, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); name != "" {
				paths = append(paths, configPaths(field.Type, strings.TrimPrefix(path+"."+name, "."))...)
			}
		}
		return paths
	default:
		return []string{path}
	}
}

func TestConfigPaths(t *testing.T) {
	t.Parallel()
	paths := configPaths(reflect.TypeFor[Config](), "")
	require.Subset(t, paths, []string{
		"organizations[0].admin_key", "storage.postgres.url", "backfill", "metrics.api_keys",
		"prices.claude-next-1[0].cache_read", "prices.claude-next-1[0].prompt_tier.input",
	})
}

func TestConfigValues(t *testing.T) {
	t.Parallel()
	c, err := parseConfig("m.yaml", []byte(`
organizations:
  - {name: a, admin_key: ${A}}
  - {name: b, admin_key: file:/b, base_url: "http://127.0.0.1:8080/v", reports: legacy}
storage: {postgres: {url: ${DATABASE_URL}}}
schedule: {usage: "@every 2m"}
retention: {minute: 2w, hour: 0}
backfill: 0
metrics: {api_keys: false, claude_code_actors: hashed}
web: {external_url: "https://monitor.example.com/x"}
prices: {claude-next*: {input: 0.1, output: 1, cache_read: 0, cache_write_5m: 1, cache_write_1h: 1}}
`), environment{"DATABASE_URL": "postgres://db/x"}.get)
	require.NoError(t, err)
	require.Equal(t, "https://api.anthropic.com", c.Organizations[0].BaseURL)
	require.Equal(t, "auto", c.Organizations[0].Reports)
	require.Equal(t, "http://127.0.0.1:8080/v", c.Organizations[1].BaseURL)
	require.Equal(t, "legacy", c.Organizations[1].Reports)
	require.Equal(t, "file /b", c.Organizations[1].AdminKey.Source())
	require.Nil(t, c.Storage.SQLite, "one block takes the place of the default one")
	url, err := c.Storage.Postgres.URL.Value(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, "postgres://db/x", url)
	require.Equal(t, ScheduleConfig{"@every 2m", "*/5 * * * *", "*/10 * * * *", "* * * * *", "17 3 * * *"}, c.Schedule)
	require.Equal(t, 14*24*time.Hour, c.Retention.Minute.Duration())
	require.Zero(t, c.Retention.Hour)
	require.Zero(t, c.Backfill)
	require.Equal(t, MetricsConfig{MaxSeries: 20000, ClaudeCodeActors: "hashed"}, c.Metrics)
	require.Equal(t, spend.Dollar/10, *c.Prices["claude-next*"][0].Input)
}

func TestConfigDefaultStorage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  environment
		want string
	}{
		{environment{"XDG_STATE_HOME": "/state", "HOME": "/home"}, "/state/anthropic-monitor/monitor.db"},
		{environment{"XDG_STATE_HOME": "state", "HOME": "/h"}, "/h/.local/state/anthropic-monitor/monitor.db"},
		{environment{"LOCALAPPDATA": "/data"}, "/data/anthropic-monitor/monitor.db"},
		{environment{"HOME": "/h"}, "/h/.local/state/anthropic-monitor/monitor.db"},
		{environment{}, "monitor.db"},
	} {
		require.Equal(t, test.want, defaultConfig(test.env.get).Storage.SQLite.Path)
	}
}

// TestLoadConfigChoosesFile changes the working directory and hence runs alone.
func TestLoadConfigChoosesFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, listen string) {
		require.NoError(t, os.WriteFile(name, []byte("web: {listen: \""+listen+"\"}\n"), 0o600))
	}
	env := environment{}
	listen := func(file string) string {
		c, err := loadConfig(file, env.get)
		require.NoError(t, err)
		return c.source() + " " + c.Web.Listen
	}
	require.Equal(t, "defaults (no configuration file) 127.0.0.1:9599", listen(""))
	write("monitor.yaml", ":1")
	require.Equal(t, "monitor.yaml :1", listen(""))
	write("env.yaml", ":2")
	env["MONITOR_CONFIG"] = "env.yaml"
	require.Equal(t, "env.yaml :2", listen(""))
	write("flag.yaml", ":3")
	require.Equal(t, "flag.yaml :3", listen("flag.yaml"))

	_, err := loadConfig("none.yaml", env.get)
	require.EqualError(t, err, "reading the configuration: open none.yaml: no such file or directory")
	env["MONITOR_CONFIG"] = filepath.Join(dir, "sub", "none.yaml")
	_, err = loadConfig("", env.get)
	require.ErrorContains(t, err, "reading the configuration (named by $MONITOR_CONFIG): open ")
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.Remove("monitor.yaml"))
	require.NoError(t, os.Mkdir("monitor.yaml", 0o700))
	delete(env, "MONITOR_CONFIG")
	_, err = loadConfig("", env.get)
	require.Error(t, err, "a file that is there but cannot be read is not left out")
}

func TestConfigWithoutFileIsChecked(t *testing.T) {
	t.Parallel()
	c, err := parseConfig("", nil, environment{adminKeyVariable: "sk-ant-api03-x"}.get)
	require.Nil(t, c)
	require.EqualError(t, err, "organizations[0].admin_key: is a workspace key (environment variable ANTHROPIC_ADMIN_API_KEY), "+
		"which the Admin API refuses: an Admin API key is needed (sk-ant-admin…), which an admin of the organization creates in the Console")
	require.NotContains(t, err.Error(), "api03")
	_, err = parseConfig("", nil, environment{}.get)
	require.NoError(t, err, "commands that make no request need no key")
}

// TestBadConfigs reads each file of testdata/config/bad and compares the error with the file beside it.
func TestBadConfigs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/config/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	env := environment{"WORKSPACE_KEY": "sk-ant-api03-x"}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			_, err := loadConfig(file, env.get)
			require.Error(t, err)
			golden.Check(t, strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".yaml")+".err", []byte(err.Error()+"\n"))
		})
	}
}
