package alerts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// webhookNotifier posts what Alertmanager's webhooks post, in version 4, so that what receives
// those needs no change. A message holds the alerts that changed, not all that fire: a receiver
// that keeps state goes by the alerts' fingerprints, which are the same from firing to resolve.
type webhookNotifier struct {
	name      string
	config    WebhookConfig
	templates overrides
	options   NotifierOptions
	transport *http.Transport
	client    *http.Client
}

func newWebhook(name string, c WebhookConfig, templates overrides, o NotifierOptions) (*webhookNotifier, error) {
	transport, err := newTransport(c.TLS, c.PublicOnly)
	if err != nil {
		return nil, err
	}
	return &webhookNotifier{name, c, templates, o, transport, newHTTPClient(transport)}, nil
}

// Notify implements [Notifier]. There is no receipt.
func (w *webhookNotifier) Notify(ctx context.Context, n spend.Notification) (string, error) {
	ctx, stop := context.WithTimeout(ctx, w.options.Timeout)
	defer stop()
	body, err := json.Marshal(newWebhookBody(w.name, w.options.complete(n), w.templates, w.options))
	if err != nil {
		return "", fmt.Errorf("webhook: %w", err)
	}
	var secrets hidden
	to := "webhook"
	err = withSecret(ctx, w.config.URL, func(url string) error {
		secrets.add(url)
		to = "webhook at " + where(url)
		try := func() error {
			header, err := headers(ctx, w.config.Headers, w.options.UserAgent, &secrets)
			if err != nil {
				return err
			}
			header.Set("webhook-id", n.ID) // also where nothing is signed: a repetition is told by it
			if err := w.sign(ctx, header, n.ID, body, &secrets); err != nil {
				return err
			}
			return post(ctx, w.client, url, header, body)
		}
		err := try()
		if askedAnew(ctx, err, w.config.Headers) {
			err = try()
		}
		return err
	})
	return "", secrets.wrap(to, err)
}

// sign adds the signature where a secret is set.
func (w *webhookNotifier) sign(ctx context.Context, h http.Header, id string, body []byte, secrets *hidden) error {
	if w.config.Secret.IsZero() {
		return nil
	}
	text, err := w.config.Secret.Value(ctx, false)
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	secrets.add(text)
	if err := sign(h, text, id, time.Now(), body); err != nil {
		return &refused{text: "secret: " + err.Error()}
	}
	return nil
}

// Check implements [Notifier]: anything but a message tells only whether somebody answers.
func (w *webhookNotifier) Check(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, w.options.Timeout)
	defer stop()
	var secrets hidden
	to := "webhook"
	err := withSecret(ctx, w.config.URL, func(url string) error {
		secrets.add(url)
		to = "webhook at " + where(url)
		return reach(ctx, w.transport, url)
	})
	return secrets.wrap(to, err)
}

// headers are the request's headers with those of the configuration.
func headers(ctx context.Context, more map[string]config.Secret, userAgent string, secrets *hidden) (http.Header, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	if userAgent != "" {
		h.Set("User-Agent", userAgent)
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		value, err := more[name].Value(ctx, false)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		secrets.add(value)
		// Of "Bearer x" and "Basic x" the second word is the secret.
		if _, token, ok := strings.Cut(value, " "); ok {
			secrets.add(token)
		}
		h.Set(name, value)
	}
	return h, nil
}

// askedAnew reports whether a request was refused for secrets in its headers, and reads them anew.
func askedAnew(ctx context.Context, err error, more map[string]config.Secret) bool {
	var r *refused
	if len(more) == 0 || !errors.As(err, &r) || !r.auth {
		return false
	}
	changed := false
	for _, s := range more {
		before, err := s.Value(ctx, false)
		after, again := s.Value(ctx, true)
		changed = changed || err == nil && again == nil && before != after
	}
	return changed
}

// signingKey reads a secret of Standard Webhooks: whsec_ and the base64 of 24 to 64 bytes.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func signingKey(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("must be whsec_ and the base64 of 24 to 64 random bytes: " +
			`make one by "echo whsec_$(openssl rand -base64 32)"`)
	}
	return key, nil
}

// sign adds the headers of Standard Webhooks, beside the id. That is the same in each attempt, the time is not.
func sign(h http.Header, secret, id string, now time.Time, body []byte) error {
	key, err := signingKey(secret)
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// webhookBody is the body of Alertmanager's webhooks, version 4, in its order.
// https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
type webhookBody struct {
	Receiver          string            `json:"receiver"`
	Status            string            `json:"status"`
	Alerts            []webhookAlert    `json:"alerts"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   uint64            `json:"truncatedAlerts"`
}

type webhookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

func newWebhookBody(receiver string, n spend.Notification, templates overrides, o NotifierOptions) webhookBody {
	b := webhookBody{
		Receiver: receiver, Status: alertStatus(n), ExternalURL: o.ExternalURL, Version: "4",
		GroupLabels: map[string]string{string(spend.ByOrganization): o.organization(n)},
	}
	if len(n.Alerts) == 0 {
		b.Alerts = []webhookAlert{{
			Status: b.Status, Labels: messageLabels(n, o.organization(n)), Annotations: annotations("summary", titleText(n), "description", strings.TrimSpace(n.Text)),
			StartsAt: n.CreatedAt.UTC(), GeneratorURL: o.ExternalURL,
			Fingerprint: spend.Alert{Organization: n.Organization, Rule: string(n.Event), FiredAt: n.CreatedAt}.Fingerprint(),
		}}
	}
	for _, a := range n.Alerts {
		x := webhookAlert{
			Status: b.Status, Labels: alertLabels(n, a), Annotations: alertAnnotations(n, a, templates),
			StartsAt: a.FiredAt.UTC(), GeneratorURL: a.PageURL, Fingerprint: a.Fingerprint(),
		}
		if n.Event == spend.EventResolved {
			x.EndsAt = resolvedAt(n, a)
		}
		b.Alerts = append(b.Alerts, x)
	}
	b.CommonLabels, b.CommonAnnotations = b.Alerts[0].Labels, b.Alerts[0].Annotations
	for _, a := range b.Alerts[1:] {
		b.CommonLabels = common(b.CommonLabels, a.Labels)
		b.CommonAnnotations = common(b.CommonAnnotations, a.Annotations)
	}
	if name, ok := b.CommonLabels["alertname"]; ok {
		b.GroupLabels["alertname"] = name
	}
	b.GroupKey = groupKey(b.GroupLabels)
	return b
}

// groupKey is written as Alertmanager writes it, for an empty route.
func groupKey(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{}:{" + strings.Join(parts, ", ") + "}"
}

func alertStatus(n spend.Notification) string {
	if n.Event == spend.EventResolved {
		return "resolved"
	}
	return "firing"
}

// resolvedAt is when the alert was over, at the latest when the message was written.
func resolvedAt(n spend.Notification, a spend.Alert) time.Time {
	if a.ResolvedAt.IsZero() {
		return n.CreatedAt.UTC()
	}
	return a.ResolvedAt.UTC()
}

var notInLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// alertLabels are the alert's labels as Prometheus names labels, with alertname for the rule. The
// mark of a test is a label, so that it can be routed.
func alertLabels(n spend.Notification, a spend.Alert) map[string]string {
	ls := map[string]string{}
	for name, value := range a.Labels {
		name = notInLabels.ReplaceAllString(name, "_")
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			name = "_" + name
		}
		if value != "" {
			ls[name] = value
		}
	}
	ls["alertname"] = a.Rule
	if n.Event == spend.EventTest {
		ls["alertname"], ls["test"] = "TEST "+a.Rule, "true"
	}
	return ls
}

// messageLabels are those of a message without alerts.
func messageLabels(n spend.Notification, organization string) map[string]string {
	ls := map[string]string{
		"alertname": string(n.Event), string(spend.ByOrganization): organization, "severity": string(spend.Info),
	}
	if n.Event == spend.EventTest {
		ls["alertname"], ls["test"] = "TEST", "true"
	}
	return ls
}

// alertAnnotations say for people what the alert is. Templates are executed for each alert alone.
func alertAnnotations(n spend.Notification, a spend.Alert, templates overrides) map[string]string {
	n.Alerts = []spend.Alert{a}
	title, text := templates.apply(n, plain)
	if title == "" {
		if title = summaryText(a); n.Event == spend.EventTest {
			title = "TEST: " + title
		}
	}
	if text == "" {
		if text = a.Description; n.Event == spend.EventTest {
			text = strings.TrimSpace(testNote + " " + text)
		}
	}
	limit := ""
	if a.Limit != 0 {
		limit = formatValue(a.Limit, a.Unit)
	}
	return annotations(
		"summary", title, "description", text, "value", formatValue(a.Value, a.Unit), "limit", limit,
		"as_of", asOfText(a), "contributors", strings.Join(contributorTexts(a), "; "), "runbook_url", a.RunbookURL,
	)
}

// annotations makes a map of names and values, without empty values.
func annotations(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// common is what both maps say.
func common(a, b map[string]string) map[string]string {
	m := map[string]string{}
	for name, value := range a {
		if other, ok := b[name]; ok && other == value {
			m[name] = value
		}
	}
	return m
}
