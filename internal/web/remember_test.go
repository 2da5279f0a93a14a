package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// counting counts the questions by the hour over whole days.
type counting struct {
	storage.Store
	asked int
}

func (c *counting) Costs(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	if q.Step == spend.Hour && q.Window.Aligned(spend.Day) {
		c.asked++
	}
	return c.Store.Costs(ctx, q)
}

// What is remembered of past hours is asked for again when one of their days has changed, and only then:
// the forecast is always that of a server that remembers nothing.
func TestForecastOfChangedDays(t *testing.T) {
	t.Parallel()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			inner := open(t, backend)
			reporttest.Fill(t, inner)
			store := &counting{Store: inner}
			h := web.New(options(store))
			forecast := func() string {
				_, body, _ := ask(t, h, "GET", "/api/v1/forecast?organization=acme")
				before := store.asked
				_, fresh, _ := ask(t, web.New(options(store)), "GET", "/api/v1/forecast?organization=acme")
				store.asked = before
				require.Equal(t, fresh, body)
				return body
			}
			first := forecast()
			require.Contains(t, first, `"forecast_usd"`)
			require.Equal(t, 1, store.asked)
			require.Equal(t, first, forecast())
			require.Equal(t, 1, store.asked, "nothing has changed")

			owner, err := inner.Own(t.Context(), reporttest.Acme)
			require.NoError(t, err)
			write := func(hour time.Time) { useHour(t, owner, hour) }
			write(reporttest.At(22, 5))
			second := forecast()
			require.NotEqual(t, first, second, "today is in the forecast")
			require.Equal(t, 1, store.asked, "but not among the days that are over")
			write(reporttest.At(20, 5))
			require.NotEqual(t, second, forecast())
			require.Equal(t, 2, store.asked)
			require.False(t, strings.Contains(second, "error"))
			require.NoError(t, owner.Release())
		})
	}
}

// useHour makes five dollars the use of the hour.
func useHour(t *testing.T, owner storage.Owner, hour time.Time) {
	t.Helper()
	w := spend.Window{Start: hour, End: hour.Add(time.Hour)}
	u := spend.Usage{Bucket: hour, Price: spend.Priced, Dims: spend.Dims{WorkspaceID: reporttest.Default, APIKeyID: reporttest.KeyProd, Model: reporttest.Sonnet}}
	u.Counts[spend.Output], u.Estimate[spend.Output] = 1000, 5*spend.Dollar
	_, err := owner.ReplaceUsage(t.Context(), storage.Reading{
		Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: reporttest.Now, DataAt: reporttest.Now,
	}, []spend.Usage{u})
	require.NoError(t, err)
}

// The overview, which remembers days that are over, is always that of a server that remembers nothing.
func TestOverviewOfChangedDays(t *testing.T) {
	t.Parallel()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			store := open(t, backend)
			reporttest.Fill(t, store)
			o := options(store)
			o.Teams = team.Teams{{Name: "first", APIKeys: []string{"prod*"}}, {Name: "second", APIKeys: []string{"renamed*"}}}
			h := web.New(o)
			seen := map[string]string{}
			different := func(why string) {
				t.Helper()
				for _, target := range []string{"/", "/?by=model", "/?by=team"} {
					status, body, _ := ask(t, h, "GET", target)
					require.Equal(t, 200, status)
					_, fresh, _ := ask(t, web.New(o), "GET", target)
					require.Equal(t, fresh, body, "%s: %s", target, why)
					require.NotEqual(t, seen[target], body, "%s: %s", target, why)
					seen[target] = body
				}
			}
			different("nothing is remembered")
			owner, err := store.Own(t.Context(), reporttest.Acme)
			require.NoError(t, err)
			useHour(t, owner, reporttest.At(22, 5))
			different("today has changed")
			useHour(t, owner, reporttest.At(20, 5))
			different("a day that is over has changed")
			ks, err := store.APIKeys(t.Context(), reporttest.Acme)
			require.NoError(t, err)
			for i := range ks {
				if ks[i].ID == reporttest.KeyProd {
					ks[i].Name = "renamed"
				}
			}
			require.NoError(t, owner.SaveAPIKeys(t.Context(), ks, reporttest.Now))
			different("a key has another name, and so another team")
			ws, err := store.Workspaces(t.Context(), reporttest.Acme)
			require.NoError(t, err)
			for i := range ws {
				ws[i].Name += " two"
			}
			require.NoError(t, owner.SaveWorkspaces(t.Context(), ws, reporttest.Now))
			different("workspaces have other names")
			require.NoError(t, owner.Release())
		})
	}
}
