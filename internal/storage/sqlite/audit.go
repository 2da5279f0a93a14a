package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// mostProbes is up to how many rows are looked up one by one rather than found by reading all of a window.
const mostProbes = 500_000

// Spans lists the series with use. Those of a few keys are looked up bucket by bucket; else a window is
// read day by day, as SQLite sorts what it groups, all of it at once in memory.
func (t *tx) Spans(ctx context.Context, table storage.Table, w spend.Window, keys []string) ([]storage.SeriesSpan, error) {
	when, of := `bucket >= ? and bucket < ?`, []any{}
	pieces := w.Buckets(spend.Day)
	if keys != nil {
		list, err := json.Marshal(keys)
		if err != nil {
			return nil, err
		}
		const those = `select id from series where organization = ? and api_key_id in (select value from json_each(?))`
		of = []any{t.organization, string(list)}
		var n int64
		if err := t.QueryRowContext(ctx, `select count(*) from (`+those+`)`, of...).Scan(&n); err != nil {
			return nil, err
		}
		g := table.Grain()
		if buckets := int64(w.Duration() / g.Duration()); n*buckets <= mostProbes {
			when = fmt.Sprintf(`bucket in (with recursive b (x) as (select ? union all select x + %[1]d from b where x + %[1]d < ?) select x from b)`, int64(g))
			pieces = []spend.Window{{Start: g.Ceil(w.Start), End: w.End}}
		}
		when += ` and series in (` + those + `)`
	}
	stmt, err := t.PrepareContext(ctx, `
		select f.series, s.api_key_id, s.workspace_id, s.model, f.first, f.last
		from (
			select series, min(bucket) as first, max(bucket) as last
			from `+string(table)+`
			where organization = ? and `+when+`
				and (uncached_input > 0 or cache_read_input > 0 or cache_creation_5m_input > 0 or cache_creation_1h_input > 0
					or output > 0 or web_searches > 0)
			group by series) f join series s on s.id = f.series`)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	spans, places := []storage.SeriesSpan{}, map[int64]int{}
	piece := func(w spend.Window) error {
		rows, err := stmt.QueryContext(ctx, append([]any{t.organization, w.Start.Unix(), w.End.Unix()}, of...)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var series int64
			var s storage.SeriesSpan
			if err := rows.Scan(&series, &s.APIKeyID, &s.WorkspaceID, &s.Model, &s.First, &s.Last); err != nil {
				return err
			}
			if at, known := places[series]; known {
				spans[at].Last = s.Last
				continue
			}
			places[series] = len(spans)
			spans = append(spans, s)
		}
		return rows.Err()
	}
	for _, p := range pieces {
		if err := piece(p.Intersect(w)); err != nil {
			return nil, err
		}
	}
	return spans, nil
}

// KeySpans says when keys were used.
func (s *Store) KeySpans(ctx context.Context, organization string, w spend.Window, keys []string) ([]storage.KeySpan, error) {
	spans := []storage.KeySpan{}
	err := s.onOrganization(ctx, "reading the use of keys", organization, func(t *tx) (err error) {
		spans, err = storage.KeySpans(ctx, t, w, keys)
		return err
	})
	return spans, err
}

// ListReads says when the lists of the inventory were read.
func (s *Store) ListReads(ctx context.Context, organization string) ([]storage.ListRead, error) {
	return list(ctx, s, "reading when lists were read", `
		select x.list, x.read_at, x.refused_at, x.reason
		from list_read x`+byOrganization+`
		order by x.list`, []any{organization}, func(scan scanner) (l storage.ListRead, err error) {
		var read, refused sql.NullInt64
		err = scan(&l.List, &read, &refused, &l.Reason)
		l.ReadAt, l.RefusedAt = null(read), null(refused)
		return l, err
	})
}

func (o *owner) SaveListRead(ctx context.Context, l storage.ListRead) error {
	return o.writing(ctx, "saving when a list was read", func(t *tx) error {
		_, err := t.ExecContext(ctx, `
			insert into list_read (organization, list, read_at, refused_at, reason)
			values (?, ?, ?, ?, ?)
			on conflict (organization, list) do update
			set read_at = coalesce(excluded.read_at, read_at), refused_at = coalesce(excluded.refused_at, refused_at),
				reason = case when excluded.refused_at is null then reason else excluded.reason end`,
			o.id, l.List, orNull(l.ReadAt), orNull(l.RefusedAt), l.Reason)
		return err
	})
}

// Audit is the newest evaluation.
func (s *Store) Audit(ctx context.Context, organization string) (a storage.Audit, err error) {
	err = s.onOrganization(ctx, "reading the audit", organization, func(t *tx) error {
		a, err = t.audit(ctx)
		return err
	})
	return a, err
}

const findingColumns = `about, subject_id, finding, severity, subject, workspace_id, owner, since, what, evidence, advice, command, cost, basis`

func (t *tx) audit(ctx context.Context) (a storage.Audit, err error) {
	about, err := collect(ctx, t, `select about from audit where organization = ?`, []any{t.organization}, func(scan scanner) (s string, err error) {
		err = scan(&s)
		return s, err
	})
	if err != nil || len(about) == 0 {
		return a, err
	}
	if a.AuditAbout, err = storage.DecodeAuditAbout(about[0]); err != nil {
		return a, err
	}
	a.Findings, err = collect(ctx, t, `
		select `+findingColumns+`
		from audit_finding
		where organization = ?
		order by about, subject_id, finding`, []any{t.organization}, func(scan scanner) (f storage.AuditFinding, err error) {
		var since sql.NullInt64
		err = scan(&f.About, &f.ID, &f.Check, &f.Severity, &f.Name, &f.WorkspaceID, &f.Owner, &since, &f.What, &f.Evidence, &f.Advice,
			&f.Command, &f.Cost, &f.Basis)
		f.Since = null(since)
		return f, err
	})
	if err != nil {
		return a, err
	}
	a.Costs = map[string]storage.KeyCost{}
	_, err = collect(ctx, t, `select api_key_id, cost, basis from audit_cost where organization = ?`, []any{t.organization},
		func(scan scanner) (id string, err error) {
			var c storage.KeyCost
			err = scan(&id, &c.Cost, &c.Basis)
			a.Costs[id] = c
			return id, err
		})
	return a, err
}

func (o *owner) SaveAudit(ctx context.Context, a storage.Audit) error {
	about, err := storage.EncodeAuditAbout(a.AuditAbout)
	if err != nil {
		return err
	}
	return o.writing(ctx, "saving the audit", func(t *tx) error {
		stored, err := t.audit(ctx)
		if err != nil {
			return err
		}
		drop, put, dropCosts, putCosts := storage.AuditChanges(stored, a)
		if _, err := t.ExecContext(ctx, `insert or replace into audit (organization, evaluated_at, about) values (?, ?, ?)`,
			o.id, a.EvaluatedAt.Unix(), about); err != nil {
			return err
		}
		if err := t.each(ctx, `delete from audit_finding where organization = ? and about = ? and subject_id = ? and finding = ?`, len(drop),
			func(i int) []any { return []any{o.id, drop[i].About, drop[i].ID, drop[i].Check} }); err != nil {
			return err
		}
		if err := t.each(ctx, `
			insert into audit_finding (organization, `+findingColumns+`)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(put), func(i int) []any {
			f := put[i]
			return []any{
				o.id, f.About, f.ID, f.Check, f.Severity, f.Name, f.WorkspaceID, f.Owner, orNull(f.Since), f.What, f.Evidence, f.Advice,
				f.Command, int64(f.Cost), string(f.Basis),
			}
		}); err != nil {
			return err
		}
		if err := t.each(ctx, `delete from audit_cost where organization = ? and api_key_id = ?`, len(dropCosts),
			func(i int) []any { return []any{o.id, dropCosts[i]} }); err != nil {
			return err
		}
		ids := slices.Sorted(maps.Keys(putCosts))
		return t.each(ctx, `insert or replace into audit_cost (organization, api_key_id, cost, basis) values (?, ?, ?, ?)`, len(ids),
			func(i int) []any {
				c := putCosts[ids[i]]
				return []any{o.id, ids[i], int64(c.Cost), string(c.Basis)}
			})
	})
}
