package storage

import (
	"context"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Tx is a transaction of a backend on one organization: the SQL that the decisions in this package
// are carried out with. Only backends implement it, and only they call the functions that take it;
// whoever reads or writes facts uses [Store] and [Owner].
//
// Empty lists change nothing. A transaction that only reads may answer the writing methods with an error. Ids given by Intern
// may be remembered beyond the transaction only once it is committed.
type Tx interface {
	// Intern returns the series id of each of n combinations of dimensions; it makes those that are
	// new. Dims is the inverse.
	Intern(ctx context.Context, n int, dims func(i int) *spend.Dims) ([]int64, error)
	Dims(ctx context.Context, series []int64) ([]spend.Dims, error)

	// Slots lists the slots of the fact that overlap the window, by start.
	Slots(ctx context.Context, f spend.Fact, w spend.Window) ([]Slot, error)
	// DropSlots removes the slots by their start; PutSlots writes them whole, new or not.
	DropSlots(ctx context.Context, f spend.Fact, slots []Slot) error
	PutSlots(ctx context.Context, f spend.Fact, slots []Slot) error

	// Rows reads the rows of the table whose bucket lies in the window, by bucket and series.
	Rows(ctx context.Context, t Table, w spend.Window) ([]Row, error)
	// PutRows writes rows whole, new or not, but leaves what [Tx.PutShares] and [Tx.PutRests] wrote.
	PutRows(ctx context.Context, t Table, rows []Row) error
	// DeleteRows removes rows by bucket and series.
	DeleteRows(ctx context.Context, t Table, rows []Row) error
	// PutRevisions adds revisions to usage_revision or cost_revision.
	PutRevisions(ctx context.Context, f spend.Fact, revisions []RowRevision) error

	// PutShares writes the rows' shares of the bill (bill_* of usage_hour or usage_day), where they
	// differ; ClearShares makes them null on the whole day in both tables.
	PutShares(ctx context.Context, t Table, shares []RowShare) error
	ClearShares(ctx context.Context, day spend.Window) error
	// PutRests writes rest and rest_list of rows of cost_day, where they differ.
	PutRests(ctx context.Context, rests []RowRest) error

	// MarkChanged gives the days the organization's next change number.
	MarkChanged(ctx context.Context, days []time.Time) error
	// ChangedSince is [Store.Changed].
	ChangedSince(ctx context.Context, since int64) ([]time.Time, int64, error)

	// KeyUse reads the last use of keys; keys without any are missing from the answer.
	KeyUse(ctx context.Context, keys []string) (map[string]spend.Window, error)
	// PutKeyUse writes the last use of keys; an empty window removes it.
	PutKeyUse(ctx context.Context, uses map[string]spend.Window) error
	// FindKeyUse looks into the table for the newest bucket in the window in which the key had
	// tokens or web searches; false if there is none.
	FindKeyUse(ctx context.Context, t Table, key string, w spend.Window) (bucket time.Time, ok bool, err error)

	// Factors are the factors that count of the stored calibration; PutCalibration replaces it.
	Factors(ctx context.Context) (Factors, error)
	PutCalibration(ctx context.Context, c Calibration) error

	// Spans lists the series with tokens or web searches in the window of the table, each with the first
	// and the last bucket of them: of these keys, or of all if keys is nil.
	Spans(ctx context.Context, t Table, w spend.Window, keys []string) ([]SeriesSpan, error)

	// Sum sums the rows of a part of an answer. A group may come in several pieces.
	Sum(ctx context.Context, p Part, g Grouping) ([]Sum, error)

	// State is when the organization went live and the change number its counters stand at.
	State(ctx context.Context) (liveAt time.Time, counted int64, err error)
	// Counters reads all counters, by id; CounterDay a day's part of each counter's total, by id.
	Counters(ctx context.Context) ([]StoredCounter, error)
	CounterDay(ctx context.Context, day time.Time) (map[int64]int64, error)
	// PutCounters writes totals, shown values and folds; a counter whose id is 0 is new and gets its
	// id set.
	PutCounters(ctx context.Context, counters []*StoredCounter) error
	// PutCounterDay replaces the day's parts.
	PutCounterDay(ctx context.Context, day time.Time, parts map[int64]int64) error
	// PutCounted stores the change number the counters stand at now.
	PutCounted(ctx context.Context, counted int64) error

	// MixedPrices lists the buckets of the grain in the window in which rows of the usage table that
	// are of one series have price 0 and others do not: a sum could not say how much is unpriced.
	MixedPrices(ctx context.Context, t Table, g spend.Grain, w spend.Window) ([]time.Time, error)
	// FoldMinutes writes the sums of the minutes of an hour into usage_hour (price by the rule of
	// FoldDays); the minutes stay.
	FoldMinutes(ctx context.Context, hour spend.Window) error
	// FoldDay moves the hours of a UTC day into the fact's day table: sums by series of all figures,
	// cal_* and bill_* included (null where all are null); the price state is 2 if any hour's is, else 1 if any
	// is, else what all are. For costs rest and rest_list are the sums of amount and list. It returns
	// how many rows of hours it removed.
	FoldDay(ctx context.Context, f spend.Fact, day spend.Window) (int64, error)
	// PruneMinutes removes the rows of usage_minute in the window, which may begin at the beginning of
	// time, and returns how many.
	PruneMinutes(ctx context.Context, w spend.Window) (int64, error)

	// PutStale notes that the sums of the days do not hold; StaleDay is the newest such day before the
	// time, false if there is none. SummedDays lists the days in the window whose sums hold.
	PutStale(ctx context.Context, days []time.Time) error
	StaleDay(ctx context.Context, before time.Time) (day time.Time, ok bool, err error)
	SummedDays(ctx context.Context, w spend.Window) ([]time.Time, error)
	// SumDay writes the sums of a UTC day anew from its hours and notes that they hold. Bills are null
	// where all are. A day without hours has no sums and is not noted.
	SumDay(ctx context.Context, day spend.Window) error
}

// Table is a table of facts.
type Table string

// The tables of facts.
const (
	UsageMinute Table = "usage_minute"
	UsageHour   Table = "usage_hour"
	UsageDay    Table = "usage_day"
	RequestHour Table = "request_hour"
	RequestDay  Table = "request_day"
	CostHour    Table = "cost_hour"
	CostDay     Table = "cost_day"
)

// The tables of their sums by the UTC day; those of usage are kept by price, too.
const (
	UsageSum   Table = "usage_sum"
	RequestSum Table = "request_sum"
	CostSum    Table = "cost_sum"
)

// tables are the tables of facts by fact and grain.
var tables = map[spend.Fact]map[spend.Grain]Table{
	spend.FactUsage:    {spend.Minute: UsageMinute, spend.Hour: UsageHour, spend.Day: UsageDay},
	spend.FactRequests: {spend.Hour: RequestHour, spend.Day: RequestDay},
	spend.FactCost:     {spend.Hour: CostHour, spend.Day: CostDay},
}

// Grain is the width of the table's buckets.
func (t Table) Grain() spend.Grain {
	switch t {
	case UsageMinute:
		return spend.Minute
	case UsageDay, RequestDay, CostDay, UsageSum, RequestSum, CostSum:
		return spend.Day
	default:
		return spend.Hour
	}
}

// Row is a row of a table of facts. Counts, Estimate, Calibrated and Price are of usage, Requests of
// request counts, Amount and List of costs; the others are zero.
type Row struct {
	Bucket     int64 // Unix seconds
	Series     int64
	Counts     spend.Counts
	Estimate   spend.Amounts // at list price
	Calibrated spend.Amounts // the estimate by [Factors.Apply]
	Price      spend.PriceState
	Requests   int64
	Amount     spend.Money
	List       spend.Money
}

// figures are what a revision keeps of the row.
func (r Row) figures() RevisedFigures {
	return RevisedFigures{Counts: r.Counts, Requests: r.Requests, Amount: r.Amount, List: r.List}
}

// add adds the figures of b to r; of price states the more doubtful one stands.
func (r *Row) add(b Row) {
	r.Counts.Add(b.Counts)
	r.Estimate.Add(b.Estimate)
	r.Calibrated.Add(b.Calibrated)
	r.Requests += b.Requests
	r.Amount += b.Amount
	r.List += b.List
	if b.Price == spend.Uncertain || r.Price == spend.Committed {
		r.Price = b.Price
	}
}

// RowRevision is a [Revision] by series.
type RowRevision struct {
	Bucket    int64
	Series    int64
	Grain     spend.Grain
	RevisedAt time.Time
	Old, New  RevisedFigures
}

// RowShare is a usage row's share of the bill, by kind.
type RowShare struct {
	Bucket int64
	Series int64
	Bill   spend.Amounts
}

// RowRest is what of a row of cost_day was not shared out.
type RowRest struct {
	Bucket int64
	Series int64
	Rest   spend.Money
	List   spend.Money
}

// StoredCounter is a [Counter] and its id.
type StoredCounter struct {
	ID int64
	Counter
}

// Figures are the columns of a part that count.
type Figures int

// The figures.
const (
	CountFigures    Figures = iota // usage_*: the counts. Fills Sum.Counts
	RequestFigures                 // request_*: requests. Fills Sum.Requests
	EstimateFigures                // usage_*: cal_* and est_*. Fills Sum.Amounts, Lists, Unpriced and Uncertain
	BillFigures                    // usage_hour, usage_day: bill_*, rows where it is not null. Fills Sum.Amounts
	AmountFigures                  // cost_*: amount and list. Fills Sum.Amount and Sum.List
	RestFigures                    // cost_day: rest and rest_list, rows where either is not 0. Fills Sum.Amount and Sum.List
	OpenFigures                    // cost_day: amount and list of rows whose cost_type is neither tokens nor web_search
)

// Part says which rows count in an answer: those of the table whose bucket lies in the window.
type Part struct {
	Table   Table
	Figures Figures
	Window  spend.Window
	Basis   spend.Basis // of costs
}

// wide reports whether a row of the part holds several kinds in columns.
func (p Part) wide() bool {
	return p.Figures == CountFigures || p.Figures == EstimateFigures || p.Figures == BillFigures
}

// Grouping is how [Tx.Sum] groups and filters: by the bucket floored to the step (all together if
// it is 0) and by columns of series.
type Grouping struct {
	Step  spend.Grain
	By    []spend.Dimension
	Where []Match
	Most  int // see [Query]
}

// Fits reports whether so many groups, or rows, may be held.
func (g Grouping) Fits(n int) bool { return g.Most == 0 || n <= g.Most }

// Sum is a group of [Tx.Sum]. Start is zero where the step is.
type Sum struct {
	Start time.Time
	spend.Dims
	Counts    spend.Counts
	Requests  int64
	Amounts   spend.Amounts
	Lists     spend.Amounts // at list price
	Unpriced  spend.Counts  // counts of rows whose price is 0
	Uncertain bool          // a row's price is 2
	Amount    spend.Money
	List      spend.Money
}

// Add adds the figures of other, a part of the same group.
func (s *Sum) Add(other *Sum) {
	s.Counts.Add(other.Counts)
	s.Requests += other.Requests
	s.Amounts.Add(other.Amounts)
	s.Lists.Add(other.Lists)
	s.Unpriced.Add(other.Unpriced)
	s.Uncertain = s.Uncertain || other.Uncertain
	s.Amount += other.Amount
	s.List += other.List
}
