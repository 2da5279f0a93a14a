package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Repeater is a notifier that wants to be told of a firing alert again and again, without anybody
// being told: it is a receiver that forgets. While an alert fires (or is stale), the engine sends
// it an [spend.EventReminder] at least every Repeats, whatever the rule's own repeat is; a missed
// one does no harm.
type Repeater interface{ Repeats() time.Duration }

// alertmanagerNotifier posts alerts to an Alertmanager, which groups, routes, silences and sends
// them. Alertmanager knows an alert by its labels and forgets it when its end comes: a firing alert
// is posted with an end that lies ahead by the configured keep and is posted again by then, so that
// neither a restart of ours nor one of Alertmanager's resolves it. A resolve is posted with the end
// it had.
type alertmanagerNotifier struct {
	config    AlertmanagerConfig
	templates overrides
	options   NotifierOptions
	client    *http.Client
}

func newAlertmanager(c AlertmanagerConfig, templates overrides, o NotifierOptions) (*alertmanagerNotifier, error) {
	transport, err := newTransport(c.TLS, false)
	if err != nil {
		return nil, err
	}
	c.URL = strings.TrimRight(c.URL, "/")
	return &alertmanagerNotifier{c, templates, o, newHTTPClient(transport)}, nil
}

// Repeats implements [Repeater].
func (a *alertmanagerNotifier) Repeats() time.Duration { return a.config.Repeat.Duration() }

// postableAlert is an alert as Alertmanager's API v2 takes it.
type postableAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// testKeep is how long a test alert fires before it ends by itself.
const testKeep = 5 * time.Minute

// Notify implements [Notifier]. There is no receipt.
func (a *alertmanagerNotifier) Notify(ctx context.Context, n spend.Notification) (string, error) {
	ctx, stop := context.WithTimeout(ctx, a.options.Timeout)
	defer stop()
	if len(n.Alerts) == 0 {
		return "", &refused{text: fmt.Sprintf("Alertmanager takes alerts only, not a %s", n.Event)}
	}
	body, err := json.Marshal(a.alerts(a.options.complete(n), time.Now()))
	if err != nil {
		return "", fmt.Errorf("alertmanager: %w", err)
	}
	_, err = a.request(ctx, http.MethodPost, "/api/v2/alerts", body)
	return "", err
}

func (a *alertmanagerNotifier) alerts(n spend.Notification, now time.Time) []postableAlert {
	posted := make([]postableAlert, 0, len(n.Alerts))
	for _, x := range n.Alerts {
		p := postableAlert{
			Labels: alertLabels(n, x), Annotations: alertAnnotations(n, x, a.templates), StartsAt: x.FiredAt.UTC(),
			EndsAt: now.UTC().Add(a.config.Keep.Duration()), GeneratorURL: x.PageURL,
		}
		switch n.Event {
		case spend.EventResolved:
			p.EndsAt = resolvedAt(n, x)
		case spend.EventTest:
			p.EndsAt = now.UTC().Add(testKeep)
		}
		if p.EndsAt.Before(p.StartsAt) { // Alertmanager refuses it
			p.StartsAt = p.EndsAt
		}
		posted = append(posted, p)
	}
	return posted
}

// Check implements [Notifier].
func (a *alertmanagerNotifier) Check(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, a.options.Timeout)
	defer stop()
	body, err := a.request(ctx, http.MethodGet, "/api/v2/status", nil)
	if err != nil {
		return err
	}
	var status struct {
		VersionInfo struct{ Version string }
	}
	if err := json.Unmarshal(body, &status); err != nil || status.VersionInfo.Version == "" {
		return fmt.Errorf("alertmanager at %s: what answers is no Alertmanager: check url", where(a.config.URL))
	}
	return nil
}

// request asks Alertmanager; after a refusal for its headers it reads them anew and asks once more.
func (a *alertmanagerNotifier) request(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	var secrets hidden
	try := func() ([]byte, error) {
		header, err := headers(ctx, a.config.Headers, a.options.UserAgent, &secrets)
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, method, a.config.URL+path, strings.NewReader(string(body)))
		if err != nil {
			return nil, &refused{text: "the URL cannot be used"}
		}
		r.Header = header
		return do(a.client, r)
	}
	answer, err := try()
	if askedAnew(ctx, err, a.config.Headers) {
		answer, err = try()
	}
	return answer, secrets.wrap("alertmanager at "+where(a.config.URL), err)
}
