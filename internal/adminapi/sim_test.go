package adminapi_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// simulated runs a test in a bubble at noon of a fixed day, against a simulated organization.
func simulated(t *testing.T, o sim.Options, test func(t *testing.T, org *sim.Org, c *adminapi.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at("2026-11-20T12:00:30Z")))
		org := sim.New(o)
		test(t, org, client(t, nil, func(o *adminapi.Options) {
			o.HTTP, o.Log = org.Client(), nil
			o.Key = func(context.Context, bool) (string, error) { return sim.AdminKey, nil }
		}))
	})
}

// place is a bucket and its dimensions.
type place struct {
	start time.Time
	spend.Dims
}

// used are counts and requests.
type used struct {
	spend.Counts
	requests int64
}

func usageByPlace(t *testing.T, rows []spend.Usage) map[place]used {
	got := map[place]used{}
	for _, r := range rows {
		p := place{r.Bucket, r.Dims}
		if _, twice := got[p]; twice {
			t.Fatalf("%v is there twice", p)
		}
		got[p] = used{r.Counts, r.Requests}
	}
	return got
}

// trueUsage is what the simulator says was used, by bucket and the dimensions that keep leaves.
func trueUsage(org *sim.Org, w spend.Window, g spend.Grain, requests bool, keep func(*spend.Dims)) map[place]used {
	want := map[place]used{}
	for _, c := range org.TrueUsage(w.Start, w.End) {
		d := spend.Dims{
			WorkspaceID: c.WorkspaceID, APIKeyID: c.APIKeyID, Model: c.Model, ServiceTier: c.ServiceTier,
			ContextWindow: c.ContextWindow, InferenceGeo: c.InferenceGeo, Speed: c.Speed, Product: c.Product,
		}
		if d.APIKeyID == "" {
			d.APIKeyID = spend.NoKey
		}
		keep(&d)
		p := place{g.Floor(c.Hour), d}
		sum := want[p]
		sum.Add(spend.Counts{c.UncachedInput, c.CacheRead, c.CacheCreation5m, c.CacheCreation1h, c.Output, c.WebSearches})
		if requests {
			sum.requests += c.Requests
		}
		want[p] = sum
	}
	return want
}

func costsByPlace(t *testing.T, rows []spend.Cost) map[place][2]spend.Money {
	got := map[place][2]spend.Money{}
	for _, r := range rows {
		p := place{r.Bucket, r.Dims}
		if _, twice := got[p]; twice {
			t.Fatalf("%v is there twice", p)
		}
		got[p] = [2]spend.Money{r.Amount, r.List}
	}
	return got
}

// trueCosts is what the simulator says was billed; list tells whether the report has it.
func trueCosts(t *testing.T, cells []sim.CostCell, list, keyed bool) map[place][2]spend.Money {
	types := map[string]string{
		"uncached_input_tokens": "uncached_input", "cache_read_input_tokens": "cache_read_input", "output_tokens": "output",
		"cache_creation.ephemeral_5m_input_tokens": "cache_creation_5m_input",
		"cache_creation.ephemeral_1h_input_tokens": "cache_creation_1h_input",
	}
	want := map[place][2]spend.Money{}
	for _, c := range cells {
		amount, err := spend.ParseCents(c.AmountCents)
		require.NoError(t, err)
		full, err := spend.ParseCents(c.ListCents)
		require.NoError(t, err)
		if !list {
			full = amount
		}
		d := spend.Dims{
			WorkspaceID: c.WorkspaceID, APIKeyID: c.APIKeyID, Model: c.Model, ServiceTier: c.ServiceTier, Product: c.Product,
			CostType: c.CostType, TokenType: types[c.TokenType], ContextWindow: c.ContextWindow, InferenceGeo: c.InferenceGeo,
		}
		if keyed && d.APIKeyID == "" {
			d.APIKeyID = spend.NoKey
		}
		p := place{c.Start, d}
		sum := want[p]
		want[p] = [2]spend.Money{sum[0] + amount, sum[1] + full}
	}
	return want
}

// same compares without printing more than a few of thousands of places.
func same[T comparable](t *testing.T, want, got map[place]T) {
	t.Helper()
	require.NotEmpty(t, want)
	wrong := 0
	for p, v := range want {
		if g, ok := got[p]; !ok || g != v {
			if wrong++; wrong <= 3 {
				t.Errorf("%v: want %v, got %v (there: %t)", p, v, g, ok)
			}
		}
	}
	for p, g := range got {
		if _, ok := want[p]; !ok {
			if wrong++; wrong <= 6 {
				t.Errorf("%v: not wanted, got %v", p, g)
			}
		}
	}
	if wrong > 0 {
		t.Fatalf("%d of %d places differ", wrong, len(want))
	}
}

func defaultWorkspace(t *testing.T, c *adminapi.Client) string {
	t.Helper()
	workspaces, err := c.Workspaces(t.Context())
	require.NoError(t, err)
	for _, w := range workspaces {
		if w.Default {
			return w.ID
		}
	}
	t.Fatal("there is no default workspace")
	return ""
}

// TestSimulatedReports reads every report at every grain and compares all rows with the truth.
func TestSimulatedReports(t *testing.T) {
	t.Parallel()
	simulated(t, sim.Options{Seed: 1, DiscountPermille: 137}, func(t *testing.T, org *sim.Org, c *adminapi.Client) {
		def := defaultWorkspace(t, c)
		month := window("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
		days := window("2026-11-11T00:00:00Z", "2026-11-19T00:00:00Z") // more than a page by the hour
		legacy := func(d *spend.Dims) { d.Product = "" }
		analytics := func(d *spend.Dims) { d.ContextWindow, d.InferenceGeo, d.Speed = "", "", "" }
		for _, q := range []adminapi.Query{
			{Window: month, Grain: spend.Day, DefaultWorkspace: def},
			{Window: days, Grain: spend.Hour, DefaultWorkspace: def},
		} {
			a, err := c.Usage(t.Context(), q)
			require.NoError(t, err)
			require.NotEmpty(t, a.Rows)
			same(t, trueUsage(org, q.Window, q.Grain, false, legacy), usageByPlace(t, a.Rows))
			require.Equal(t, q.Window.End, a.End)
			require.Equal(t, q.Window.End, a.DataAt)

			a, err = c.AnalyticsUsage(t.Context(), q)
			require.NoError(t, err)
			same(t, trueUsage(org, q.Window, q.Grain, true, analytics), usageByPlace(t, a.Rows))
			require.True(t, a.DataAt.After(q.Window.End))

			q.Total = true
			a, err = c.Usage(t.Context(), q)
			require.NoError(t, err)
			same(t, trueUsage(org, q.Window, q.Grain, false, func(d *spend.Dims) { *d = spend.Dims{} }), usageByPlace(t, a.Rows))
		}

		// Minutes add up to their hours.
		hours := window("2026-11-19T08:00:00Z", "2026-11-19T11:00:00Z")
		a, err := c.Usage(t.Context(), adminapi.Query{Window: hours, Grain: spend.Minute, DefaultWorkspace: def})
		require.NoError(t, err)
		sums := map[place]used{}
		for _, r := range a.Rows {
			p := place{spend.Hour.Floor(r.Bucket), r.Dims}
			sum := sums[p]
			sum.Add(r.Counts)
			sums[p] = sum
		}
		same(t, trueUsage(org, hours, spend.Hour, false, legacy), sums)

		costs, err := c.Costs(t.Context(), adminapi.Query{Window: month, Grain: spend.Day, DefaultWorkspace: def})
		require.NoError(t, err)
		same(t, trueCosts(t, org.TrueBill(month.Start, month.End), false, false), costsByPlace(t, costs.Rows))
		costs, err = c.AnalyticsCosts(t.Context(), adminapi.Query{Window: days, Grain: spend.Hour})
		require.NoError(t, err)
		same(t, trueCosts(t, org.TrueHourBill(days.Start, days.End), true, true), costsByPlace(t, costs.Rows))

		cc, err := c.ClaudeCode(t.Context(), at("2026-11-18T00:00:00Z"))
		require.NoError(t, err)
		require.NotEmpty(t, cc.Rows)
	})
}

func TestSimulatedInventory(t *testing.T) {
	t.Parallel()
	simulated(t, sim.Options{Seed: 1, SpendLimits: true}, func(t *testing.T, _ *sim.Org, c *adminapi.Client) {
		ctx := t.Context()
		org, err := c.Organization(ctx)
		require.NoError(t, err)
		require.Equal(t, "Acme Robotics", org.Name)
		def := defaultWorkspace(t, c)
		keys, err := c.APIKeys(ctx)
		require.NoError(t, err)
		statuses, inDefault := map[string]bool{}, false
		for _, k := range keys {
			statuses[k.Status] = true
			inDefault = inDefault || k.WorkspaceID == def
		}
		require.Equal(t, map[string]bool{"active": true, "inactive": true, "archived": true, "expired": true}, statuses)
		require.True(t, inDefault)
		for _, n := range []int{
			lenOf(t)(c.Members(ctx)), lenOf(t)(c.Invites(ctx)), lenOf(t)(c.RateLimits(ctx)), lenOf(t)(c.SpendLimits(ctx)),
		} {
			require.NotZero(t, n)
		}
		workspaces, err := c.Workspaces(ctx)
		require.NoError(t, err)
		members, limits := 0, 0
		for _, w := range workspaces {
			if !w.Default && w.ArchivedAt.IsZero() {
				members += lenOf(t)(c.WorkspaceMembers(ctx, w.ID))
				limits += lenOf(t)(c.WorkspaceRateLimits(ctx, w.ID))
			}
		}
		require.NotZero(t, members)
		require.NotZero(t, limits)
	})
	simulated(t, sim.Options{}, func(t *testing.T, _ *sim.Org, c *adminapi.Client) {
		_, err := c.SpendLimits(t.Context())
		require.True(t, asError(t, err).Refused())
	})
}

// lenOf is the length of a list that must not fail.
func lenOf(t *testing.T) func(any, error) int {
	return func(list any, err error) int {
		t.Helper()
		require.NoError(t, err)
		switch l := list.(type) {
		case []spend.Member:
			return len(l)
		case []spend.Invite:
			return len(l)
		case []spend.RateLimit:
			return len(l)
		case []spend.SpendLimit:
			return len(l)
		case []spend.WorkspaceMember:
			return len(l)
		}
		t.Fatalf("no length of %T", list)
		return 0
	}
}

func TestSimulatedRefusals(t *testing.T) {
	t.Parallel()
	q := adminapi.Query{Window: window("2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z"), Grain: spend.Day}
	simulated(t, sim.Options{Analytics: "refused", Speed: "refused"}, func(t *testing.T, _ *sim.Org, c *adminapi.Client) {
		_, err := c.AnalyticsCosts(t.Context(), q)
		require.True(t, asError(t, err).Refused())
		a, err := c.Usage(t.Context(), q)
		require.NoError(t, err)
		require.NotEmpty(t, a.Rows)
		for _, r := range a.Rows {
			require.Empty(t, r.Speed)
		}
	})
	simulated(t, sim.Options{Legacy: "refused"}, func(t *testing.T, _ *sim.Org, c *adminapi.Client) {
		_, err := c.Usage(t.Context(), q)
		require.True(t, asError(t, err).Refused())
		_, err = c.Costs(t.Context(), q)
		require.True(t, asError(t, err).Refused())
		_, err = c.AnalyticsUsage(t.Context(), q)
		require.NoError(t, err)
	})
}

// TestSimulatedFaults has each fault happen once, or for ever, to a report of several pages: the
// answer is the same as without, or an error.
func TestSimulatedFaults(t *testing.T) {
	t.Parallel()
	q := adminapi.Query{Window: window("2026-11-16T00:00:00Z", "2026-11-19T00:00:00Z"), Grain: spend.Hour}
	for name, test := range map[string]struct {
		rule sim.Rule
		kind adminapi.Kind // empty: the fault passes unseen
	}{
		"rate limited":           {sim.Rule{Fault: sim.RateLimited, Times: 1}, ""},
		"rate limited for long":  {sim.Rule{Fault: sim.RateLimited, RetryAfter: time.Hour}, adminapi.KindRateLimit},
		"tier cap":               {sim.Rule{Fault: sim.TierCap, Times: 1}, adminapi.KindRateLimit},
		"internal":               {sim.Rule{Fault: sim.Internal, Times: 2}, ""},
		"overloaded":             {sim.Rule{Fault: sim.Overloaded, Times: 3}, ""},
		"overloaded for ever":    {sim.Rule{Fault: sim.Overloaded}, adminapi.KindOverloaded},
		"gateway timeout":        {sim.Rule{Fault: sim.Timeout, Times: 1}, ""},
		"unauthorized":           {sim.Rule{Fault: sim.Unauthorized}, adminapi.KindAuthentication},
		"forbidden":              {sim.Rule{Fault: sim.Forbidden}, adminapi.KindPermission},
		"cut":                    {sim.Rule{Fault: sim.CutBody, Times: 2}, ""},
		"cut for ever":           {sim.Rule{Fault: sim.CutBody}, adminapi.KindNetwork},
		"slow":                   {sim.Rule{Fault: sim.Slow}, adminapi.KindNetwork},
		"page repeated":          {sim.Rule{Fault: sim.DuplicatePage, Times: 1}, ""},
		"page repeated for ever": {sim.Rule{Fault: sim.DuplicatePage}, adminapi.KindMalformed},
		"no amounts":             {sim.Rule{Fault: sim.MissingAmount}, adminapi.KindMalformed},
		"wrong types":            {sim.Rule{Fault: sim.WrongType}, adminapi.KindMalformed},
		"no connection":          {sim.Rule{Fault: sim.Down, Times: 2}, ""},
		"no connection for ever": {sim.Rule{Fault: sim.Down}, adminapi.KindNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulated(t, sim.Options{Seed: 1}, func(t *testing.T, org *sim.Org, c *adminapi.Client) {
				want, err := c.AnalyticsCosts(t.Context(), q)
				require.NoError(t, err)
				require.Greater(t, c.Requests(), int64(1), "one page would be too easy")
				org.Faults().Arm(test.rule)
				start := time.Now()
				got, err := c.AnalyticsCosts(t.Context(), q)
				require.Less(t, time.Since(start), 10*time.Minute)
				if test.kind == "" {
					require.NoError(t, err)
					require.Equal(t, want.Rows, got.Rows)
					return
				}
				require.Equal(t, test.kind, asError(t, err).Kind)
				require.Empty(t, got.Rows)
			})
		})
	}
}

func TestSimulatedNews(t *testing.T) {
	t.Parallel()
	q := adminapi.Query{Window: window("2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z"), Grain: spend.Day}
	simulated(t, sim.Options{Seed: 1, SpendLimits: true}, func(t *testing.T, org *sim.Org, c *adminapi.Client) {
		ctx := t.Context()
		before, err := c.Usage(ctx, q)
		require.NoError(t, err)
		org.Faults().Arm(sim.Rule{Fault: sim.Unknown})
		after, err := c.Usage(ctx, q)
		require.NoError(t, err)
		var a, b spend.Counts
		for _, r := range before.Rows {
			a.Add(r.Counts)
		}
		for _, r := range after.Rows {
			b.Add(r.Counts)
		}
		require.Equal(t, a, b, "whatever is new in an answer, nothing is lost")
		for _, ask := range []func() error{
			func() error { return second(c.Costs(ctx, q)) },
			func() error { return second(c.AnalyticsUsage(ctx, q)) },
			func() error { return second(c.AnalyticsCosts(ctx, q)) },
			func() error { return second(c.ClaudeCode(ctx, q.Window.Start)) },
			func() error { return second(c.Workspaces(ctx)) },
			func() error { return second(c.APIKeys(ctx)) },
			func() error { return second(c.Members(ctx)) },
			func() error { return second(c.Invites(ctx)) },
			func() error { return second(c.RateLimits(ctx)) },
			func() error { return second(c.SpendLimits(ctx)) },
		} {
			require.NoError(t, ask())
		}
	})
}
