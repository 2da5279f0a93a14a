package main

import (
	"crypto/rand"
	"net"
	"time"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// newNotifiers makes the configured notifiers, in their order. Organizations are called by name; it
// may be nil.
func newNotifiers(a *app, config *Config, name func(organization string) string) ([]alerts.Notifier, error) {
	release, _, _ := buildInfo()
	notifiers := make([]alerts.Notifier, 0, len(config.Notifiers))
	for _, c := range config.Notifiers {
		n, err := alerts.New(c, alerts.Options{
			UserAgent: "anthropic-monitor/" + release + " (https://github.com/anthropic-monitor/monitor)",
			Log:       a.log, ExternalURL: config.pagesURL(), Name: name,
		})
		if err != nil {
			return nil, err
		}
		notifiers = append(notifiers, n)
	}
	return notifiers, nil
}

// pagesURL is where people reach the pages: as configured, else the address where that is one; empty
// where it is not known.
func (c *Config) pagesURL() string {
	if c.Web.ExternalURL != "" {
		return c.Web.ExternalURL
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
	for i, n := range notifiers {
		name := config.Notifiers[i].Name
		if err := n.Check(d.ctx); err != nil {
			d.say(false, "notifier "+name, err.Error())
			continue
		}
		if !send {
			d.say(true, "notifier "+name, config.Notifiers[i].Kind()+", reachable (--send sends a test message)")
			continue
		}
		organization := spend.Organization{ID: "test", Name: config.Organizations[0].Name}
		if organization.Name == "" {
			organization.Name = "test"
		}
		_, err := n.Notify(d.ctx, alerts.TestNotification("test-"+rand.Text(), name, organization, time.Now()))
		d.result("notifier "+name, config.Notifiers[i].Kind()+", test message sent", err)
	}
}
