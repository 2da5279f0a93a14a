package storage

import (
	"context"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Dump is a database that stands still, to be copied to another backend: nobody else writes to it
// until it is closed.
type Dump interface {
	// Version is that of the schema. Migrations of the backends have the same numbers.
	Version() int64
	// Tables lists the tables, the migrations' own left out, by name.
	Tables(ctx context.Context) ([]DumpTable, error)
	// Rows reads the columns of all rows of a table.
	Rows(ctx context.Context, table string, columns []string) (DumpRows, error)
	// Organizations, Usage and Costs are those of [Store].
	Organizations(ctx context.Context) ([]OrganizationState, error)
	Usage(ctx context.Context, q Query) (UsageResult, error)
	Costs(ctx context.Context, q Query) (CostResult, error)
	Close() error
}

// DumpTable is a table of a dump.
type DumpTable struct {
	Name    string
	Columns []string
	Rows    int64
	LastID  int64 // the highest number that rows were ever given; 0 where rows have none of their own
}

// DumpRows are rows that are read one after another. Values are those of SQLite: int64, float64,
// string, []byte or nil, valid until the next call of Next.
type DumpRows interface {
	Next() bool
	Values() ([]any, error)
	Err() error
	Close() error
}

// Loaded says what was copied.
type Loaded struct {
	Tables  []LoadedTable // by name
	Foreign []string      // tables that are not ours and stay behind
	Months  []MonthTotal
}

// LoadedTable is a table that was copied.
type LoadedTable struct {
	Name string
	Rows int64
}

// MonthTotal is what an organization used and paid in a month, the same in both databases.
type MonthTotal struct {
	Organization string    // its id
	Month        time.Time // its first day
	Cost         spend.Money
	List         spend.Money
	Tokens       int64
}

// Everything is a window that holds every bucket that a store can have.
var Everything = spend.Window{
	Start: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	End:   time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
}

// Sums are the sums of a store.
type Sums interface {
	Usage(ctx context.Context, q Query) (UsageResult, error)
	Costs(ctx context.Context, q Query) (CostResult, error)
}

// MonthTotals sums up all that there is, by organization and month of UTC.
func MonthTotals(ctx context.Context, s Sums) ([]MonthTotal, error) {
	totals := map[MonthTotal]*MonthTotal{}
	of := func(organization string, start time.Time) *MonthTotal {
		key := MonthTotal{Organization: organization, Month: spend.MonthStart(start)}
		t := totals[key]
		if t == nil {
			t = &MonthTotal{Organization: key.Organization, Month: key.Month}
			totals[key] = t
		}
		return t
	}
	q := Query{Window: Everything, Step: spend.Day}
	costs, err := s.Costs(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, c := range costs.Rows {
		t := of(c.Organization, c.Start)
		t.Cost += c.Cost
		t.List += c.List
	}
	usage, err := s.Usage(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, u := range usage.Rows {
		of(u.Organization, u.Start).Tokens += u.Counts.Tokens()
	}
	out := make([]MonthTotal, 0, len(totals))
	for _, t := range totals {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b MonthTotal) int {
		if c := a.Month.Compare(b.Month); c != 0 {
			return c
		}
		if a.Organization < b.Organization {
			return -1
		}
		return 1
	})
	return out, nil
}
