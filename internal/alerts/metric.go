package alerts

import (
	"math"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Metric is what a rule measures.
type Metric string

// The metrics.
const (
	CostUSD            Metric = "cost_usd"
	Tokens             Metric = "tokens"
	Requests           Metric = "requests"
	CacheHitRatio      Metric = "cache_hit_ratio"
	Share              Metric = "share" // of the organization's cost
	RateLimitUsedRatio Metric = "rate_limit_used_ratio"
	EstimateDriftRatio Metric = "estimate_drift_ratio"
)

// Metrics lists the metrics.
var Metrics = []Metric{CostUSD, Tokens, Requests, CacheHitRatio, Share, RateLimitUsedRatio, EstimateDriftRatio}

// sums reports whether the metric is a sum, which grows while data comes in.
func (m Metric) sums() bool { return m == CostUSD || m == Tokens || m == Requests }

// costs reports whether the metric is made of money.
func (m Metric) costs() bool { return m == CostUSD || m == Share }

func (m Metric) unit() spend.Unit {
	switch m {
	case CostUSD:
		return spend.UnitUSD
	case Tokens:
		return spend.UnitTokens
	case Requests:
		return spend.UnitRequests
	default:
		return spend.UnitRatio
	}
}

// word is what the metric is called in messages.
func (m Metric) word() string {
	switch m {
	case CostUSD:
		return "cost"
	case Tokens:
		return "tokens"
	case Requests:
		return "requests"
	case CacheHitRatio:
		return "cache hit ratio"
	case Share:
		return "share of the organization's cost"
	case RateLimitUsedRatio:
		return "use of the rate limit"
	default:
		return "estimate over bill"
	}
}

// figures are what a group of buckets adds up to.
type figures struct {
	cost     spend.Money
	basis    spend.Basis
	unpriced int64
	tokens   int64
	read     int64 // input tokens read from the cache
	input    int64 // all input tokens
	requests int64
}

func (f *figures) add(g figures) {
	f.cost += g.cost
	if g.cost != 0 || g.basis != "" {
		f.basis = f.basis.And(g.basis)
	}
	f.unpriced += g.unpriced
	f.tokens += g.tokens
	f.read += g.read
	f.input += g.input
	f.requests += g.requests
}

// of is the metric's value, for those that are sums or made of one group's figures.
func (m Metric) of(f figures) float64 {
	switch m {
	case CostUSD, Share:
		return f.cost.USD()
	case Tokens:
		return float64(f.tokens)
	case Requests:
		return float64(f.requests)
	case CacheHitRatio:
		if f.input == 0 {
			return 0
		}
		return float64(f.read) / float64(f.input)
	default:
		return 0
	}
}

// lasting writes a window's length.
func lasting(d config.Duration) string {
	switch s := d.String(); s {
	case "1h":
		return "hour"
	case "1d":
		return "24 hours"
	default:
		return s
	}
}

// mostUSD is the greatest limit of money: what is beyond does not fit.
const mostUSD = 9e9

// money is an amount given as a number of dollars, at most mostUSD.
func money(usd float64) spend.Money {
	return spend.Money(math.Round(min(usd, mostUSD) * float64(spend.Dollar)))
}

// stamp writes an instant for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
