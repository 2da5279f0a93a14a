package alerts

import (
	"net/netip"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// WithSlackURL leads the notifier to another Slack.
func (o NotifierOptions) WithSlackURL(url string) NotifierOptions {
	o.slackURL = url
	return o
}

// What tests look at.
var (
	RefusePrivate = refusePrivate
	FormatValue   = formatValue
	FormatLimit   = formatLimit
	TitleText     = titleText
	PlainText     = plainText
	SlackText     = slackText
	StatusError   = statusError
)

func IsPublic(a netip.Addr) bool { return isPublic(a) }

func SampleAlert(now time.Time) spend.Alert    { return sampleAlert("acme", now) }
func SampleSeries(now time.Time) []spend.Point { return sampleSeries(now) }

// SlackSections cuts markup as messages do.
func SlackSections(text string) []string {
	var parts []string
	for part := range slackParts(text) {
		parts = append(parts, part)
	}
	return parts
}
