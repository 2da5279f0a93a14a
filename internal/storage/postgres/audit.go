package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// mostProbes is up to how many rows are looked up one by one rather than found by reading all of a window.
const mostProbes = 500_000

// Spans lists the series with use. Those of a few keys are looked up bucket by bucket. The planner is kept
// from a third way, which it would take by a wrong guess: to walk all of the window's index for each series.
func (t *tx) Spans(ctx context.Context, table storage.Table, w spend.Window, keys []string) ([]storage.SeriesSpan, error) {
	const use = `(uncached_input > 0 or cache_read_input > 0 or cache_creation_5m_input > 0 or cache_creation_1h_input > 0
		or output > 0 or web_searches > 0)`
	args := []any{t.organization, w.Start, w.End}
	rows := "select series, bucket from " + string(table) + " where organization = $1 and bucket >= $2 and bucket < $3 and " + use
	if keys != nil {
		ids, err := collect(ctx, t, "select id from series where organization = $1 and api_key_id = any($2)", []any{t.organization, keys}, pgx.RowTo[int64])
		if err != nil {
			return nil, err
		}
		args = append(args, ids)
		g := table.Grain()
		if int64(len(ids))*int64(w.Duration()/g.Duration()) <= mostProbes {
			args[1], args[2] = g.Ceil(w.Start), w.End.Add(-time.Second)
			args = append(args, g.Duration())
			rows = `
				select s.id as series, b.bucket
				from unnest($4::bigint[]) as s (id)
				cross join generate_series($2::timestamptz, $3::timestamptz, $5::interval) as b (bucket)
				cross join lateral (
					select 1 from ` + string(table) + ` u
					where u.organization = $1 and u.bucket = b.bucket and u.series = s.id and ` + use + `
					offset 0) u`
		} else {
			rows += " and series + 0 in (select unnest($4::bigint[]))"
		}
	}
	return collect(ctx, t, `
		select s.api_key_id, s.workspace_id, s.model, extract(epoch from f.first)::bigint, extract(epoch from f.last)::bigint
		from (
			select series, min(bucket) as first, max(bucket) as last
			from (`+rows+`) r
			group by series) f
		join series s on s.id = f.series`, args, pgx.RowToStructByPos[storage.SeriesSpan])
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
		order by x.list collate "C"`, []any{organization}, func(row pgx.CollectableRow) (storage.ListRead, error) {
		var l storage.ListRead
		var read, refused *time.Time
		err := row.Scan(&l.List, &read, &refused, &l.Reason)
		l.ReadAt, l.RefusedAt = orZero(read), orZero(refused)
		return l, err
	})
}

func (o *owner) SaveListRead(ctx context.Context, l storage.ListRead) error {
	return o.writing(ctx, "saving when a list was read", func(t *tx) error {
		return t.exec(ctx, `
			insert into list_read as x (organization, list, read_at, refused_at, reason)
			values ($1, $2, $3, $4, $5)
			on conflict (organization, list) do update
			set read_at = coalesce(excluded.read_at, x.read_at), refused_at = coalesce(excluded.refused_at, x.refused_at),
				reason = case when excluded.refused_at is null then x.reason else excluded.reason end`,
			t.organization, l.List, orNull(l.ReadAt.Truncate(time.Second)), orNull(l.RefusedAt.Truncate(time.Second)), l.Reason)
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

const findingColumns = "about, subject_id, finding, severity, subject, workspace_id, owner, since, what, evidence, advice, command, cost, basis"

func (t *tx) audit(ctx context.Context) (a storage.Audit, err error) {
	about, err := collect(ctx, t, "select about::text from audit where organization = $1", []any{t.organization}, pgx.RowTo[string])
	if err != nil || len(about) == 0 {
		return a, err
	}
	if a.AuditAbout, err = storage.DecodeAuditAbout(about[0]); err != nil {
		return a, err
	}
	a.Findings, err = collect(ctx, t, `
		select `+findingColumns+`
		from audit_finding
		where organization = $1
		order by about collate "C", subject_id collate "C", finding collate "C"`, []any{t.organization}, func(row pgx.CollectableRow) (storage.AuditFinding, error) {
		var f storage.AuditFinding
		var since *time.Time
		err := row.Scan(&f.About, &f.ID, &f.Check, &f.Severity, &f.Name, &f.WorkspaceID, &f.Owner, &since, &f.What, &f.Evidence, &f.Advice,
			&f.Command, &f.Cost, &f.Basis)
		f.Since = orZero(since)
		return f, err
	})
	if err != nil {
		return a, err
	}
	a.Costs = map[string]storage.KeyCost{}
	rows, _ := t.Query(ctx, "select api_key_id, cost, basis from audit_cost where organization = $1", t.organization) // ForEachRow returns its error
	var id string
	var c storage.KeyCost
	_, err = pgx.ForEachRow(rows, []any{&id, &c.Cost, &c.Basis}, func() error {
		a.Costs[id] = c
		return nil
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
		if err := t.exec(ctx, `
			insert into audit (organization, evaluated_at, about)
			values ($1, $2, $3::text::jsonb)
			on conflict (organization) do update
			set evaluated_at = excluded.evaluated_at, about = excluded.about`, t.organization, a.EvaluatedAt.Truncate(time.Second), about); err != nil {
			return err
		}
		if err := t.each(ctx, "delete from audit_finding where organization = $1 and about = $2 and subject_id = $3 and finding = $4", len(drop),
			func(i int) []any { return []any{t.organization, drop[i].About, drop[i].ID, drop[i].Check} }); err != nil {
			return err
		}
		if err := t.each(ctx, `
			insert into audit_finding (organization, `+findingColumns+`)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`, len(put), func(i int) []any {
			f := put[i]
			return []any{
				t.organization, f.About, f.ID, f.Check, f.Severity, f.Name, f.WorkspaceID, f.Owner, orNull(f.Since), f.What, f.Evidence, f.Advice,
				f.Command, int64(f.Cost), string(f.Basis),
			}
		}); err != nil {
			return err
		}
		if err := t.each(ctx, "delete from audit_cost where organization = $1 and api_key_id = $2", len(dropCosts),
			func(i int) []any { return []any{t.organization, dropCosts[i]} }); err != nil {
			return err
		}
		ids := slices.Sorted(maps.Keys(putCosts))
		return t.each(ctx, `
			insert into audit_cost (organization, api_key_id, cost, basis)
			values ($1, $2, $3, $4)
			on conflict (organization, api_key_id) do update
			set cost = excluded.cost, basis = excluded.basis`, len(ids),
			func(i int) []any {
				c := putCosts[ids[i]]
				return []any{t.organization, ids[i], int64(c.Cost), string(c.Basis)}
			})
	})
}
