package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Estimates sums estimates.
func (s *Store) Estimates(ctx context.Context, q storage.Query) (r storage.CostResult, err error) {
	err = s.summing(ctx, "summing estimates", func(os []storage.OrganizationTx) error {
		r, err = storage.SumEstimates(ctx, os, q)
		return err
	})
	return r, err
}

// Checks lists checks of days.
func (s *Store) Checks(ctx context.Context, organization string, w spend.Window) ([]storage.Check, error) {
	return list(ctx, s, "listing checks", `
		select x.day, x.name, x.subject, x.model, x.token_type, x.report, x.compared, x.money, x.ours, x.theirs, x.list,
			x.verdict, x.explanation, x.since, x.checked_at
		from reconciliation x`+byOrganization+` and x.day >= ? and x.day < ?
		order by x.day, x.name, x.subject, x.model, x.token_type`,
		[]any{organization, w.Start.Unix(), w.End.Unix()}, func(scan scanner) (c storage.Check, err error) {
			var day, since, checked int64
			err = scan(&day, &c.Name, &c.Subject, &c.Model, &c.TokenType, &c.Report, &c.With, &c.Money, &c.Ours, &c.Theirs, &c.List,
				&c.Verdict, &c.Explanation, &since, &checked)
			c.Day, c.Since, c.CheckedAt = unix(day), unix(since), unix(checked)
			return c, err
		})
}

func (o *owner) SaveChecks(ctx context.Context, cs []storage.Check) error {
	groups := storage.GroupChecks(cs)
	return o.writing(ctx, "saving checks", func(t *tx) error {
		err := t.each(ctx, `delete from reconciliation where organization = ? and day = ? and name = ?`, len(groups), func(i int) []any {
			return []any{o.id, groups[i].Day.Unix(), string(groups[i].Name)}
		})
		if err != nil {
			return err
		}
		return t.each(ctx, `
			insert into reconciliation (organization, day, name, subject, model, token_type, report, compared, money, ours, theirs, list,
				verdict, explanation, since, checked_at)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(cs), func(i int) []any {
			c := cs[i]
			return []any{
				o.id, c.Day.Unix(), string(c.Name), c.Subject, c.Model, c.TokenType, string(c.Report), string(c.With), c.Money,
				c.Ours, c.Theirs, c.List, string(c.Verdict), c.Explanation, c.Since.Unix(), c.CheckedAt.Unix(),
			}
		})
	})
}

// Findings lists findings.
func (s *Store) Findings(ctx context.Context, organization string) ([]storage.Finding, error) {
	return list(ctx, s, "listing findings", `
		select x.kind, x.subject, x.amount, x.detail, x.first_day, x.end_day, x.first_at, x.seen_at
		from finding x`+byOrganization+`
		order by x.kind, x.subject`, []any{organization}, func(scan scanner) (f storage.Finding, err error) {
		var start, end sql.NullInt64
		var first, seen int64
		err = scan(&f.Kind, &f.Subject, &f.Amount, &f.Detail, &start, &end, &first, &seen)
		f.Window, f.FirstAt, f.SeenAt = spend.Window{Start: null(start), End: null(end)}, unix(first), unix(seen)
		return f, err
	})
}

func (o *owner) SaveFindings(ctx context.Context, fs []storage.Finding) error {
	return o.writing(ctx, "saving findings", func(t *tx) error {
		old, err := collect(ctx, t, `select kind, subject, first_at from finding where organization = ?`, []any{o.id},
			func(scan scanner) (f storage.Finding, err error) {
				var first int64
				err = scan(&f.Kind, &f.Subject, &first)
				f.FirstAt = unix(first)
				return f, err
			})
		if err != nil {
			return err
		}
		fs := storage.KeepFirst(old, fs)
		return t.replace(ctx, `delete from finding where organization = ?`, []any{o.id}, `
			insert into finding (organization, kind, subject, amount, detail, first_day, end_day, first_at, seen_at)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(fs), func(i int) []any {
			f := fs[i]
			return []any{
				o.id, f.Kind, f.Subject, f.Amount, f.Detail, orNull(f.Window.Start), orNull(f.Window.End), f.FirstAt.Unix(), f.SeenAt.Unix(),
			}
		})
	})
}

// SetAside lists what is set aside.
func (s *Store) SetAside(ctx context.Context, organization string, w spend.Window) ([]storage.SetAside, error) {
	return list(ctx, s, "listing what is set aside", `
		select x.bucket, x.report, x.position, x.currency, x.amount, x.list, x.read_at, `+asideColumns("x.")+`
		from set_aside x`+byOrganization+` and x.bucket >= ? and x.bucket < ?
		order by x.bucket, x.report, x.position`,
		[]any{organization, w.Start.Unix(), w.End.Unix()}, func(scan scanner) (a storage.SetAside, err error) {
			var bucket, read int64
			err = scan(append([]any{&bucket, &a.Report, &a.Position, &a.Currency, &a.Amount, &a.List, &read}, fields(&a.Dims)...)...)
			a.Bucket, a.ReadAt = unix(bucket), unix(read)
			return a, err
		})
}

// asideColumns are the columns of the dimensions behind a prefix.
func asideColumns(prefix string) string {
	return prefix + strings.ReplaceAll(dimColumns, ", ", ", "+prefix)
}

func (o *owner) ReplaceSetAside(ctx context.Context, r spend.Report, w spend.Window, rows []storage.SetAside) error {
	return o.writing(ctx, "setting rows of a bill aside", func(t *tx) error {
		return t.replace(ctx, `delete from set_aside where organization = ? and report = ? and bucket >= ? and bucket < ?`,
			[]any{o.id, string(r), w.Start.Unix(), w.End.Unix()}, `
			insert into set_aside (organization, bucket, report, position, currency, amount, list, read_at, `+dimColumns+`)
			values (?, ?, ?, ?, ?, ?, ?, ?`+strings.Repeat(", ?", len(spend.Dimensions))+`)`, len(rows), func(i int) []any {
				a := rows[i]
				args := []any{o.id, a.Bucket.Unix(), string(r), a.Position, a.Currency, a.Amount, a.List, a.ReadAt.Unix()}
				for _, d := range spend.Dimensions {
					args = append(args, *a.Field(d))
				}
				return args
			})
	})
}

const (
	factorColumns = `x.model, x.factor, x.billed, x.estimated, x.days, x.first_day, x.end_day, x.computed_at, x.problem`
	priceColumns  = `x.model, x.first_day, x.end_day, x.uncached_input, x.cache_read_input, x.cache_creation_5m_input, x.cache_creation_1h_input, x.output`
)

func scanFactor(scan scanner) (f datedFactor, err error) {
	var start, end sql.NullInt64
	var at int64
	err = scan(&f.Model, &f.Factor, &f.Billed, &f.Estimated, &f.Days, &start, &end, &at, &f.Problem)
	f.Window, f.at = spend.Window{Start: null(start), End: null(end)}, unix(at)
	return f, err
}

type datedFactor struct {
	storage.CalibrationFactor
	at time.Time
}

func scanPrice(scan scanner) (p storage.EffectivePrice, err error) {
	var start, end int64
	to := []any{&p.Model, &start, &end}
	for k := range p.Price {
		to = append(to, (*int64)(&p.Price[k]))
	}
	err = scan(to...)
	p.Window = spend.Window{Start: unix(start), End: unix(end)}
	return p, err
}

// Calibration reads the calibration.
func (s *Store) Calibration(ctx context.Context, organization string) (c storage.Calibration, err error) {
	err = s.reading(ctx, "reading the calibration", func(t *sql.Tx) error {
		factors, err := collect(ctx, t, `select `+factorColumns+` from calibration x`+byOrganization+` order by x.model`,
			[]any{organization}, scanFactor)
		if err != nil {
			return err
		}
		for _, f := range factors {
			c.Factors, c.At = append(c.Factors, f.CalibrationFactor), f.at
		}
		c.Prices, err = collect(ctx, t, `select `+priceColumns+` from effective_price x`+byOrganization+` order by x.model`,
			[]any{organization}, scanPrice)
		return err
	})
	return c, err
}

func (t *tx) Factors(ctx context.Context) (storage.Factors, error) {
	factors, err := collect(ctx, t, `select `+factorColumns+` from calibration x where x.organization = ?`, []any{t.organization}, scanFactor)
	var c storage.Calibration
	for _, f := range factors {
		c.Factors = append(c.Factors, f.CalibrationFactor)
	}
	return c.Counting(), err
}

func (t *tx) PutCalibration(ctx context.Context, c storage.Calibration) error {
	err := t.replace(ctx, `delete from calibration where organization = ?`, []any{t.organization}, `
		insert into calibration (organization, model, factor, billed, estimated, days, first_day, end_day, computed_at, problem)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(c.Factors), func(i int) []any {
		f := c.Factors[i]
		return []any{
			t.organization, f.Model, int64(f.Factor), int64(f.Billed), int64(f.Estimated), f.Days, orNull(f.Window.Start), orNull(f.Window.End),
			c.At.Unix(), f.Problem,
		}
	})
	if err != nil {
		return err
	}
	return t.replace(ctx, `delete from effective_price where organization = ?`, []any{t.organization}, `
		insert into effective_price (organization, model, first_day, end_day, uncached_input, cache_read_input, cache_creation_5m_input,
			cache_creation_1h_input, output)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(c.Prices), func(i int) []any {
		p := c.Prices[i]
		args := []any{t.organization, p.Model, p.Window.Start.Unix(), p.Window.End.Unix()}
		for _, m := range p.Price {
			args = append(args, int64(m))
		}
		return args
	})
}

func (o *owner) Calibrate(ctx context.Context, c storage.Calibration) error {
	return storage.Calibrate(ctx, o.transacting("calibrating estimates"), c)
}

// pruneChecks removes checks of days before the time, and what was set aside on them.
func (t *tx) pruneChecks(ctx context.Context, before time.Time) (int64, error) {
	checks, err := t.deleted(ctx, `delete from reconciliation where organization = ? and day < ?`, t.organization, before.Unix())
	if err != nil {
		return 0, err
	}
	aside, err := t.deleted(ctx, `delete from set_aside where organization = ? and bucket < ?`, t.organization, before.Unix())
	return checks + aside, err
}
