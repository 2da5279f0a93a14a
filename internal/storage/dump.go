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
	// Costs is that of [Store].
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

// MonthTotal is what an organization paid in a month, as far as billed or estimated, the same in both
// databases.
type MonthTotal struct {
	Organization string    // its id
	Month        time.Time // its first day
	Cost         spend.Money
	List         spend.Money
}

// everything is a window that holds every bucket that a store can have.
var everything = spend.Window{
	Start: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
	End:   time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
}

// MonthTotals sums up all cost that there is, by month of UTC and organization; costs is [Store.Costs].
func MonthTotals(ctx context.Context, costs func(context.Context, Query) (CostResult, error)) ([]MonthTotal, error) {
	r, err := costs(ctx, Query{Window: everything, Step: spend.Day})
	if err != nil {
		return nil, err
	}
	var totals []MonthTotal
	for _, c := range r.Rows { // by organization and day
		if n := len(totals); n == 0 || totals[n-1].Organization != c.Organization || !totals[n-1].Month.Equal(spend.MonthStart(c.Start)) {
			totals = append(totals, MonthTotal{Organization: c.Organization, Month: spend.MonthStart(c.Start)})
		}
		t := &totals[len(totals)-1]
		t.Cost += c.Cost
		t.List += c.List
	}
	slices.SortStableFunc(totals, func(a, b MonthTotal) int { return a.Month.Compare(b.Month) })
	return totals, nil
}
