package postgres

import (
	"context"
	"crypto/md5" //nolint:gosec // what PostgreSQL has, for comparison
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// checksum is a count and a sum of values, exact and in whatever order they come. JSON and nulls that
// it stands for are counted apart from null columns.
type checksum struct {
	count int64
	near  int64 // of the sum, what is not in far yet
	far   big.Int
}

type checksums []checksum

func (c *checksum) add(n int64) {
	c.count++
	if sum := c.near + n; (sum > c.near) == (n > 0) {
		c.near = sum
		return
	}
	c.far.Add(&c.far, big.NewInt(c.near))
	c.near = n
}

func (c *checksum) String() string {
	return fmt.Sprintf("%d values, sum %s", c.count, new(big.Int).Add(&c.far, big.NewInt(c.near)))
}

// digest is the first 32 bits of the text's MD5.
func digest(s string) int64 {
	sum := md5.Sum([]byte(s)) //nolint:gosec // see above
	return int64(binary.BigEndian.Uint32(sum[:4]))
}

// meaning is the digest of what a JSON text means: without its spaces, the order of its keys, and the
// way its numbers are written.
func meaning(v any) (int64, error) {
	s, err := text(v)
	if err != nil {
		return 0, err
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return 0, errors.New("is not JSON")
	}
	b, err := json.Marshal(plain(x))
	return digest(string(b)), err
}

// plain writes the numbers in one way.
func plain(x any) any {
	switch x := x.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(x.String(), 10, 64); err == nil {
			return n
		}
		if f, err := x.Float64(); err == nil {
			return f
		}
		return x.String()
	case []any:
		for i := range x {
			x[i] = plain(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = plain(x[k])
		}
	}
	return x
}

// compare compares every column of every table with what was read, and the totals of each month with
// those of the dump, which are summed up meanwhile.
func (l *loading) compare(ctx context.Context, tables []loadTable, want map[string]checksums) (ours []storage.MonthTotal, err error) {
	var theirs []storage.MonthTotal
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		theirs, err = storage.MonthTotals(ctx, l.dump.Costs)
		return err
	})
	g.Go(func() (err error) {
		for _, t := range tables {
			if err := l.compareTable(ctx, t, want[t.name]); err != nil {
				return err
			}
		}
		ours, err = storage.MonthTotals(ctx, l.costs)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i := range max(len(ours), len(theirs)) {
		switch {
		case i >= len(ours) || i >= len(theirs):
			return nil, fmt.Errorf("the copy differs: it has cost in %d months and not in %d", len(ours), len(theirs))
		case ours[i] != theirs[i]:
			return nil, fmt.Errorf("the copy differs: the cost of %s is %s and not %s", theirs[i].Month.Format("2006-01"), ours[i].Cost, theirs[i].Cost)
		}
	}
	return ours, nil
}

func (l *loading) compareTable(ctx context.Context, t loadTable, want checksums) error {
	have, err := l.checksums(ctx, t)
	if err != nil {
		return fmt.Errorf("comparing table %s: %w", t.name, err)
	}
	for i, c := range t.columns {
		if h, w := have[i], want[i].String(); h != w {
			return fmt.Errorf("the copy differs: column %s of table %s has %s and not %s", c.name, t.name, h, w)
		}
	}
	return nil
}

// checksums sums up the columns of a table.
func (l *loading) checksums(ctx context.Context, t loadTable) ([]string, error) {
	var sums []string
	var texts []int
	for i, c := range t.columns {
		k := kinds[c.typ]
		if k.sql == "" {
			texts = append(texts, i)
			sums = append(sums, "''")
			continue
		}
		x := fmt.Sprintf(k.sql, c.name)
		sums = append(sums, fmt.Sprintf("count(%s) || ' values, sum ' || trim_scale(coalesce(sum(%s), 0)::numeric)", c.name, x))
	}
	have := make([]string, len(sums))
	targets := make([]any, len(sums))
	for i := range have {
		targets[i] = &have[i]
	}
	if err := l.QueryRow(ctx, "select "+strings.Join(sums, ", ")+" from "+t.name).Scan(targets...); err != nil {
		return nil, err
	}
	if len(texts) == 0 {
		return have, nil
	}
	columns := make([]string, len(texts))
	for i, n := range texts {
		columns[i] = fmt.Sprintf(kinds[t.columns[n].typ].text, t.columns[n].name)
	}
	values := make([]*string, len(texts))
	targets = targets[:0]
	for i := range values {
		targets = append(targets, &values[i])
	}
	found := make(checksums, len(texts))
	rows, _ := l.Query(ctx, "select "+strings.Join(columns, ", ")+" from "+t.name)
	_, err := pgx.ForEachRow(rows, targets, func() error {
		for i, v := range values {
			if v == nil {
				continue
			}
			n, err := meaning(*v)
			if err != nil {
				return err
			}
			found[i].add(n)
		}
		return nil
	})
	for i, n := range texts {
		have[n] = found[i].String()
	}
	return have, err
}

// costs is [Store.Costs] as the store will answer once the transaction is committed.
func (l *loading) costs(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	os, err := organizations(ctx, l.Tx)
	if err != nil {
		return storage.CostResult{}, err
	}
	return storage.SumCosts(ctx, os, q)
}
