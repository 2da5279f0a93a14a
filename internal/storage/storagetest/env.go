package storagetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// org is the organization that tests work, other one that only some know.
const (
	org   = "5b0c7c2e-0000-4000-8000-000000000001"
	other = "5b0c7c2e-0000-4000-8000-000000000002"
)

// env is a test with a fresh store and an owned organization.
type env struct {
	*testing.T
	store storage.Store
	owner storage.Owner
}

func start(t *testing.T, s storage.Store) *env {
	e := &env{T: t, store: s}
	require.NoError(t, s.SaveOrganization(t.Context(), spend.Organization{ID: org, Name: "acme"}, at("01 00:00")))
	e.owner = e.own(org)
	return e
}

// own owns an organization until the test ends.
func (e *env) own(id string) storage.Owner {
	e.Helper()
	o, err := e.store.Own(e.Context(), id)
	require.NoError(e, err)
	e.Cleanup(func() { require.NoError(e, o.Release()) })
	return o
}

// at is a time in March 2026, UTC, written "02 15:04".
func at(s string) time.Time {
	t, err := time.ParseInLocation("2006-01 02 15:04", "2026-03 "+s, time.UTC)
	if err != nil {
		panic(err)
	}
	return t
}

// span is a window in March 2026, written "02 15:04/03 00:00".
func span(s string) spend.Window {
	from, to, _ := strings.Cut(s, "/")
	return spend.Window{Start: at(from), End: at(to)}
}

// reading is a reading that is complete to the end of its window, made then.
func reading(report spend.Report, g spend.Grain, window string) storage.Reading {
	w := span(window)
	return storage.Reading{Report: report, Grain: g, Window: w, At: w.End, DataAt: w.End}
}

// later is the reading read again, and so much later.
func later(r storage.Reading, d time.Duration) storage.Reading {
	r.At = r.At.Add(d)
	return r
}

// open is the reading of data that is not complete yet.
func open(r storage.Reading) storage.Reading {
	r.DataAt = r.Window.Start
	return r
}

func minutes(window string) storage.Reading {
	return reading(spend.ReportMessages, spend.Minute, window)
}
func hours(window string) storage.Reading { return reading(spend.ReportMessages, spend.Hour, window) }
func days(window string) storage.Reading  { return reading(spend.ReportMessages, spend.Day, window) }
func billHours(window string) storage.Reading {
	return reading(spend.ReportAnalyticsCost, spend.Hour, window)
}
func billDay(window string) storage.Reading { return reading(spend.ReportCost, spend.Day, window) }

// used is usage of a key: n input and 2n output tokens, estimated at 3 and 15 millionths of a dollar.
func used(when, key string, n int64) spend.Usage {
	u := spend.Usage{Bucket: at(when), Price: spend.Priced, Dims: spend.Dims{
		WorkspaceID: "wrkspc_a", APIKeyID: key, Model: "claude-x", ServiceTier: "standard", ContextWindow: "0-200k", InferenceGeo: "global",
	}}
	u.Counts[spend.UncachedInput], u.Counts[spend.Output] = n, 2*n
	u.Estimate[spend.UncachedInput], u.Estimate[spend.Output] = spend.Money(n)*3000, spend.Money(2*n)*15000
	return u
}

// with is the usage with changes.
func with(u spend.Usage, change func(*spend.Usage)) spend.Usage {
	change(&u)
	return u
}

// charged is a cell of a bill for tokens of what [used] describes.
func charged(when, tokenType string, amount spend.Money) spend.Cost {
	return spend.Cost{Bucket: at(when), Amount: amount, List: amount, Dims: spend.Dims{
		WorkspaceID: "wrkspc_a", Model: "claude-x", ServiceTier: "standard", ContextWindow: "0-200k", InferenceGeo: "global",
		CostType: "tokens", TokenType: tokenType,
	}}
}

// execution is a cell of a bill that no usage matches.
func execution(when string, amount spend.Money) spend.Cost {
	return spend.Cost{Bucket: at(when), Amount: amount, List: amount, Dims: spend.Dims{WorkspaceID: "wrkspc_a", CostType: "code_execution"}}
}

func (e *env) usage(r storage.Reading, rows ...spend.Usage) storage.Change {
	e.Helper()
	c, err := e.owner.ReplaceUsage(e.Context(), r, rows)
	require.NoError(e, err)
	return c
}

func (e *env) requests(r storage.Reading, rows ...spend.Usage) storage.Change {
	e.Helper()
	c, err := e.owner.ReplaceRequests(e.Context(), r, rows)
	require.NoError(e, err)
	return c
}

func (e *env) costs(r storage.Reading, rows ...spend.Cost) storage.Change {
	e.Helper()
	c, err := e.owner.ReplaceCosts(e.Context(), r, rows)
	require.NoError(e, err)
	return c
}

func (e *env) bill(day string) {
	e.Helper()
	require.NoError(e, e.owner.Bill(e.Context(), at(day+" 00:00"), at("31 00:00")))
}

// query is a query of a window by dimensions.
func query(window string, step spend.Grain, by ...spend.Dimension) storage.Query {
	return storage.Query{Window: span(window), Step: step, By: by}
}

// where is the query with a filter more.
func where(q storage.Query, d spend.Dimension, values ...string) storage.Query {
	q.Where = append(q.Where[:len(q.Where):len(q.Where)], storage.Match{Dimension: d, Values: values})
	return q
}

// showUsage answers the query as lines: start, length, dimensions, tokens, searches and requests.
func (e *env) showUsage(q storage.Query) []string {
	e.Helper()
	r, err := e.store.Usage(e.Context(), q)
	require.NoError(e, err)
	lines := []string{}
	for _, u := range r.Rows {
		require.Equal(e, org, u.Organization)
		line := place(u.Start, u.End, u.Dims) + fmt.Sprintf(" %d", u.Counts.Tokens())
		if n := u.Counts[spend.WebSearches]; n > 0 {
			line += fmt.Sprintf(" %d searches", n)
		}
		if u.Requests > 0 {
			line += fmt.Sprintf(" %d requests", u.Requests)
		}
		lines = append(lines, line)
	}
	return lines
}

// showCosts answers the query as lines: start, length, dimensions, basis and millionths of a dollar.
func (e *env) showCosts(q storage.Query) []string {
	e.Helper()
	r, err := e.store.Costs(e.Context(), q)
	require.NoError(e, err)
	lines := []string{}
	for _, c := range r.Rows {
		require.Equal(e, org, c.Organization)
		line := place(c.Start, c.End, c.Dims) + fmt.Sprintf(" %s %s", c.Basis, micros(c.Cost))
		if c.List != c.Cost {
			line += fmt.Sprintf(" list %s", micros(c.List))
		}
		if c.Unpriced > 0 {
			line += fmt.Sprintf(" unpriced %d", c.Unpriced)
		}
		if c.Uncertain {
			line += " uncertain"
		}
		lines = append(lines, line)
	}
	return lines
}

// place is a row's bucket and dimensions.
func place(start, end time.Time, d spend.Dims) string {
	line := fmt.Sprintf("%s %gh", start.Format("02 15:04"), end.Sub(start).Hours())
	for _, x := range spend.Dimensions {
		if v := *d.Field(x); v != "" {
			line += " " + v
		}
	}
	return line
}

// micros is an amount in millionths of a dollar.
func micros(m spend.Money) string {
	if m%1000 == 0 {
		return fmt.Sprint(int64(m / 1000))
	}
	return fmt.Sprintf("%d.%03d", int64(m/1000), int64(m%1000))
}

// micro is millionths of a dollar.
func micro(n int64) spend.Money { return spend.Money(n) * 1000 }

// slots shows the ledger as lines: start, grain, state, and suspicion.
func (e *env) slots(f spend.Fact, window string) []string {
	e.Helper()
	slots, err := e.store.Slots(e.Context(), org, f, span(window))
	require.NoError(e, err)
	lines := []string{}
	for _, s := range slots {
		line := fmt.Sprintf("%s %s %s", s.Window.Start.Format("02 15:04"), s.Grain, s.State)
		if s.SuspectReads > 0 {
			line += fmt.Sprintf(" suspect %d since %s", s.SuspectReads, s.SuspectSince.Format("02 15:04"))
		}
		lines = append(lines, line)
	}
	return lines
}

// revisions shows changes of settled figures as lines: bucket, key, tokens or amounts before and after.
func (e *env) revisions(f spend.Fact, window string) []string {
	e.Helper()
	rs, err := e.store.Revisions(e.Context(), org, f, span(window))
	require.NoError(e, err)
	lines := []string{}
	for _, r := range rs {
		figures := func(x storage.RevisedFigures) string {
			switch f {
			case spend.FactCost:
				return micros(x.Amount)
			case spend.FactRequests:
				return fmt.Sprint(x.Requests)
			default:
				return fmt.Sprint(x.Counts.Tokens())
			}
		}
		lines = append(lines, fmt.Sprintf("%s %s %s%s: %s to %s", r.Bucket.Format("02 15:04"), r.Grain, r.APIKeyID, r.TokenType, figures(r.Old), figures(r.New)))
	}
	return lines
}

// changed lists the days that changed since a number, and the newest number.
func (e *env) changed(since int64) ([]string, int64) {
	e.Helper()
	ds, seq, err := e.store.Changed(e.Context(), org, since)
	require.NoError(e, err)
	days := []string{}
	for _, d := range ds {
		days = append(days, d.Format("02"))
	}
	return days, seq
}
