package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/audit"
	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// Config is the shape of the configuration file; config.example.yaml shows every key. The comments
// of the fields are the descriptions in monitor.schema.json.
type Config struct {
	// The organizations to watch, one or more.
	Organizations []OrganizationConfig `yaml:"organizations"`
	// Where the data is kept: exactly one of the blocks.
	Storage StorageConfig `yaml:"storage"`
	// When each job runs: five cron fields, a word such as @daily, or @every and a duration; in UTC.
	Schedule ScheduleConfig `yaml:"schedule"`
	// How long facts are kept; 0 is for ever.
	Retention RetentionConfig `yaml:"retention"`
	// What is to be told to whom.
	Rules []alerts.RuleConfig `yaml:"rules"`
	// A dead man's switch: asked for after each evaluation in which no rule failed.
	Heartbeat HeartbeatConfig `yaml:"heartbeat"`
	// What is looked for in keys and access; 0, false or "" switches a check off.
	Audit audit.Config `yaml:"audit"`
	// How much history is fetched on first start.
	Backfill config.Duration `yaml:"backfill"`
	// What /metrics shows.
	Metrics MetricsConfig `yaml:"metrics"`
	// The built-in pages, the API and /metrics.
	Web WebConfig `yaml:"web"`
	// Prices that override the built-in table or add to it, by model; a model may end in *.
	Prices pricing.Overrides `yaml:"prices"`
	// Whose the use is: teams, by their workspaces and API keys; what none claims is called unmapped.
	Teams team.Teams `yaml:"teams"`
	// Who is told of alerts and digests.
	Notifiers []alerts.NotifierConfig `yaml:"notifiers"`
	// Summaries of spending, sent by schedule.
	Digests []alerts.DigestConfig `yaml:"digests"`
	// The commands that change an organization.
	Admin AdminConfig `yaml:"admin"`

	file string // that it was read from, empty for defaults
}

// OrganizationConfig is one organization.
type OrganizationConfig struct {
	// The name shown; default: the organization's own.
	Name string `yaml:"name"`
	// Its Admin API key: ${NAME}, file:/path, exec:command args, or the key itself.
	AdminKey config.Secret `yaml:"admin_key"`
	// Where the API is.
	BaseURL string `yaml:"base_url"`
	// Which generation of reports to read: auto, analytics or legacy.
	Reports string `yaml:"reports" jsonschema:"enum=auto,enum=analytics,enum=legacy"`
}

// SetDefaults sets what every organization starts from.
func (o *OrganizationConfig) SetDefaults() {
	o.BaseURL = "https://api.anthropic.com"
	o.Reports = collector.ReportsAuto
}

// StorageConfig is a union: exactly one block is set.
type StorageConfig struct {
	// A database file of this process alone.
	SQLite *SQLiteConfig `yaml:"sqlite"`
	// A PostgreSQL database, which several processes may share.
	Postgres *PostgresConfig `yaml:"postgres"`
}

// SQLiteConfig is the embedded database.
type SQLiteConfig struct {
	// The database file, relative to the working directory.
	Path string `yaml:"path"`
}

// PostgresConfig is a PostgreSQL database.
type PostgresConfig struct {
	// The connection URL, a secret: ${NAME}, file:/path, exec:command args, or the URL itself.
	URL config.Secret `yaml:"url"`
}

// ScheduleConfig says when each job runs.
type ScheduleConfig struct {
	// Tokens and requests.
	Usage string `yaml:"usage"`
	// Billed cost.
	Cost string `yaml:"cost"`
	// Workspaces, keys, members, limits.
	Inventory string `yaml:"inventory"`
	// The rules; they are also evaluated after each collection.
	Evaluate string `yaml:"evaluate"`
	// Removal of what retention does not keep.
	Prune string `yaml:"prune"`
}

// HeartbeatConfig is a service that tells somebody when it is not asked for any more.
type HeartbeatConfig struct {
	// The URL to ask for, a secret: ${NAME}, file:/path, exec:command args, or the URL itself; default: none.
	URL config.Secret `yaml:"url"`
}

// RetentionConfig says how long facts are kept.
type RetentionConfig struct {
	// Facts by the minute, and job runs.
	Minute config.Duration `yaml:"minute"`
	// Facts by the hour; older ones are summed up to days.
	Hour config.Duration `yaml:"hour"`
	// Facts by the day; what is older is removed for good.
	Day config.Duration `yaml:"day"`
}

// MetricsConfig says what /metrics shows.
type MetricsConfig struct {
	// Series of each metric, beyond which new ones count as "other"; 0 is no limit.
	MaxSeries int `yaml:"max_series"`
	// Whether there are metrics for each API key.
	APIKeys bool `yaml:"api_keys"`
	// Whether the metrics of Claude Code tell who worked with it: off, hashed (one from another, not
	// who) or named.
	ClaudeCodeActors string `yaml:"claude_code_actors" jsonschema:"enum=off,enum=hashed,enum=named"`
}

// WebConfig is the HTTP server.
type WebConfig struct {
	// Address to listen on, host:port.
	Listen string `yaml:"listen"`
	// The URL under which people reach the pages, for links; default: the address.
	ExternalURL string `yaml:"external_url"`
	// Prometheus web configuration file (TLS, basic auth); default: none.
	ConfigFile string `yaml:"config_file"`
}

// AdminConfig is about monitor admin.
type AdminConfig struct {
	// A file that gets the log of changes as JSON lines too, beside the database; default: none.
	LogFile string `yaml:"log_file"`
}

// Environment variables that are read where the command line and the file say nothing.
const (
	adminKeyVariable = "ANTHROPIC_ADMIN_API_KEY"
	configVariable   = "MONITOR_CONFIG"
)

// defaultConfig is what holds where the file says nothing.
func defaultConfig(getenv func(string) string) *Config {
	key, err := config.ParseSecret("${"+adminKeyVariable+"}", getenv)
	if err != nil {
		panic(err) // a constant
	}
	org := OrganizationConfig{AdminKey: key}
	org.SetDefaults()
	return &Config{
		Organizations: []OrganizationConfig{org},
		Storage:       StorageConfig{SQLite: &SQLiteConfig{Path: filepath.Join(stateDir(getenv), "monitor.db")}},
		Schedule:      ScheduleConfig{Usage: "* * * * *", Cost: "*/5 * * * *", Inventory: "*/10 * * * *", Evaluate: "* * * * *", Prune: "17 3 * * *"},
		Retention:     RetentionConfig{Minute: 14 * day, Hour: 400 * day},
		Audit:         audit.Defaults(),
		Backfill:      90 * day,
		Metrics:       MetricsConfig{MaxSeries: 20_000, APIKeys: true, ClaudeCodeActors: string(metrics.ActorsOff)},
		Web:           WebConfig{Listen: "127.0.0.1:9599"},
	}
}

const day = config.Duration(24 * time.Hour)

// stateDir is where a program of the user keeps data, by the XDG base directory specification, and on
// Windows, which sets no HOME, with the local data of programs; without either it is the working directory.
func stateDir(getenv func(string) string) string {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) { // others are to be ignored
		return filepath.Join(dir, "anthropic-monitor")
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "anthropic-monitor")
	}
	if dir := getenv("LOCALAPPDATA"); dir != "" {
		return filepath.Join(dir, "anthropic-monitor")
	}
	return "."
}

// loadConfig reads the configuration: the file, else $MONITOR_CONFIG, else ./monitor.yaml where
// it exists, else the defaults. Its error holds every problem, as [config.Problems], or is about
// the file as a whole.
func loadConfig(file string, getenv func(string) string) (*Config, error) {
	hint := ""
	if file == "" {
		if file = getenv(configVariable); file != "" {
			hint = " (named by $" + configVariable + ")"
		}
	}
	optional := file == ""
	if optional {
		file = "monitor.yaml"
	}
	data, err := os.ReadFile(file)
	switch {
	case optional && errors.Is(err, fs.ErrNotExist):
		return parseConfig("", nil, getenv)
	case err != nil:
		return nil, fmt.Errorf("reading the configuration%s: %w", hint, err)
	}
	return parseConfig(file, data, getenv)
}

// parseConfig reads what the file of that name holds.
func parseConfig(name string, data []byte, getenv func(string) string) (*Config, error) {
	c := defaultConfig(getenv)
	c.file = name
	f := config.Load(name, data, getenv, c)
	if f.Has("storage.postgres") && !f.Has("storage.sqlite") {
		c.Storage.SQLite = nil
	}
	c.validate(f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// source says where the configuration comes from.
func (c *Config) source() string {
	if c.file == "" {
		return "defaults (no configuration file)"
	}
	return c.file
}

// validate notes everything that is wrong with the values.
func (c *Config) validate(f *config.File) {
	if len(c.Organizations) == 0 {
		f.Problem("organizations", "must list at least one organization")
	}
	for i := range c.Organizations {
		c.Organizations[i].validate(f, fmt.Sprintf("organizations[%d]", i), c.Organizations[:i])
	}
	c.Storage.validate(f)
	c.Schedule.validate(f)
	c.Retention.validate(f, c.Backfill)
	var names []string
	for _, o := range c.Organizations {
		names = append(names, o.Name)
	}
	c.Audit.Validate(func(path, format string, args ...any) { f.Problem("audit."+path, format, args...) }, names)
	if c.Metrics.MaxSeries < 0 {
		f.Problem("metrics.max_series", "must not be negative (0 is no limit)")
	}
	switch metrics.Actors(c.Metrics.ClaudeCodeActors) {
	case metrics.ActorsOff, metrics.ActorsHashed, metrics.ActorsNamed:
	default:
		f.Problem("metrics.claude_code_actors", "must be %s, %s or %s", metrics.ActorsOff, metrics.ActorsHashed, metrics.ActorsNamed)
	}
	c.Web.validate(f)
	c.Teams.Check(f.Problem)
	alerts.CheckRules(c.Rules, c.notifierNames(), func(path, format string, args ...any) { f.Problem("rules"+path, format, args...) })
	validateBalances(f, c.Rules, time.Now())
	c.Heartbeat.validate(f)
	c.Prices.Check(func(path, format string, args ...any) { f.Problem("prices."+path, format, args...) })
	alerts.ValidateNotifiers(f, "notifiers", c.Notifiers)
	alerts.ValidateDigests(f, "digests", c.Digests, c.Notifiers, checkSchedule)
}

func (o *OrganizationConfig) validate(f *config.File, path string, before []OrganizationConfig) {
	for i, other := range before {
		if o.Name != "" && o.Name == other.Name {
			f.Problem(path+".name", "is the name of organizations[%d] too", i)
		}
		if !o.AdminKey.IsZero() && o.AdminKey.Equal(other.AdminKey) {
			f.Problem(path+".admin_key", "is the key of organizations[%d] too, but belongs to one only", i)
		}
	}
	if o.AdminKey.IsZero() {
		f.Problem(path+".admin_key", "must be set, for example to ${%s}", adminKeyVariable)
	} else if key, ok := o.AdminKey.Peek(); ok && strings.HasPrefix(key, "sk-ant-api03-") {
		f.Problem(path+".admin_key", "is a workspace key (%s), which the Admin API refuses: an Admin API key "+
			"is needed (sk-ant-admin…), which an admin of the organization creates in the Console", o.AdminKey.Source())
	}
	checkURL(f, path+".base_url", o.BaseURL)
	switch o.Reports {
	case collector.ReportsAuto, collector.ReportsAnalytics, collector.ReportsLegacy:
	default:
		f.Problem(path+".reports", "must be %s, %s or %s",
			collector.ReportsAuto, collector.ReportsAnalytics, collector.ReportsLegacy)
	}
}

func (s *StorageConfig) validate(f *config.File) {
	switch {
	case s.SQLite != nil && s.Postgres != nil:
		f.Problem("storage", "must have exactly one of sqlite and postgres")
	case s.SQLite != nil && s.SQLite.Path == "":
		f.Problem("storage.sqlite.path", "must be set")
	case s.Postgres != nil && s.Postgres.URL.IsZero():
		f.Problem("storage.postgres.url", "must be set, for example to ${DATABASE_URL}")
	}
}

func (s *ScheduleConfig) validate(f *config.File) {
	for _, x := range []struct{ key, text string }{
		{"usage", s.Usage}, {"cost", s.Cost}, {"inventory", s.Inventory}, {"evaluate", s.Evaluate}, {"prune", s.Prune},
	} {
		if err := checkSchedule(x.text); err != nil {
			f.Problem("schedule."+x.key, "%s", err)
		}
	}
}

// leastDays is the least that retention by the day may be, if it is not for ever.
const leastDays = 400 * day

// checkSchedule says what is wrong with a schedule.
func checkSchedule(text string) error {
	if _, err := collector.ParseSchedule(text); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "schedule "))
	}
	return nil
}

// validateBalances notes prepaid balances and top-ups that were not paid yet.
func validateBalances(f *config.File, rules []alerts.RuleConfig, now time.Time) {
	for i, r := range rules {
		if r.Balance == nil {
			continue
		}
		path := fmt.Sprintf("rules[%d].balance.", i)
		if r.Balance.Since.After(now) {
			f.Problem(path+"since", "is in the future: enter a balance as it was read in the Console")
		}
		for j, t := range r.Balance.TopUps {
			if t.At.After(now) {
				f.Problem(fmt.Sprintf("%stop_ups[%d].at", path, j), "is in the future: enter a top-up once it is paid")
			}
		}
	}
}

func (h *HeartbeatConfig) validate(f *config.File) {
	if text, ok := h.URL.Peek(); ok {
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			f.Problem("heartbeat.url", "must be a URL that starts with http:// or https://")
		}
	}
}

// notifierNames are the names that rules may notify.
func (c *Config) notifierNames() []string {
	var names []string
	for _, n := range c.Notifiers {
		names = append(names, n.Name)
	}
	return names
}

func (r *RetentionConfig) validate(f *config.File, backfill config.Duration) {
	switch {
	case r.Minute != 0 && r.Minute < day:
		f.Problem("retention.minute", "must be at least 1d, or 0 for ever")
	case r.Hour != 0 && r.Minute == 0:
		f.Problem("retention.hour", "must be 0 too where retention.minute is 0, for ever")
	case r.Hour != 0 && r.Hour < r.Minute:
		f.Problem("retention.hour", "must not be shorter than retention.minute (%s)", r.Minute)
	}
	switch {
	case r.Day == 0:
	case r.Hour == 0:
		f.Problem("retention.day", "must be 0 too where retention.hour is 0, for ever")
	case r.Day < leastDays:
		f.Problem("retention.day", "must be at least %s, or 0 for ever: a year of days is read to find when keys were last used", leastDays)
	case r.Day < r.Hour:
		f.Problem("retention.day", "must not be shorter than retention.hour (%s)", r.Hour)
	case r.Day < backfill:
		f.Problem("retention.day", "must not be shorter than backfill (%s)", backfill)
	}
}

func (w *WebConfig) validate(f *config.File) {
	if _, port, err := net.SplitHostPort(w.Listen); err != nil {
		f.Problem("web.listen", "must be host:port, such as 127.0.0.1:9599 or :9599")
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		f.Problem("web.listen", "must end in a port from 0 to 65535")
	}
	if w.ExternalURL != "" {
		checkURL(f, "web.external_url", w.ExternalURL)
	}
	if err := toolkit.Validate(w.ConfigFile); err != nil {
		f.Problem("web.config_file", "%s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

func checkURL(f *config.File, path, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		f.Problem(path, "must be a URL that starts with http:// or https://")
	case u.User != nil:
		f.Problem(path, "must not contain a user or password")
	case u.RawQuery != "" || u.Fragment != "":
		f.Problem(path, "must not contain ? or #")
	}
}
