package alerts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"github.com/anthropic-monitor/monitor/internal/chart"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// slackNotifier posts Block Kit messages, by an incoming webhook or by a bot's token.
//
// With a token the receipt of a message is "channel:ts", and ":n" behind it where the message told
// of n alerts. A reminder answers in the thread and shows in the channel. A resolve answers in the
// thread and, where it tells of all that the message told of, rewrites the message. Pictures are
// put into the thread: that they are missing is logged and nothing else, since the message itself
// has arrived.
type slackNotifier struct {
	config    SlackConfig
	templates overrides
	options   NotifierOptions
	transport *http.Transport
}

func newSlack(c SlackConfig, templates overrides, o NotifierOptions) (*slackNotifier, error) {
	transport, err := newTransport(TLSConfig{}, false)
	if err != nil {
		return nil, err
	}
	return &slackNotifier{c, templates, o, transport}, nil
}

// Notify implements [Notifier].
func (s *slackNotifier) Notify(ctx context.Context, n spend.Notification) (string, error) {
	ctx, stop := context.WithTimeout(ctx, s.options.Timeout)
	defer stop()
	n = s.options.complete(n)
	message := s.message(n)
	if !s.config.WebhookURL.IsZero() {
		return "", s.byWebhook(ctx, func(url string) error { return s.postWebhook(ctx, url, message) })
	}
	var secrets hidden
	var receipt string
	err := withSecret(ctx, s.config.Token, func(token string) (err error) {
		secrets.add(token)
		receipt, err = s.post(ctx, s.client(token), secrets, n, message)
		return err
	})
	return receipt, secrets.wrap("Slack", err)
}

// Check implements [Notifier]. A webhook has no way to be tried but by a message: its host must answer.
func (s *slackNotifier) Check(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, s.options.Timeout)
	defer stop()
	if !s.config.WebhookURL.IsZero() {
		return s.byWebhook(ctx, func(url string) error { return reach(ctx, s.transport, url) })
	}
	var secrets hidden
	return secrets.wrap("Slack", withSecret(ctx, s.config.Token, func(token string) error {
		secrets.add(token)
		_, err := s.client(token).AuthTestContext(ctx)
		return slackError(err)
	}))
}

// byWebhook calls do with the webhook's URL.
func (s *slackNotifier) byWebhook(ctx context.Context, do func(url string) error) error {
	var secrets hidden
	to := "Slack webhook"
	err := withSecret(ctx, s.config.WebhookURL, func(url string) error {
		secrets.add(url)
		to = "Slack webhook at " + where(url)
		return do(url)
	})
	return secrets.wrap(to, err)
}

func (s *slackNotifier) client(token string) *slack.Client {
	options := []slack.Option{slack.OptionHTTPClient(newHTTPClient(limitedBodies{s.transport}))}
	if s.options.slackURL != "" {
		options = append(options, slack.OptionAPIURL(s.options.slackURL))
	}
	return slack.New(token, options...)
}

// limitedBodies cuts answers that have no end.
type limitedBodies struct{ next http.RoundTripper }

func (l limitedBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, 1<<20), answer.Body}
	}
	return answer, err
}

// post sends the message by token and returns its receipt.
func (s *slackNotifier) post(
	ctx context.Context, api *slack.Client, secrets hidden, n spend.Notification, m slackMessage,
) (string, error) {
	thread, threaded := parseSlackReceipt(n.Thread)
	if threaded && (n.Event == spend.EventResolved || n.Event == spend.EventReminder) {
		err := s.answer(ctx, api, secrets, thread, n, m)
		if !gone(err) {
			return n.Thread, err
		}
	}
	channel, ts, err := s.send(ctx, api, s.config.Channel, m)
	if err != nil {
		return "", err
	}
	receipt := slackReceipt{channel, ts, len(n.Alerts)}
	s.sendPictures(ctx, api, secrets, receipt, n)
	return receipt.String(), nil
}

// send posts a message. A message whose form Slack refuses is sent once more as plain text: an
// alert that looks bad is better than none.
func (s *slackNotifier) send(
	ctx context.Context, api *slack.Client, channel string, m slackMessage, more ...slack.MsgOption,
) (string, string, error) {
	try := func(m slackMessage) (string, string, error) {
		options := append([]slack.MsgOption{
			slack.MsgOptionText(m.text, false), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
		}, more...)
		if len(m.blocks) > 0 {
			options = append(options, slack.MsgOptionBlocks(m.blocks...))
		}
		return api.PostMessageContext(ctx, channel, options...)
	}
	at, ts, err := try(m)
	if badForm(err) {
		s.options.Log.Warn("Slack refuses the message's form, it is sent as plain text", "err", slackCode(err))
		at, ts, err = try(m.plain())
	}
	return at, ts, slackError(err)
}

// answer tells in the thread of an earlier message. Rewriting that message comes first, as it can
// be repeated without harm if the answer fails.
func (s *slackNotifier) answer(
	ctx context.Context, api *slack.Client, secrets hidden, thread slackReceipt, n spend.Notification, m slackMessage,
) error {
	options := []slack.MsgOption{slack.MsgOptionTS(thread.ts)}
	if n.Event == spend.EventReminder {
		options = append(options, slack.MsgOptionBroadcast())
	} else if thread.alerts == len(n.Alerts) {
		_, _, _, err := api.UpdateMessageContext(ctx, thread.channel, thread.ts,
			slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...))
		if err = slackError(err); err != nil {
			if !errors.Is(err, ErrPermanent) {
				return err
			}
			s.options.Log.Warn("the first message of a resolved alert cannot be rewritten", "err", secrets.clean(err.Error()))
		}
	}
	_, _, err := s.send(ctx, api, thread.channel, m, options...)
	return err
}

// sendPictures draws the values of the first alerts and puts the pictures into the message's thread.
func (s *slackNotifier) sendPictures(
	ctx context.Context, api *slack.Client, secrets hidden, to slackReceipt, n spend.Notification,
) {
	sent := 0
	for _, a := range n.Alerts {
		points := n.Series[a.Fingerprint()]
		if len(points) == 0 || sent == slackPictures || n.Event == spend.EventResolved {
			continue
		}
		title := oneLine(summaryText(a))
		if n.Event == spend.EventTest {
			title = "TEST: " + title
		}
		picture, err := chart.Line{
			Title: title, Points: points, Limit: a.Limit,
			Format: func(v float64) string { return formatValue(v, a.Unit) },
		}.PNG()
		if errors.Is(err, chart.ErrTooFew) {
			continue
		}
		if err == nil {
			sent++
			_, err = api.UploadFileContext(ctx, slack.UploadFileParameters{
				Reader: bytes.NewReader(picture), FileSize: len(picture), Filename: a.Fingerprint() + ".png",
				Title: cut(title, slackHeaderLimit), AltTxt: cut(title, slackHeaderLimit),
				Channel: to.channel, ThreadTimestamp: to.ts,
			})
		}
		if err != nil {
			s.options.Log.Warn("the picture of an alert was not sent", "rule", a.Rule,
				"err", secrets.wrap("Slack", slackError(err)).Error())
			return
		}
	}
}

// slackReceipt names a message.
type slackReceipt struct {
	channel, ts string
	alerts      int // that the message told of
}

func (r slackReceipt) String() string {
	s := r.channel + ":" + r.ts
	if r.alerts > 1 {
		s += ":" + strconv.Itoa(r.alerts)
	}
	return s
}

func parseSlackReceipt(s string) (slackReceipt, bool) {
	parts := strings.Split(s, ":")
	r := slackReceipt{alerts: 1}
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		if err != nil {
			return r, false
		}
		r.alerts, parts = n, parts[:2]
	}
	if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
		return r, false
	}
	r.channel, r.ts = parts[0], parts[1]
	return r, true
}

// postWebhook sends the message to an incoming webhook, whose refusals are a word in the body.
func (s *slackNotifier) postWebhook(ctx context.Context, url string, m slackMessage) error {
	err := s.tryWebhook(ctx, url, m)
	if badForm(err) {
		s.options.Log.Warn("Slack refuses the message's form, it is sent as plain text", "err", slackCode(err))
		err = s.tryWebhook(ctx, url, m.plain())
	}
	return slackError(err)
}

func (s *slackNotifier) tryWebhook(ctx context.Context, url string, m slackMessage) error {
	no := false
	body := slack.WebhookMessage{Text: m.text, UnfurlLinks: &no, UnfurlMedia: &no}
	if len(m.blocks) > 0 {
		body.Blocks = &slack.Blocks{BlockSet: m.blocks}
	}
	words := &refusalWords{next: limitedBodies{s.transport}}
	err := slack.PostWebhookCustomHTTPContext(ctx, url, newHTTPClient(words), &body)
	var status slack.StatusCodeError
	if errors.As(err, &status) {
		if word := oneLine(words.text); slackWord(word) && status.Code < 500 && status.Code != http.StatusTooManyRequests {
			return slack.SlackErrorResponse{Err: word}
		}
		return statusError(status.Code, words.header, words.text)
	}
	return err
}

// refusalWords keeps what one request was refused with, which slack-go throws away.
type refusalWords struct {
	next   http.RoundTripper
	text   string
	header http.Header
}

func (w *refusalWords) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := w.next.RoundTrip(r)
	if err != nil || answer.StatusCode == http.StatusOK {
		return answer, err
	}
	w.header = answer.Header
	text, err := io.ReadAll(io.LimitReader(answer.Body, excerptLimit*4))
	answer.Body.Close()
	if err != nil {
		return nil, err
	}
	w.text = string(text)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, nil
}

// slackWord reports whether the text is one of Slack's error words.
func slackWord(s string) bool {
	return s != "" && len(s) < 60 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && strings.Contains(s, "_")
}

// slackCode is the word that Slack refused with, empty for other failures.
func slackCode(err error) string {
	var e slack.SlackErrorResponse
	if errors.As(err, &e) {
		return e.Err
	}
	return ""
}

func badForm(err error) bool {
	return slices.Contains([]string{
		"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "invalid_payload", "invalid_attachments",
	}, slackCode(err))
}

// gone reports whether there is nothing to answer to any more: the message was deleted, or its
// channel is not the bot's any longer.
func gone(err error) bool {
	var r *refused
	return errors.As(err, &r) && slices.Contains([]string{
		"thread_not_found", "message_not_found", "cannot_reply_to_message", "channel_not_found", "not_in_channel", "is_archived",
	}, r.code)
}

// slackTemporary are refusals that pass by themselves.
var slackTemporary = []string{
	"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited", "rate_limited",
	"message_limit_exceeded", "rollup_error", "team_added_to_org", "org_login_required", "accesslimited", "workspace_overloaded",
}

// slackAdvice says what to do about refusals.
var slackAdvice = map[string]string{
	"invalid_auth":                      "the token is not accepted: copy the bot's token from the app's page once more",
	"not_authed":                        "the token is not accepted: copy the bot's token from the app's page once more",
	"account_inactive":                  "the bot was removed from the workspace: install the app again",
	"token_revoked":                     "the token was revoked: install the app again and set its new token",
	"token_expired":                     "the token has expired: set a new one",
	"missing_scope":                     "the token lacks a scope: give the app chat:write, and files:write for pictures, and install it again",
	"channel_not_found":                 "there is no such channel, or the bot is no member: check the name and invite the bot",
	"not_in_channel":                    "the bot is no member of the channel: invite it",
	"is_archived":                       "the channel is archived: choose another one",
	"channel_is_archived":               "the channel is archived: choose another one",
	"restricted_action":                 "the workspace does not let the app post here: ask its admins",
	"action_prohibited":                 "the workspace does not let the app post here: ask its admins",
	"posting_to_general_channel_denied": "the workspace does not let the app post here: choose another channel",
	"invalid_blocks":                    "the form of the message is refused: if this notifier has a template, check it",
	"invalid_blocks_format":             "the form of the message is refused: if this notifier has a template, check it",
	"invalid_payload":                   "the form of the message is refused: if this notifier has a template, check it",
	"msg_too_long":                      "the message is too long: if this notifier has a template, shorten it",
	"no_text":                           "the message is empty: if this notifier has a template, check it",
	"no_service":                        "the webhook was removed or disabled: make a new one and set its URL",
	"no_team":                           "the webhook's workspace is gone: make a new webhook and set its URL",
	"no_active_hooks":                   "the webhook was removed or disabled: make a new one and set its URL",
	"invalid_token":                     "the webhook's URL is not right: copy it once more",
	"team_disabled":                     "the workspace is disabled",
}

// slackAuth are refusals after which the secret is read anew.
var slackAuth = []string{
	"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_service", "invalid_token", "no_active_hooks",
}

// slackError says what an error of slack-go means for a retry.
func slackError(err error) error {
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	code := slackCode(err)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return &RetryAfter{After: clampRetry(limited.RetryAfter), Err: errors.New("rate limit exceeded")}
	case errors.As(err, &status) && status.Code < 300: // and no answer in it
		return errors.New(status.Status)
	case errors.As(err, &status):
		return statusError(status.Code, http.Header{}, "")
	case code == "":
		return err
	case slices.Contains(slackTemporary, code):
		return errors.New(code)
	}
	r := &refused{text: code, auth: slices.Contains(slackAuth, code), code: code}
	if advice := slackAdvice[code]; advice != "" {
		r.text += ": " + advice
	}
	return r
}
