package alerts

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// rateDays is over how many days a run rate is taken.
const rateDays = 7

// rate is money a second over the last whole days.
func rate(days []CostDay, asOf time.Time, most int) (float64, bool) {
	var cost spend.Money
	var span time.Duration
	for i := len(days) - 1; i >= 0 && most > 0; i-- {
		if d := days[i]; !d.End.After(asOf) {
			cost += d.Cost
			span += d.Duration()
			most--
		}
	}
	if span < 24*time.Hour {
		return 0, false
	}
	return float64(cost) / span.Seconds(), true
}

// runRate expects that the rest of the period costs what the last week did.
func runRate(in ForecastInput) Outlook {
	r, ok := rate(in.Days, in.AsOf, rateDays)
	if elapsed := in.AsOf.Sub(in.Period.Start); !ok && elapsed >= 2*time.Hour && elapsed >= in.Period.Duration()/10 {
		r, ok = float64(in.Spent)/elapsed.Seconds(), true
	}
	if !ok {
		return Outlook{Note: "too little is known for a forecast"}
	}
	o := Outlook{OK: true, Expected: in.Spent + spend.Money(r*in.Period.End.Sub(in.AsOf).Seconds())}
	if left := float64(in.Limit - in.Spent); left > 0 && r > 0 && o.Expected >= in.Limit {
		o.ExhaustedAt = in.AsOf.Add(time.Duration(left / r * float64(time.Second))).Truncate(time.Hour)
	}
	return o
}

// daysLeft expects that money is spent as in the last two weeks.
func daysLeft(days []CostDay, asOf time.Time, left spend.Money) (float64, bool) {
	r, ok := rate(days, asOf, 2*rateDays)
	if !ok || r <= 0 {
		return 0, false
	}
	return max(0, float64(left)/r/(24*time.Hour).Seconds()), true
}
