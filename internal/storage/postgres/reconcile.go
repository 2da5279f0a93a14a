package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

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
		from reconciliation x`+byOrganization+` and x.day >= $2 and x.day < $3
		order by x.day, x.name collate "C", x.subject collate "C", x.model collate "C", x.token_type collate "C"`,
		[]any{organization, w.Start, w.End}, func(row pgx.CollectableRow) (c storage.Check, err error) {
			err = row.Scan(&c.Day, &c.Name, &c.Subject, &c.Model, &c.TokenType, &c.Report, &c.With, &c.Money, &c.Ours, &c.Theirs, &c.List,
				&c.Verdict, &c.Explanation, &c.Since, &c.CheckedAt)
			return c, err
		})
}

func (o *owner) SaveChecks(ctx context.Context, cs []storage.Check) error {
	groups := storage.GroupChecks(cs)
	return o.writing(ctx, "saving checks", func(t *tx) error {
		err := t.each(ctx, `delete from reconciliation where organization = $1 and day = $2 and name = $3`, len(groups), func(i int) []any {
			return []any{t.organization, groups[i].Day, string(groups[i].Name)}
		})
		if err != nil {
			return err
		}
		return t.each(ctx, `
			insert into reconciliation (organization, day, name, subject, model, token_type, report, compared, money, ours, theirs, list,
				verdict, explanation, since, checked_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`, len(cs), func(i int) []any {
			c := cs[i]
			return []any{
				t.organization, c.Day, string(c.Name), c.Subject, c.Model, c.TokenType, string(c.Report), string(c.With), c.Money,
				c.Ours, c.Theirs, c.List, string(c.Verdict), c.Explanation, seconds(c.Since), seconds(c.CheckedAt),
			}
		})
	})
}

// seconds is the time at the precision that both databases keep.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Findings lists findings.
func (s *Store) Findings(ctx context.Context, organization string) ([]storage.Finding, error) {
	return list(ctx, s, "listing findings", `
		select x.kind, x.subject, x.amount, x.detail, x.first_day, x.end_day, x.first_at, x.seen_at
		from finding x`+byOrganization+`
		order by x.kind collate "C", x.subject collate "C"`, []any{organization}, func(row pgx.CollectableRow) (f storage.Finding, err error) {
		var start, end *time.Time
		err = row.Scan(&f.Kind, &f.Subject, &f.Amount, &f.Detail, &start, &end, &f.FirstAt, &f.SeenAt)
		f.Window = spend.Window{Start: orZero(start), End: orZero(end)}
		return f, err
	})
}

func (o *owner) SaveFindings(ctx context.Context, fs []storage.Finding) error {
	return o.writing(ctx, "saving findings", func(t *tx) error {
		old, err := collect(ctx, t, `select kind, subject, first_at from finding where organization = $1`, []any{t.organization},
			func(row pgx.CollectableRow) (f storage.Finding, err error) {
				err = row.Scan(&f.Kind, &f.Subject, &f.FirstAt)
				return f, err
			})
		if err != nil {
			return err
		}
		fs := storage.KeepFirst(old, fs)
		if err := t.exec(ctx, `delete from finding where organization = $1`, t.organization); err != nil {
			return err
		}
		return t.each(ctx, `
			insert into finding (organization, kind, subject, amount, detail, first_day, end_day, first_at, seen_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, len(fs), func(i int) []any {
			f := fs[i]
			return []any{
				t.organization, f.Kind, f.Subject, f.Amount, f.Detail, orNull(f.Window.Start), orNull(f.Window.End), seconds(f.FirstAt), seconds(f.SeenAt),
			}
		})
	})
}

// SetAside lists what is set aside.
func (s *Store) SetAside(ctx context.Context, organization string, w spend.Window) ([]storage.SetAside, error) {
	return list(ctx, s, "listing what is set aside", `
		select x.bucket, x.report, x.position, x.currency, x.amount, x.list, x.read_at, `+dimColumns("x.")+`
		from set_aside x`+byOrganization+` and x.bucket >= $2 and x.bucket < $3
		order by x.bucket, x.report collate "C", x.position`,
		[]any{organization, w.Start, w.End}, func(row pgx.CollectableRow) (a storage.SetAside, err error) {
			to := []any{&a.Bucket, &a.Report, &a.Position, &a.Currency, &a.Amount, &a.List, &a.ReadAt}
			for _, d := range spend.Dimensions {
				to = append(to, a.Field(d))
			}
			err = row.Scan(to...)
			return a, err
		})
}

func (o *owner) ReplaceSetAside(ctx context.Context, r spend.Report, w spend.Window, rows []storage.SetAside) error {
	return o.writing(ctx, "setting rows of a bill aside", func(t *tx) error {
		err := t.exec(ctx, `delete from set_aside where organization = $1 and report = $2 and bucket >= $3 and bucket < $4`,
			t.organization, string(r), w.Start, w.End)
		if err != nil {
			return err
		}
		values := "$1"
		for i := range 7 + len(spend.Dimensions) {
			values += ", $" + strconv.Itoa(i+2)
		}
		return t.each(ctx, `
			insert into set_aside (organization, bucket, report, position, currency, amount, list, read_at, `+dimColumns("")+`)
			values (`+values+`)`, len(rows), func(i int) []any {
			a := rows[i]
			args := []any{t.organization, a.Bucket, string(r), a.Position, a.Currency, a.Amount, a.List, seconds(a.ReadAt)}
			for _, d := range spend.Dimensions {
				args = append(args, *a.Field(d))
			}
			return args
		})
	})
}

const (
	factorColumns = "x.model, x.factor, x.billed, x.estimated, x.days, x.first_day, x.end_day, x.computed_at, x.problem"
	priceColumns  = "x.model, x.first_day, x.end_day, x.uncached_input, x.cache_read_input, x.cache_creation_5m_input, x.cache_creation_1h_input, x.output"
)

type datedFactor struct {
	storage.CalibrationFactor
	at time.Time
}

func scanFactor(row pgx.CollectableRow) (f datedFactor, err error) {
	var start, end *time.Time
	err = row.Scan(&f.Model, (*int64)(&f.Factor), (*int64)(&f.Billed), (*int64)(&f.Estimated), &f.Days, &start, &end, &f.at, &f.Problem)
	f.Window = spend.Window{Start: orZero(start), End: orZero(end)}
	return f, err
}

func scanPrice(row pgx.CollectableRow) (p storage.EffectivePrice, err error) {
	to := []any{&p.Model, &p.Window.Start, &p.Window.End}
	for k := range p.Price {
		to = append(to, (*int64)(&p.Price[k]))
	}
	err = row.Scan(to...)
	return p, err
}

// Calibration reads the calibration.
func (s *Store) Calibration(ctx context.Context, organization string) (c storage.Calibration, err error) {
	// One statement each: what is read between two calibrations is a factor beside an older price, no
	// sum of both.
	factors, err := list(ctx, s, "reading the calibration", `
		select `+factorColumns+` from calibration x`+byOrganization+` order by x.model collate "C"`, []any{organization}, scanFactor)
	if err != nil {
		return c, err
	}
	for _, f := range factors {
		c.Factors, c.At = append(c.Factors, f.CalibrationFactor), f.at
	}
	c.Prices, err = list(ctx, s, "reading effective prices", `
		select `+priceColumns+` from effective_price x`+byOrganization+` order by x.model collate "C"`, []any{organization}, scanPrice)
	return c, err
}

func (t *tx) Factors(ctx context.Context) (storage.Factors, error) {
	factors, err := collect(ctx, t, `select `+factorColumns+` from calibration x where x.organization = $1`, []any{t.organization}, scanFactor)
	var c storage.Calibration
	for _, f := range factors {
		c.Factors = append(c.Factors, f.CalibrationFactor)
	}
	return c.Counting(), err
}

func (t *tx) PutCalibration(ctx context.Context, c storage.Calibration) error {
	if err := t.exec(ctx, `delete from calibration where organization = $1`, t.organization); err != nil {
		return err
	}
	if err := t.exec(ctx, `delete from effective_price where organization = $1`, t.organization); err != nil {
		return err
	}
	err := t.each(ctx, `
		insert into calibration (organization, model, factor, billed, estimated, days, first_day, end_day, computed_at, problem)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, len(c.Factors), func(i int) []any {
		f := c.Factors[i]
		return []any{
			t.organization, f.Model, int64(f.Factor), int64(f.Billed), int64(f.Estimated), f.Days, orNull(f.Window.Start), orNull(f.Window.End),
			seconds(c.At), f.Problem,
		}
	})
	if err != nil {
		return err
	}
	return t.each(ctx, `
		insert into effective_price (organization, model, first_day, end_day, uncached_input, cache_read_input, cache_creation_5m_input,
			cache_creation_1h_input, output)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, len(c.Prices), func(i int) []any {
		p := c.Prices[i]
		args := []any{t.organization, p.Model, p.Window.Start, p.Window.End}
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
	checks, err := t.Exec(ctx, `delete from reconciliation where organization = $1 and day < $2`, t.organization, before)
	if err != nil {
		return 0, err
	}
	aside, err := t.Exec(ctx, `delete from set_aside where organization = $1 and bucket < $2`, t.organization, before)
	return checks.RowsAffected() + aside.RowsAffected(), err
}
