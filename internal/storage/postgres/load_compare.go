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
// those of the dump.
func (l *loading) compare(ctx context.Context, tables []loadTable, want map[string]checksums) ([]storage.MonthTotal, error) {
	for _, t := range tables {
		have, err := l.checksums(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("comparing table %s: %w", t.name, err)
		}
		for i, c := range t.columns {
			if h, w := have[i], want[t.name][i].String(); h != w {
				return nil, fmt.Errorf("the copy differs: column %s of table %s has %s and not %s", c.name, t.name, h, w)
			}
		}
	}
	theirs, err := storage.MonthTotals(ctx, l.dump)
	if err != nil {
		return nil, err
	}
	s := inTransaction{l.Tx}
	ours, err := storage.MonthTotals(ctx, s)
	if err != nil {
		return nil, err
	}
	for i := range max(len(ours), len(theirs)) {
		var o, t storage.MonthTotal
		if i < len(ours) {
			o = ours[i]
		}
		if i < len(theirs) {
			t = theirs[i]
		}
		if o != t {
			return nil, fmt.Errorf("the copy differs: the total of a month is %+v and not %+v", o, t)
		}
	}
	return ours, nil
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

// inTransaction answers as the store will once the transaction is committed.
type inTransaction struct{ pgx.Tx }

func (s inTransaction) Usage(ctx context.Context, q storage.Query) (storage.UsageResult, error) {
	os, err := organizations(ctx, s.Tx)
	if err != nil {
		return storage.UsageResult{}, err
	}
	return storage.SumUsage(ctx, os, q)
}

func (s inTransaction) Costs(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	os, err := organizations(ctx, s.Tx)
	if err != nil {
		return storage.CostResult{}, err
	}
	return storage.SumCosts(ctx, os, q)
}
