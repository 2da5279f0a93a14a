package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TestAuditAgrees collects an organization and compares what the command line, the HTTP API, the SQL views
// and the metrics say of its keys and people: findings one by one, cost to the last digit of a report.
func TestAuditAgrees(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			now := time.Now().UTC().Truncate(time.Second)
			w := newWorld(t, database, sim.Options{Seed: 7, Now: func() time.Time { return now }, Start: now.AddDate(0, 0, -130), Revise: true},
				"backfill: 40d\naudit: {max_admins: 1, own_domains: ["+sim.Domain+"]}\n"+
					"schedule: {usage: \"@yearly\", cost: \"@yearly\", inventory: \"@yearly\"}\n")
			w.monitor("once")
			defer w.serve()()
			a := agreement{w, now}
			// It collects once at its start, and not again between the questions.
			w.eventually(func() bool {
				runs := 0
				w.query("select count(*) from job_history where job = 'claude_code'", func(scan func(...any)) { scan(&runs) })
				return runs >= 2
			}, &strings.Builder{}, "the daemon does not collect")

			today := spend.Day.Floor(time.Now())
			costs := figures{}
			for _, r := range a.ask("/api/v1/costs", spend.Window{Start: today.AddDate(0, 0, -29), End: today.AddDate(0, 0, 1)}, "step=total&by=api_key").Data {
				if id := r["api_key_id"]; id != nil && id != "" {
					costs.add(a.money(r["cost_usd"]), id)
				}
			}
			list := func(body []byte) (rows []map[string]any) {
				var x struct{ Data []map[string]any }
				require.NoError(t, json.Unmarshal(body, &x))
				return x.Data
			}
			lines := func(rows []map[string]any) (all []string) {
				for _, r := range rows {
					all = append(all, fmt.Sprint(r["about"], " ", r["id"], " ", r["check"], " ", r["severity"], " ", r["what"]))
				}
				return slices.Sorted(slices.Values(all))
			}
			command := list([]byte(w.monitor("audit", "--format", "json")))
			found := lines(command)
			for _, check := range []string{"unused", "never_used", "woke", "moved", "creator_left", "too_many_admins", "foreign_domain", "invite_pending"} {
				require.True(t, slices.ContainsFunc(found, func(line string) bool { return strings.Contains(line, " "+check+" ") }), "%s in\n%s", check, strings.Join(found, "\n"))
			}
			_, body := w.get("/api/v1/audit")
			require.Equal(t, found, lines(list(body)), "the API and the command line")

			var viewed []string
			got, keys := figures{}, map[string]bool{}
			amount := "cast(round(cost_usd_30d * 1000000000) as bigint)"
			if w.sqlite != "" {
				amount = "cost_nano_30d"
			}
			w.query("select api_key_id, finding, severity, what, coalesce("+amount+", 0) from api_key_audit", func(scan func(...any)) {
				var id, finding, severity, what string
				var nano int64
				scan(&id, &finding, &severity, &what, &nano)
				if !keys[id] {
					keys[id] = true
					got.add(nano, id)
				}
				if finding != "" {
					viewed = append(viewed, fmt.Sprint("api_key ", id, " ", finding, " ", severity, " ", what))
				}
			})
			w.query("select kind, id, finding, severity, what from access_audit where finding <> ''", func(scan func(...any)) {
				var kind, id, finding, severity, what string
				scan(&kind, &id, &finding, &severity, &what)
				viewed = append(viewed, fmt.Sprint(kind, " ", id, " ", finding, " ", severity, " ", what))
			})
			require.Equal(t, found, slices.Sorted(slices.Values(viewed)), "the views and the command line")
			requireSame(t, costs, got, "cost: the view api_key_audit and a report")

			want, got := figures{}, figures{}
			for _, r := range command {
				if r["about"] == "api_key" {
					id := r["id"].(string)
					want[id], got[id] = costs[id], a.money(r["cost_usd_30d"])
				}
			}
			requireSame(t, want, got, "cost: the findings and a report")

			counts := map[string]float64{}
			for _, r := range command {
				counts[fmt.Sprint(r["check"], " ", r["severity"])]++
			}
			measured := map[string]float64{}
			w.eventually(func() bool { // the snapshot is made a moment after the start
				for _, s := range w.scrape() {
					if s.name == "anthropic_audit_findings" && s.value > 0 {
						measured[s.labels["check"]+" "+s.labels["severity"]] = s.value
					}
				}
				return len(measured) > 0
			}, &strings.Builder{}, "no metric of findings")
			require.Equal(t, counts, measured, "the metric and the command line")
			status, page := w.get("/keys")
			require.Equal(t, 200, status)
			require.Contains(t, string(page), "creator_left")
		})
	}
}
