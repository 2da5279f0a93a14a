package metrics

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Actors says how the metrics of Claude Code tell who worked with it.
type Actors string

// The ways. Hashed tells one from another without saying who it is; who knows the addresses can find
// out, so it is no secret.
const (
	ActorsOff    Actors = "off"
	ActorsHashed Actors = "hashed"
	ActorsNamed  Actors = "named"
)

// claudeCodeDescs are the metrics of Claude Code, with a label actor or without.
type claudeCodeDescs struct{ sessions, lines, commits, pullRequests, cost *prometheus.Desc }

func newClaudeCodeDescs(labels ...string) claudeCodeDescs {
	return claudeCodeDescs{
		sessions: desc("anthropic_claude_code_sessions",
			"Claude Code sessions yesterday (UTC), by the Claude Code report.", labels...),
		lines: desc("anthropic_claude_code_lines_of_code",
			"Lines of code added and removed with Claude Code yesterday (UTC), by the Claude Code report.",
			append(slices.Clone(labels), "type")...),
		commits: desc("anthropic_claude_code_commits",
			"Commits made with Claude Code yesterday (UTC), by the Claude Code report.", labels...),
		pullRequests: desc("anthropic_claude_code_pull_requests",
			"Pull requests made with Claude Code yesterday (UTC), by the Claude Code report.", labels...),
		cost: desc("anthropic_claude_code_cost_usd",
			"The Claude Code report's own estimate of yesterday's cost (UTC) in US dollars. It is not part of anthropic_cost_usd.", labels...),
	}
}

var (
	claudeCode        = newClaudeCodeDescs()
	claudeCodeByActor = newClaudeCodeDescs("actor")
)

// claudeCode is the metrics that the option chooses.
func (o Options) claudeCode() claudeCodeDescs {
	if o.byActor() {
		return claudeCodeByActor
	}
	return claudeCode
}

func (o Options) byActor() bool {
	return o.ClaudeCodeActors == ActorsHashed || o.ClaudeCodeActors == ActorsNamed
}

func (d claudeCodeDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.sessions, d.lines, d.commits, d.pullRequests, d.cost}
}

// work is what an actor did in a day.
type work struct {
	spend.ClaudeCode
	cost spend.Money
}

func (w *work) add(r spend.ClaudeCode) {
	w.Sessions += r.Sessions
	w.LinesAdded += r.LinesAdded
	w.LinesRemoved += r.LinesRemoved
	w.Commits += r.Commits
	w.PullRequests += r.PullRequests
	for _, m := range r.Models {
		w.cost += m.Cost
	}
}

// claudeCode adds yesterday, if the report has been read at all.
func (b *builder) claudeCode(ctx context.Context) error {
	if !slices.ContainsFunc(b.marks, func(m storage.Watermark) bool {
		return m.Report == spend.ReportClaudeCode && !m.DataAt.IsZero()
	}) {
		return nil
	}
	today := spend.Day.Floor(b.now)
	rows, err := b.store.ClaudeCode(ctx, b.id, spend.Window{Start: today.AddDate(0, 0, -1), End: today})
	if err != nil {
		return fmt.Errorf("claude code: %w", err)
	}
	d := b.options.claudeCode()
	if !b.options.byActor() {
		var sum work
		for _, r := range rows {
			sum.add(r)
		}
		b.work(d, sum)
		return nil
	}
	sums, weights, one := map[pair]*work{}, map[pair]int64{}, map[pair]int{}
	for _, r := range rows {
		p := pair{other: b.actor(r)}
		if sums[p] == nil {
			sums[p], one[p] = &work{}, 1
		}
		sums[p].add(r)
		weights[p] = int64(sums[p].cost)
	}
	kept := keep(weights, one, b.options.MaxSeries)
	rest, folded := work{}, 0
	for _, p := range sortedKeys(sums, func(p, q pair) int { return cmp.Compare(p.other, q.other) }) {
		if kept[p] {
			b.work(d, *sums[p], p.other)
			continue
		}
		folded++
		rest.cost += sums[p].cost
		rest.ClaudeCode = added(rest.ClaudeCode, sums[p].ClaudeCode)
	}
	if folded > 0 {
		b.work(d, rest, storage.Other)
		for _, name := range []string{
			"anthropic_claude_code_sessions", "anthropic_claude_code_lines_of_code", "anthropic_claude_code_commits",
			"anthropic_claude_code_pull_requests", "anthropic_claude_code_cost_usd",
		} {
			b.folded[name] = folded
		}
	}
	return nil
}

// added is the sum of what two did.
func added(x, y spend.ClaudeCode) spend.ClaudeCode {
	w := work{ClaudeCode: x}
	y.Models = nil
	w.add(y)
	return w.ClaudeCode
}

func (b *builder) work(d claudeCodeDescs, w work, actor ...string) {
	b.gauge(d.sessions, float64(w.Sessions), actor...)
	b.gauge(d.lines, float64(w.LinesAdded), append(slices.Clone(actor), "added")...)
	b.gauge(d.lines, float64(w.LinesRemoved), append(slices.Clone(actor), "removed")...)
	b.gauge(d.commits, float64(w.Commits), actor...)
	b.gauge(d.pullRequests, float64(w.PullRequests), actor...)
	b.gauge(d.cost, w.cost.USD(), actor...)
}

// actor is the label of who did the work. An address and a key of the same name are told apart, and
// none is called as the rest is.
func (b *builder) actor(r spend.ClaudeCode) string {
	if b.options.ClaudeCodeActors == ActorsHashed {
		sum := sha256.Sum256([]byte(b.id + "\x00" + r.ActorType + "\x00" + r.Actor))
		return hex.EncodeToString(sum[:6])
	}
	if r.Actor == storage.Other || r.ActorType != "user_actor" {
		return r.Actor + " (" + r.ActorType + ")"
	}
	return r.Actor
}
