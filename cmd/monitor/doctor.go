package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// skewLimit is how far this machine's clock may be off before the newest data looks missing.
const skewLimit = 2 * time.Minute

type doctorCmd struct {
	Quick bool `xor:"mode" help:"Only ask whether the daemon on this machine is healthy, for health checks."`
	Send  bool `xor:"mode" help:"Have each notifier send a message that is marked as a test."`
}

// Run tries each thing for real and prints a line for it; it fails if one of them does.
func (c doctorCmd) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	if c.Quick {
		return quick(a, config)
	}
	d := &doctor{app: a}
	d.say(true, "configuration", config.source())
	d.database(config)
	for _, org := range config.Organizations {
		d.organization(org)
	}
	d.notifiers(config, c.Send)
	if d.failures > 0 {
		return fmt.Errorf("%d of the checks failed, see above", d.failures)
	}
	return nil
}

type doctor struct {
	*app
	failures int
}

func (d *doctor) say(ok bool, what, result string) {
	mark := "ok  "
	if !ok {
		mark = "FAIL"
		d.failures++
	}
	fmt.Fprintf(d.stdout, "%s  %-16s %s\n", mark, what, printableLines(result))
}

func (d *doctor) note(what, result string) {
	fmt.Fprintf(d.stdout, "--    %-16s %s\n", what, printableLines(result))
}

func (d *doctor) database(config *Config) {
	store, err := openStore(d.ctx, d.app, config)
	if err != nil {
		d.say(false, "database", err.Error())
		return
	}
	defer store.Close()
	if err := store.Ping(d.ctx); err != nil {
		d.say(false, "database", err.Error())
		return
	}
	where := "SQLite, "
	if config.Storage.Postgres != nil {
		where = "PostgreSQL"
	} else {
		where += config.Storage.SQLite.Path
	}
	d.say(true, "database", where+", reachable, migrations applied")
	d.patterns(config, store)
	d.calibration(store)
	d.rules(config, store)
}

// rules says which filters of rules match nothing of what was collected.
func (d *doctor) rules(config *Config, store storage.Store) {
	orgs, err := store.Organizations(d.ctx)
	if err != nil {
		d.say(false, "rules", err.Error())
		return
	}
	for _, o := range orgs {
		texts, err := alerts.Unmatched(d.ctx, store, o.Organization, config.Rules)
		if err != nil {
			d.say(false, "rules", err.Error())
			return
		}
		for _, text := range texts {
			d.note("rules", text)
		}
	}
	if len(config.Rules) > 0 {
		d.say(true, "rules", fmt.Sprintf("%d configured", len(config.Rules)))
	}
}

// organization tries the key and what it reaches.
func (d *doctor) organization(config OrganizationConfig) {
	name := config.Name
	if name == "" {
		name = "organization"
	}
	client, err := newClient(d.app, config)
	if err != nil {
		d.say(false, name, err.Error())
		return
	}
	org, err := client.Organization(d.ctx)
	if err != nil {
		d.say(false, name, "key from "+config.AdminKey.Source()+": "+keyAdvice(err).Error())
		return
	}
	d.say(true, name, fmt.Sprintf("key from %s accepted: %s (%s)", config.AdminKey.Source(), org.Name, org.ID))
	if skew, ok := client.Skew(); ok {
		advice := ""
		if skew.Abs() > skewLimit {
			advice = ": set this machine's clock by NTP"
		}
		d.say(advice == "", "clock", fmt.Sprintf("%s off the API's%s", skew.Abs().Round(time.Second), advice))
	}
	keys, err := client.APIKeys(d.ctx)
	d.result("api keys", fmt.Sprintf("%d listed", len(keys)), err)
	workspaces, err := client.Workspaces(d.ctx)
	d.result("workspaces", fmt.Sprintf("%d listed", len(workspaces)), err)
	d.reports(client)
}

// reports says which generation answers, and what each says that yesterday cost.
func (d *doctor) reports(client *adminapi.Client) {
	yesterday := spend.Day.Bucket(time.Now().Add(-24 * time.Hour))
	q := adminapi.Query{Window: yesterday, Grain: spend.Day, Total: true}
	usage := d.try("messages", func() (string, error) {
		answer, err := client.Usage(d.ctx, q)
		var counts spend.Counts
		for _, u := range answer.Rows {
			counts.Add(u.Counts)
		}
		return fmt.Sprintf("%d tokens yesterday", counts.Tokens()), err
	})
	usage = d.try("analytics usage", func() (string, error) {
		answer, err := client.AnalyticsUsage(d.ctx, q)
		var requests int64
		for _, u := range answer.Rows {
			requests += u.Requests
		}
		return fmt.Sprintf("%d requests yesterday, complete up to %s", requests, stamp(answer.DataAt)), err
	}) || usage
	if !usage {
		d.say(false, "usage", "no report answers this key")
	}
	cost := func(name string, ask func(context.Context, adminapi.Query) (adminapi.Answer[spend.Cost], error), asOf bool) bool {
		return d.try(name, func() (string, error) {
			answer, err := ask(d.ctx, q)
			var sum spend.Money
			for _, c := range answer.Rows {
				sum += c.Amount
			}
			text := fmt.Sprintf("yesterday (%s UTC) was $%s: compare with the Console", yesterday.Start.Format(time.DateOnly), sum)
			if asOf {
				text += ", complete up to " + stamp(answer.DataAt)
			}
			return text, err
		})
	}
	billed := cost("analytics cost", client.AnalyticsCosts, true)
	billed = cost("cost report", client.Costs, false) || billed
	if !billed {
		d.say(false, "cost", "no report answers this key")
	}
}

// try tries a report; that one is refused is no failure as long as another answers.
func (d *doctor) try(name string, ask func() (string, error)) bool {
	text, err := ask()
	var e *adminapi.Error
	if errors.As(err, &e) && e.Refused() {
		d.note(name, "refused: "+e.Error())
		return false
	}
	d.result(name, text, err)
	return err == nil
}

func (d *doctor) result(what, text string, err error) {
	if err != nil {
		text = err.Error()
	}
	d.say(err == nil, what, text)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "no time yet"
	}
	return t.UTC().Format(time.RFC3339)
}

// whereKeys says where to get the right key.
const whereKeys = "an admin of the organization makes an Admin API key in the Console under Settings, Admin keys"

// keyAdvice says what to do about a key that cannot be read or is refused; other errors stay as they are.
func keyAdvice(err error) error {
	var e *adminapi.Error
	switch {
	case !errors.As(err, &e):
		if errors.Is(err, adminapi.ErrNoKey) {
			return fmt.Errorf("%w (%s)", err, whereKeys)
		}
		return err
	case e.Kind == adminapi.KindAuthentication:
		return fmt.Errorf("%w (the key is unknown, revoked or expired: %s)", err, whereKeys)
	case e.Kind == adminapi.KindPermission && e.Endpoint != "me": // the key is one that reads the organization
		return fmt.Errorf("%w (the key is known, but may not read this: its role or scope does not reach that far)", err)
	case e.Kind == adminapi.KindPermission:
		return fmt.Errorf("%w (this is no Admin API key, or the account is an individual one, which has no Admin API: %s)", err, whereKeys)
	case e.Kind == adminapi.KindNotFound && e.Type == "": // the API says of what kind its errors are
		return fmt.Errorf("%w (this is not the Admin API: check base_url)", err)
	default:
		return err
	}
}

// quick asks the daemon of this configuration whether it is healthy. Certificates are not checked:
// the question goes to this machine only.
func quick(a *app, config *Config) error {
	ctx, stop := context.WithTimeout(a.ctx, 5*time.Second)
	defer stop()
	host, port, err := net.SplitHostPort(config.Web.Listen)
	if err != nil {
		return usageError{fmt.Errorf("web.listen: %w", err)}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	scheme := "http"
	if web, err := loadWebConfig(config.Web.ConfigFile); err != nil {
		return usageError{fmt.Errorf("web.config_file: %w", err)}
	} else if web.tls() {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/-/healthy", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if refused := new(net.OpError); errors.As(err, &refused) && refused.Op == "remote error" {
		_, err = fmt.Fprintln(a.stdout, "healthy") // a daemon that asks for a certificate, by a TLS alert, is alive
		return err
	}
	if err != nil {
		return fmt.Errorf("the daemon does not answer: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return err
	}
	// A daemon that asks for a password is alive.
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("the daemon is not healthy: %s", strings.TrimSpace(string(body)))
	}
	_, err = fmt.Fprintln(a.stdout, "healthy")
	return err
}
