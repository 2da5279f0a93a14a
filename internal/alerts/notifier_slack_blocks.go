package alerts

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Slack's limits, in characters and pieces; what exceeds them is refused as invalid_blocks.
// https://docs.slack.dev/reference/block-kit/blocks
const (
	slackHeaderLimit  = 150
	slackSectionLimit = 3000
	slackFieldLimit   = 2000
	slackFieldsLimit  = 10
	slackBlocksLimit  = 50
	slackTextLimit    = 4000
	slackURLLimit     = 2000
	slackPictures     = 3 // of one message
)

// slackMessage is a message in Slack's form.
type slackMessage struct {
	text   string // what is shown where blocks cannot be
	blocks []slack.Block
}

func (m slackMessage) plain() slackMessage { return slackMessage{text: m.text} }

// message writes the notification in Slack's form.
func (s *slackNotifier) message(n spend.Notification) slackMessage {
	title, text := s.templates.apply(n, slackEscape)
	m := slackMessage{text: slackText(firstOf(title, titleText(n)), slackTextLimit)}
	b := &slackBlocks{}
	b.header(slackSymbol(n) + " " + firstOf(title, slackTitle(n)))
	switch {
	case text != "":
		for part := range slackParts(text) {
			b.section(part)
		}
	case n.Event == spend.EventDigest || len(n.Alerts) == 0:
		body := n.Text
		if n.Event == spend.EventTest {
			body = testNote + "\n" + body
		}
		for part := range slackParts(slackEscape(strings.TrimSpace(body))) {
			b.section(part)
		}
	default:
		b.alerts(n)
	}
	if len(n.Alerts) == 0 && s.options.ExternalURL != "" {
		b.context(slackLink(s.options.ExternalURL, "Open the pages"))
	}
	m.blocks = b.blocks
	return m
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// slackSymbol shows the state at a glance.
func slackSymbol(n spend.Notification) string {
	switch n.Event {
	case spend.EventResolved:
		return "✅"
	case spend.EventDigest:
		return "📊"
	case spend.EventTest:
		return "🧪"
	}
	if len(n.Alerts) == 0 {
		return "🔵"
	}
	return map[spend.Severity]string{spend.Critical: "🔴", spend.Warning: "🟠", spend.Info: "🔵"}[worst(n.Alerts)]
}

// slackTitle is the header: short, since the summary stands under it.
func slackTitle(n spend.Notification) string {
	if len(n.Alerts) != 1 {
		return titleText(n)
	}
	a := n.Alerts[0]
	return fmt.Sprintf("[%s] %s: %s", eventWord(n.Event), a.Severity, a.Rule)
}

// slackBlocks builds a message within Slack's limits.
type slackBlocks struct{ blocks []slack.Block }

// add leaves out what is over the limit; what is most important comes first.
func (b *slackBlocks) add(x slack.Block) {
	if len(b.blocks) < slackBlocksLimit {
		b.blocks = append(b.blocks, x)
	}
}

// mrkdwn is text in Slack's markup and no more: left to itself Slack would also make mentions and links
// of a name such as @here or example.com.
func mrkdwn(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

func (b *slackBlocks) header(text string) {
	b.add(slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, cut(oneLine(text), slackHeaderLimit), true, false)))
}

// section adds text in Slack's markup.
func (b *slackBlocks) section(text string, fields ...*slack.TextBlockObject) {
	if len(fields) > slackFieldsLimit {
		fields = fields[:slackFieldsLimit]
	}
	switch {
	case text != "":
		b.add(slack.NewSectionBlock(mrkdwn(text), fields, nil))
	case len(fields) > 0:
		b.add(slack.NewSectionBlock(nil, fields, nil))
	}
}

func (b *slackBlocks) context(text string) {
	if text != "" {
		b.add(slack.NewContextBlock("", mrkdwn(text)))
	}
}

// alerts tells of one alert in fields; of several, the first ones in a section each, the others in a list.
func (b *slackBlocks) alerts(n spend.Notification) {
	if n.Event == spend.EventTest {
		b.section(slackEscape(testNote))
	}
	full, listed, more := split(n.Alerts)
	for i, a := range full {
		if i > 0 {
			b.add(slack.NewDividerBlock())
		}
		b.section(slackBody(a))
		var fields []*slack.TextBlockObject
		for _, f := range alertFields(a) {
			fields = append(fields, mrkdwn("*"+f.name+"*\n"+slackText(f.value, slackFieldLimit-len(f.name)-3)))
		}
		b.section("", fields...)
		b.context(slackLinks(a))
	}
	if len(listed) == 0 {
		return
	}
	b.add(slack.NewDividerBlock())
	var list strings.Builder
	for i, a := range listed {
		line := "• " + slackText(oneLine(summaryText(a)), 200) + "\n"
		if utf8.RuneCountInString(list.String()+line) > slackSectionLimit-50 {
			more += len(listed) - i
			break
		}
		list.WriteString(line)
	}
	if more > 0 {
		list.WriteString(moreText(more))
	}
	b.section(strings.TrimSpace(list.String()))
}

// slackBody is the alert's summary, description and greatest parts.
func slackBody(a spend.Alert) string {
	var b strings.Builder
	b.WriteString("*" + slackText(oneLine(summaryText(a)), 600) + "*")
	if a.Description != "" {
		b.WriteString("\n" + slackText(a.Description, 1200))
	}
	if lines := contributorTexts(a); len(lines) > 0 {
		b.WriteString("\nLargest parts:")
		for _, line := range lines {
			b.WriteString("\n• " + slackText(oneLine(line), 300))
		}
	}
	return b.String()
}

func slackLinks(a spend.Alert) string {
	links := []string{slackLink(a.PageURL, "Page"), slackLink(a.RunbookURL, "Runbook")}
	return strings.Join(slices.DeleteFunc(links, func(s string) bool { return s == "" }), " · ")
}

// slackLink is a link in Slack's markup, empty for what is no URL of a page.
func slackLink(url, name string) string {
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") || len(url) > slackURLLimit {
		return ""
	}
	url = strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E", " ", "%20", "&", "&amp;").Replace(url)
	return "<" + url + "|" + name + ">"
}

var slackEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackEscape keeps text from being markup: a name may not mention a channel or hide a link.
func slackEscape(s string) string { return slackEscaper.Replace(s) }

// slackText is slackEscape, cut to n characters as Slack counts them.
func slackText(s string, n int) string {
	s = cut(s, n) // escaping makes nothing shorter
	escaped := slackEscape(s)
	for utf8.RuneCountInString(escaped) > n {
		over := utf8.RuneCountInString(escaped) - n
		keep := max(1, utf8.RuneCountInString(s)-max(1, over/5))
		s = cut(s, keep)
		escaped = slackEscape(s)
		if keep == 1 {
			break
		}
	}
	return escaped
}

// slackParts cuts long markup into sections, between lines where it can.
func slackParts(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		runes := []rune(text)
		for len(runes) > 0 {
			n := min(len(runes), slackSectionLimit)
			if n < len(runes) {
				for i := n; i > n/2; i-- {
					if runes[i] == '\n' {
						n = i
						break
					}
				}
			}
			if part := strings.TrimSpace(string(runes[:n])); part != "" && !yield(part) {
				return
			}
			runes = runes[n:]
		}
	}
}
