package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"net"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// notifierTimeout bounds a check and a test message.
const notifierTimeout = 30 * time.Second

// newNotifiers makes the configured notifiers, by name. Organizations are called by what name says; it
// may be nil.
func newNotifiers(a *app, config *Config, name func(organization string) string) (map[string]alerts.Notifier, error) {
	release, _, _ := buildInfo()
	notifiers := map[string]alerts.Notifier{}
	for _, c := range config.Notifiers {
		n, err := alerts.NewNotifier(c, alerts.NotifierOptions{
			UserAgent: "anthropic-monitor/" + release + " (https://github.com/anthropic-monitor/monitor)",
			Log:       a.log, ExternalURL: config.pagesURL(), Name: name,
		})
		if err != nil {
			return nil, err
		}
		notifiers[c.Name] = n
	}
	return notifiers, nil
}

// testNotification is a message of the notifier that is marked as a test.
func testNotification(config *Config, notifier string, now time.Time) spend.Notification {
	organization := spend.Organization{ID: "test", Name: cmp.Or(config.Organizations[0].Name, "test")}
	return alerts.TestNotification("test-"+rand.Text(), notifier, organization, now)
}

// pagesURL is where people reach the pages: as configured, else the address where that is one; empty
// where it is not known.
func (c *Config) pagesURL() string {
	if c.Web.ExternalURL != "" {
		return strings.TrimSuffix(c.Web.ExternalURL, "/")
	}
	host, _, err := net.SplitHostPort(c.Web.Listen)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		return ""
	}
	scheme := "http"
	if web, err := loadWebConfig(c.Web.ConfigFile); err == nil && web.tls() {
		scheme = "https"
	}
	return scheme + "://" + c.Web.Listen
}

// notifiers tries each notifier; with send it has each send a message that is marked as a test.
func (d *doctor) notifiers(config *Config, send bool) {
	notifiers, err := newNotifiers(d.app, config, nil)
	if err != nil {
		d.say(false, "notifiers", err.Error())
		return
	}
	for _, c := range config.Notifiers {
		d.notifier(c, notifiers[c.Name], config, send)
	}
}

func (d *doctor) notifier(c alerts.NotifierConfig, n alerts.Notifier, config *Config, send bool) {
	ctx, cancel := context.WithTimeout(d.ctx, notifierTimeout)
	defer cancel()
	err := n.Check(ctx)
	switch {
	case err != nil || !send:
		d.result("notifier "+c.Name, c.Kind()+", reachable (--send sends a test message)", err)
	default:
		_, err = n.Notify(ctx, testNotification(config, c.Name, time.Now()))
		d.result("notifier "+c.Name, c.Kind()+", test message sent", err)
	}
}
