package alerts_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// fakeSlack answers like Slack's API, and refuses what Slack refuses.
type fakeSlack struct {
	*receiver
	mu     sync.Mutex
	refuse map[string]string // by method, the error word
	files  map[string][]byte // uploaded, by id
	posted int
}

func newFakeSlack(t testing.TB) *fakeSlack {
	s := &fakeSlack{refuse: map[string]string{}, files: map[string][]byte{}}
	s.receiver = newReceiver(t, s.serve)
	return s
}

func (s *fakeSlack) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	method := strings.TrimPrefix(r.URL.Path, "/")
	if id, ok := strings.CutPrefix(method, "upload/"); ok {
		s.files[id] = body
		return
	}
	say := func(v map[string]any) {
		if word := s.refuse[method]; word != "" {
			v = map[string]any{"ok": false, "error": word}
		} else {
			v["ok"] = true
		}
		_ = json.NewEncoder(w).Encode(v)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if form.Get("token") != slackToken && r.Header.Get("Authorization") != "Bearer "+slackToken {
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": false, "error": "invalid_auth"})
		return
	}
	switch method {
	case "chat.postMessage", "chat.update":
		if word := blocksProblem(form.Get("blocks")); word != "" {
			_ = json.NewEncoder(w).Encode(map[string]any{"ok": false, "error": "invalid_blocks", "response_metadata": map[string]any{"messages": []string{word}}})
			return
		}
		s.posted++
		say(map[string]any{"channel": "C0OPS", "ts": fmt.Sprintf("1700000000.%06d", s.posted)})
	case "files.getUploadURLExternal":
		say(map[string]any{"upload_url": s.URL + "/upload/F1", "file_id": "F1"})
	case "files.completeUploadExternal":
		say(map[string]any{"files": []map[string]string{{"id": "F1", "title": "x"}}})
	case "auth.test":
		say(map[string]any{"user": "monitor", "team": "acme"})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// blocksProblem is what Slack would refuse of the blocks: https://docs.slack.dev/reference/block-kit/blocks
func blocksProblem(raw string) string {
	if raw == "" {
		return ""
	}
	var blocks []struct {
		Type     string
		Text     *struct{ Type, Text string }
		Fields   []struct{ Type, Text string }
		Elements []struct{ Type, Text string }
	}
	if err := json.Unmarshal([]byte(raw), &blocks); err != nil {
		return err.Error()
	}
	if len(blocks) > 50 {
		return "too many blocks"
	}
	length := utf8.RuneCountInString
	for i, b := range blocks {
		problem := ""
		switch b.Type {
		case "header":
			if b.Text == nil || b.Text.Type != "plain_text" || b.Text.Text == "" || length(b.Text.Text) > 150 {
				problem = "header"
			}
		case "section":
			if b.Text == nil && len(b.Fields) == 0 || len(b.Fields) > 10 {
				problem = "section"
			}
			if b.Text != nil && (b.Text.Text == "" || length(b.Text.Text) > 3000) {
				problem = "text"
			}
			for _, f := range b.Fields {
				if f.Text == "" || length(f.Text) > 2000 {
					problem = "field"
				}
			}
		case "context":
			if len(b.Elements) == 0 || len(b.Elements) > 10 {
				problem = "context"
			}
			for _, e := range b.Elements {
				if e.Text == "" || length(e.Text) > 3000 {
					problem = "element"
				}
			}
		case "divider":
		default:
			problem = "type"
		}
		if problem != "" {
			return fmt.Sprintf("block %d: %s", i, problem)
		}
	}
	return ""
}

func slackBot(t testing.TB, s *fakeSlack, more ...func(*alerts.NotifierConfig)) (alerts.Notifier, *logBuffer) {
	c := alerts.NotifierConfig{Slack: &alerts.SlackConfig{Token: plainly(t, slackToken), Channel: "#ops"}}
	for _, change := range more {
		change(&c)
	}
	return notifierOf(t, c, s.URL+"/")
}

func TestSlackWebhookMessages(t *testing.T) {
	t.Parallel()
	for name, n := range events {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { fmt.Fprint(w, "ok") })
			slack, _ := notifierOf(t, alerts.NotifierConfig{Slack: &alerts.SlackConfig{WebhookURL: plainly(t, server.URL+hookPath)}}, "")
			receipt, err := slack.Notify(t.Context(), n)
			require.NoError(t, err)
			require.Empty(t, receipt)
			got := server.got()
			require.Len(t, got, 1)
			require.Equal(t, hookPath, got[0].path)
			golden.Check(t, "slack/"+name+".json", indented(t, got[0].body))
			var m struct{ Blocks json.RawMessage }
			require.NoError(t, json.Unmarshal(got[0].body, &m))
			require.Empty(t, blocksProblem(string(m.Blocks)))
		})
	}
}

func TestSlackBotThread(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	slack, log := slackBot(t, s)

	firing := notification(spend.EventFiring, 1)
	firing.Series = map[string][]spend.Point{firing.Alerts[0].Fingerprint(): alerts.SampleSeries(now)}
	receipt, err := slack.Notify(t.Context(), firing)
	require.NoError(t, err)
	require.Equal(t, "C0OPS:1700000000.000001", receipt)
	got := s.got()
	require.Len(t, got, 4)
	require.Equal(t, "#ops", got[0].form(t).Get("channel"))
	require.Equal(t, "[FIRING] warning: Cost of workspace Default is $92.00 in the last 24 hours, above $60.00", got[0].form(t).Get("text"))
	require.Equal(t, []string{"/chat.postMessage", "/files.getUploadURLExternal", "/upload/F1", "/files.completeUploadExternal"},
		[]string{got[0].path, got[1].path, got[2].path, got[3].path})
	complete := got[3].form(t)
	require.Equal(t, "C0OPS", complete.Get("channel_id"))
	require.Equal(t, "1700000000.000001", complete.Get("thread_ts"))
	picture := s.files["F1"]
	_, picture, ok := bytes.Cut(picture, []byte("\r\n\r\n"))
	require.True(t, ok, "the upload is a form with a file")
	drawn, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	require.Equal(t, 960, drawn.Bounds().Dx())

	reminder := notification(spend.EventReminder, 1)
	reminder.Thread = receipt
	again, err := slack.Notify(t.Context(), reminder)
	require.NoError(t, err)
	require.Equal(t, receipt, again, "the thread stays")
	form := s.got()[4].form(t)
	require.Equal(t, "1700000000.000001", form.Get("thread_ts"))
	require.Equal(t, "true", form.Get("reply_broadcast"), "a reminder shows in the channel")
	require.Equal(t, "C0OPS", form.Get("channel"))

	resolved := notification(spend.EventResolved, 1)
	resolved.Thread = receipt
	again, err = slack.Notify(t.Context(), resolved)
	require.NoError(t, err)
	require.Equal(t, receipt, again)
	got = s.got()[5:]
	require.Len(t, got, 2)
	require.Equal(t, "/chat.update", got[0].path)
	require.Equal(t, "1700000000.000001", got[0].form(t).Get("ts"))
	require.Contains(t, got[0].form(t).Get("blocks"), "[RESOLVED]")
	require.Equal(t, "/chat.postMessage", got[1].path)
	require.Equal(t, "1700000000.000001", got[1].form(t).Get("thread_ts"))
	require.Empty(t, got[1].form(t).Get("reply_broadcast"))
	require.Empty(t, log.String())
}

// TestSlackBotPartOfThread: a message about several alerts is rewritten only by a resolve of all.
func TestSlackBotPartOfThread(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	slack, _ := slackBot(t, s)
	receipt, err := slack.Notify(t.Context(), notification(spend.EventFiring, 3))
	require.NoError(t, err)
	require.Equal(t, "C0OPS:1700000000.000001:3", receipt)

	part := notification(spend.EventResolved, 2)
	part.Thread = receipt
	_, err = slack.Notify(t.Context(), part)
	require.NoError(t, err)
	require.Len(t, s.got(), 2)
	require.Equal(t, "/chat.postMessage", s.got()[1].path)

	whole := notification(spend.EventResolved, 3)
	whole.Thread = receipt
	_, err = slack.Notify(t.Context(), whole)
	require.NoError(t, err)
	require.Equal(t, "/chat.update", s.got()[2].path)
}

func TestSlackBotThreadIsGone(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	slack, log := slackBot(t, s)
	resolved := notification(spend.EventResolved, 1)
	resolved.Thread = "C0OPS:1.1"

	s.refuse["chat.update"] = "message_not_found"
	_, err := slack.Notify(t.Context(), resolved)
	require.NoError(t, err, "the answer matters, not the rewriting")
	require.Contains(t, log.String(), "the first message of a resolved alert cannot be rewritten")

	s.refuse["chat.update"] = "ratelimited"
	before := len(s.got())
	_, err = slack.Notify(t.Context(), resolved)
	require.Equal(t, retries, outcome(err))
	require.Len(t, s.got(), before+1, "no answer yet, so that it is not doubled by the next attempt")

	s.refuse["chat.update"], s.refuse["chat.postMessage"] = "", "thread_not_found"
	_, err = slack.Notify(t.Context(), resolved)
	require.Equal(t, never, outcome(err), "tried as a message of its own too")
	got := s.got()
	require.Equal(t, "1.1", got[len(got)-2].form(t).Get("thread_ts"))
	require.Empty(t, got[len(got)-1].form(t).Get("thread_ts"))
	require.Equal(t, "#ops", got[len(got)-1].form(t).Get("channel"))

	s.refuse["chat.postMessage"] = ""
	resolved.Thread = "not a receipt of ours"
	receipt, err := slack.Notify(t.Context(), resolved)
	require.NoError(t, err)
	require.NotEmpty(t, receipt)
}

func TestSlackPictureFails(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	s.refuse["files.getUploadURLExternal"] = "missing_scope"
	slack, log := slackBot(t, s)
	n := notification(spend.EventFiring, 1)
	n.Series = map[string][]spend.Point{n.Alerts[0].Fingerprint(): alerts.SampleSeries(now)}
	receipt, err := slack.Notify(t.Context(), n)
	require.NoError(t, err, "the message has arrived")
	require.NotEmpty(t, receipt)
	require.Contains(t, log.String(), "the picture of an alert was not sent")
	require.Contains(t, log.String(), "files:write")
	requireNoSecrets(t, log.String())

	n.Series = map[string][]spend.Point{n.Alerts[0].Fingerprint(): {{At: now, Value: 1}}}
	before := len(s.got())
	_, err = slack.Notify(t.Context(), n)
	require.NoError(t, err)
	require.Len(t, s.got(), before+1, "one value is no picture")
}

// TestSlackWords is what each word of Slack's means for a retry.
func TestSlackWords(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"invalid_auth": never, "not_authed": never, "account_inactive": never, "token_revoked": never, "token_expired": never,
		"missing_scope": never, "channel_not_found": never, "not_in_channel": never, "is_archived": never, "restricted_action": never,
		"msg_too_long": never, "no_text": never, "invalid_blocks": never, "some_new_word": never,
		"internal_error": retries, "fatal_error": retries, "service_unavailable": retries, "request_timeout": retries, "ratelimited": retries,
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			s := newFakeSlack(t)
			s.refuse["chat.postMessage"], s.refuse["auth.test"] = word, word
			slack, log := slackBot(t, s)
			_, err := slack.Notify(t.Context(), notification(spend.EventFiring, 1))
			require.Equal(t, want, outcome(err))
			require.ErrorContains(t, err, word)
			err = slack.Check(t.Context())
			require.ErrorContains(t, err, word)
			requireNoSecrets(t, everythingOf(err)+log.String())
		})
	}
	for word, status := range map[string]int{
		"invalid_blocks": 400, "invalid_payload": 400, "no_text": 400, "action_prohibited": 403, "channel_not_found": 404,
		"no_service": 404, "no_team": 404, "channel_is_archived": 410, "invalid_token": 403,
	} {
		t.Run("webhook/"+word, func(t *testing.T) {
			t.Parallel()
			server := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(status); fmt.Fprint(w, word) })
			_, err := kinds["slack webhook"](t, server.URL).Notify(t.Context(), notification(spend.EventFiring, 1))
			require.Equal(t, never, outcome(err))
			require.ErrorContains(t, err, word+": t", "says what to do")
			requireNoSecrets(t, everythingOf(err))
		})
	}
}

// TestSlackPlainText: where Slack refuses the form, the message is sent without it.
func TestSlackPlainText(t *testing.T) {
	t.Parallel()
	server := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, body []byte) {
		if bytes.Contains(body, []byte(`"blocks"`)) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, "invalid_blocks")
		}
	})
	slack, log := notifierOf(t, alerts.NotifierConfig{Slack: &alerts.SlackConfig{WebhookURL: plainly(t, server.URL+hookPath)}}, "")
	_, err := slack.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.NoError(t, err)
	require.Contains(t, log.String(), "invalid_blocks")
	require.Contains(t, string(server.got()[1].body), "Cost of workspace Default")

	s := newFakeSlack(t)
	s.refuse["chat.postMessage"] = "invalid_blocks"
	bot, _ := slackBot(t, s)
	_, err = bot.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.Equal(t, never, outcome(err))
	require.ErrorContains(t, err, "if this notifier has a template, check it")
	require.Len(t, s.got(), 2)
	require.Empty(t, s.got()[1].form(t).Get("blocks"))
}

func TestSlackCheck(t *testing.T) {
	t.Parallel()
	s := newFakeSlack(t)
	slack, _ := slackBot(t, s)
	require.NoError(t, slack.Check(t.Context()))
	require.Equal(t, "/auth.test", s.got()[0].path)

	server := newReceiver(t, nil)
	require.NoError(t, kinds["slack webhook"](t, server.URL).Check(t.Context()))
	require.Empty(t, server.got(), "a webhook is not tried by a message")
}

// TestSlackLimits: whatever names and texts there are, Slack takes the message.
func TestSlackLimits(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{"ampersands": "&<>", "letters": "long ", "wide": "é€😀", "lines": "a\nb\n", "markup": "<!channel> *b* _i_ ~s~ `c`"} {
		for _, alertsOf := range []int{1, 5, 48} {
			t.Run(fmt.Sprint(name, " ", alertsOf), func(t *testing.T) {
				t.Parallel()
				text := strings.Repeat(piece, 2000)
				n := notification(spend.EventFiring, alertsOf)
				for i := range n.Alerts {
					a := &n.Alerts[i]
					a.Summary, a.Description, a.Rule = text, text, text
					a.Labels = map[string]string{"organization": text, "workspace": text, text: text}
					a.Contributors = []spend.Contributor{{Name: text, Value: 1e300, Share: 1}, {Name: text}, {Name: text}}
					a.PageURL, a.RunbookURL = "https://x/"+strings.Repeat("&|<>", 500), "javascript:alert(1)"
				}
				s := newFakeSlack(t)
				slack, log := slackBot(t, s)
				_, err := slack.Notify(t.Context(), n)
				require.NoError(t, err)
				require.Empty(t, log.String(), "nothing was refused")
				blocks := s.got()[0].form(t).Get("blocks")
				require.NotContains(t, blocks, "<!channel>")
				require.NotContains(t, blocks, "javascript:")
			})
		}
	}
	digest := notification(spend.EventDigest, 0)
	digest.Text = strings.Repeat("a line of a digest & more\n", 10_000)
	s := newFakeSlack(t)
	slack, _ := slackBot(t, s)
	_, err := slack.Notify(t.Context(), digest)
	require.NoError(t, err)
	require.NotContains(t, s.got()[0].form(t).Get("blocks"), "& more", "escaped")
}

func TestSlackText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a &amp; b &lt;c&gt;", alerts.SlackText("a & b <c>", 100))
	for n := 1; n < 60; n++ {
		for _, s := range []string{strings.Repeat("&", 40), strings.Repeat("x&", 20), strings.Repeat("ab", 40)} {
			got := alerts.SlackText(s, n)
			if n > 6 {
				require.LessOrEqual(t, utf8.RuneCountInString(got), n, "%q to %d", s, n)
			}
			require.NotRegexp(t, `&[a-z]*(…|$)`, got, "no half entity")
		}
	}
	parts := alerts.SlackSections(strings.Repeat("0123456789\n", 1000))
	require.Len(t, parts, 4)
	for _, part := range parts {
		require.LessOrEqual(t, len(part), 3000)
		require.True(t, strings.HasSuffix(part, "0123456789"), "cut between lines")
	}
}
