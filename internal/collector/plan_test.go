package collector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// at reads a time of November 2026 as "02T15:04", or of any month as "12-02T15:04".
func at(s string) time.Time {
	if len(s) == len("02T15:04") {
		s = "11-" + s
	}
	t, err := time.Parse("2006-01-02T15:04", "2026-"+s)
	if err != nil {
		panic(err)
	}
	return t
}

func window(from, to string) spend.Window { return spend.Window{Start: at(from), End: at(to)} }

// hours are slots by the hour, read at a time.
func hours(r spend.Report, w spend.Window, readAt time.Time) []storage.Slot {
	return slotsOf(r, spend.Hour, spend.Hour, w, readAt)
}

// minutes are slots of hours that minutes rule.
func minutes(w spend.Window, readAt time.Time) []storage.Slot {
	return slotsOf(spend.ReportMessages, spend.Minute, spend.Hour, w, readAt)
}

func days(r spend.Report, w spend.Window, readAt time.Time) []storage.Slot {
	return slotsOf(r, spend.Day, spend.Day, w, readAt)
}

func slotsOf(r spend.Report, grain, width spend.Grain, w spend.Window, readAt time.Time) []storage.Slot {
	var slots []storage.Slot
	for _, b := range w.Buckets(width) {
		state := storage.Complete
		if r == spend.ReportAnalyticsCost {
			state = storage.Billed
		}
		slots = append(slots, storage.Slot{Window: b, Grain: grain, Report: r, State: state, ReadAt: readAt, Since: readAt})
	}
	return slots
}

// with changes the slots from a time on.
func with(slots []storage.Slot, from string, change func(*storage.Slot)) []storage.Slot {
	for i := range slots {
		if !slots[i].Window.Start.Before(at(from)) {
			change(&slots[i])
		}
	}
	return slots
}

func join(lists ...[]storage.Slot) []storage.Slot {
	var all []storage.Slot
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func marks(ms ...storage.Watermark) map[spend.Report]storage.Watermark {
	all := map[spend.Report]storage.Watermark{}
	for _, m := range ms {
		all[m.Report] = m
	}
	return all
}

const (
	messages  = spend.ReportMessages
	analytics = spend.ReportAnalyticsUsage
	bill      = spend.ReportCost
	exactBill = spend.ReportAnalyticsCost
)

func TestLiveUsage(t *testing.T) {
	t.Parallel()
	both := []spend.Report{messages, analytics}
	for _, tt := range []struct {
		name    string
		now     string
		slots   []storage.Slot
		eager   bool
		reports []spend.Report
		marks   map[spend.Report]storage.Watermark
		want    []want
	}{
		{
			name: "first tick", now: "20T12:30", reports: both,
			want: []want{
				{messages, spend.Minute, window("20T09:00", "20T12:30"), false},
				{messages, spend.Hour, window("20T00:00", "20T10:00"), false},
			},
		},
		{
			name: "within the hour only minutes", now: "20T12:31", reports: both,
			slots: join(hours(messages, window("20T00:00", "20T10:00"), at("20T12:00")), minutes(window("20T10:00", "20T13:00"), at("20T12:30"))),
			want:  []want{{messages, spend.Minute, window("20T09:00", "20T12:31"), false}},
		},
		{
			name: "at the full hour the open day again and one hour more", now: "20T13:00", reports: both,
			slots: join(hours(messages, window("20T00:00", "20T10:00"), at("20T12:00")), minutes(window("20T10:00", "20T13:00"), at("20T12:59"))),
			want: []want{
				{messages, spend.Minute, window("20T10:00", "20T13:00"), false},
				{messages, spend.Hour, window("20T00:00", "20T11:00"), false},
			},
		},
		{
			name: "yesterday is open until six", now: "20T05:59", reports: both,
			slots: hours(messages, window("19T00:00", "20T03:00"), at("20T04:00")),
			want: []want{
				{messages, spend.Minute, window("20T02:00", "20T05:59"), false},
				{messages, spend.Hour, window("19T00:00", "20T03:00"), false},
			},
		},
		{
			name: "and closed from six on", now: "20T06:00", reports: both,
			slots: hours(messages, window("19T00:00", "20T03:00"), at("20T05:00")),
			want: []want{
				{messages, spend.Minute, window("20T03:00", "20T06:00"), false},
				{messages, spend.Hour, window("20T00:00", "20T04:00"), false},
			},
		},
		{
			name: "a day of analytics stays with it after the older report is back", now: "20T12:30", reports: both,
			slots: hours(analytics, window("20T00:00", "20T11:00"), at("20T12:05")),
			marks: marks(storage.Watermark{Report: analytics, DataAt: at("20T11:10"), ReadAt: at("20T12:29")}),
			want:  nil,
		},
		{
			name: "of a day that is refused half-way nothing is taken over while it is open", now: "20T12:30", reports: []spend.Report{analytics},
			slots: join(hours(messages, window("20T00:00", "20T10:00"), at("20T12:00")), minutes(window("20T10:00", "20T12:00"), at("20T12:00"))),
			marks: marks(storage.Watermark{Report: analytics, DataAt: at("20T11:10"), ReadAt: at("20T12:00")}),
			want:  nil,
		},
		{
			name: "analytics is polled for what it did not have", now: "20T12:30", reports: []spend.Report{analytics},
			slots: hours(analytics, window("20T00:00", "20T11:00"), at("20T12:05")),
			marks: marks(storage.Watermark{Report: analytics, DataAt: at("20T11:10"), ReadAt: at("20T12:25")}),
			want:  []want{{analytics, spend.Hour, window("20T11:00", "20T12:00"), false}},
		},
		{
			name: "but not at each tick", now: "20T12:30", reports: []spend.Report{analytics},
			slots: hours(analytics, window("20T00:00", "20T11:00"), at("20T12:05")),
			marks: marks(storage.Watermark{Report: analytics, DataAt: at("20T11:10"), ReadAt: at("20T12:28")}),
			want:  nil,
		},
		{
			name: "unless nothing else tells of new usage", now: "20T12:30", reports: []spend.Report{analytics}, eager: true,
			slots: hours(analytics, window("20T00:00", "20T11:00"), at("20T12:05")),
			marks: marks(storage.Watermark{Report: analytics, DataAt: at("20T11:10"), ReadAt: at("20T12:29")}),
			want:  []want{{analytics, spend.Hour, window("20T11:00", "20T12:00"), false}},
		},
		{
			name: "a first tick of analytics", now: "20T12:30", reports: []spend.Report{analytics},
			want: []want{{analytics, spend.Hour, window("20T00:00", "20T12:00"), false}},
		},
		{
			name: "analytics that lags a day is polled from where it ends", now: "20T12:30", reports: []spend.Report{analytics},
			slots: hours(analytics, window("18T00:00", "19T07:00"), at("20T12:05")),
			marks: marks(storage.Watermark{Report: analytics, DataAt: at("19T07:00"), ReadAt: at("20T12:20")}),
			want:  []want{{analytics, spend.Hour, window("19T07:00", "20T12:00"), false}},
		},
		{
			name: "held hours are not asked for at each tick", now: "20T12:31", reports: both,
			slots: with(hours(messages, window("20T00:00", "20T10:00"), at("20T12:00")), "20T05:00", func(s *storage.Slot) {
				s.SuspectSince, s.SuspectReads = at("20T12:00"), 1
			}),
			want: []want{{messages, spend.Minute, window("20T09:00", "20T12:31"), false}},
		},
		{
			name: "but after an hour", now: "20T13:00", reports: both,
			slots: with(hours(messages, window("20T00:00", "20T11:00"), at("20T13:00")), "20T05:00", func(s *storage.Slot) {
				s.SuspectSince, s.SuspectReads = at("20T12:00"), 1
			}),
			want: []want{
				{messages, spend.Minute, window("20T10:00", "20T13:00"), false},
				{messages, spend.Hour, window("20T05:00", "20T11:00"), false},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := plan{now: at(tt.now), ledger: newLedger(tt.slots), reports: tt.reports, marks: tt.marks, eager: tt.eager}
			require.Equal(t, tt.want, p.live())
		})
	}
}

func TestLiveBill(t *testing.T) {
	t.Parallel()
	provisional := func(s *storage.Slot) { s.State = storage.Provisional }
	for _, tt := range []struct {
		name    string
		now     string
		slots   []storage.Slot
		reports []spend.Report
		marks   map[spend.Report]storage.Watermark
		want    []want
	}{
		{
			name: "cost report, first tick", now: "20T03:05", reports: []spend.Report{bill},
			want: []want{{bill, spend.Day, window("19T00:00", "21T00:00"), false}},
		},
		{
			name: "cost report, read this hour", now: "20T12:35", reports: []spend.Report{bill},
			slots: with(days(bill, window("20T00:00", "21T00:00"), at("20T12:05")), "20T00:00", provisional),
			want:  nil,
		},
		{
			name: "cost report, next hour", now: "20T13:00", reports: []spend.Report{bill},
			slots: with(days(bill, window("20T00:00", "21T00:00"), at("20T12:05")), "20T00:00", provisional),
			want:  []want{{bill, spend.Day, window("20T00:00", "21T00:00"), false}},
		},
		{
			name: "a day that began with the cost report stays with it", now: "20T13:00", reports: []spend.Report{exactBill, bill},
			slots: with(days(bill, window("20T00:00", "21T00:00"), at("20T12:05")), "20T00:00", provisional),
			marks: marks(storage.Watermark{Report: exactBill, DataAt: at("20T12:00"), ReadAt: at("20T12:05")}),
			want:  []want{{bill, spend.Day, window("20T00:00", "21T00:00"), false}},
		},
		{
			name: "analytics reads the open day again each hour", now: "20T13:05", reports: []spend.Report{exactBill, bill},
			slots: hours(exactBill, window("20T00:00", "20T12:00"), at("20T12:59")),
			marks: marks(storage.Watermark{Report: exactBill, DataAt: at("20T12:00"), ReadAt: at("20T12:59")}),
			want:  []want{{exactBill, spend.Hour, window("20T00:00", "20T13:00"), false}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := plan{now: at(tt.now), ledger: newLedger(tt.slots), reports: tt.reports, marks: tt.marks}
			require.Equal(t, tt.want, p.live())
		})
	}
}

func TestRepair(t *testing.T) {
	t.Parallel()
	both := []spend.Report{messages, analytics}
	known := marks(
		storage.Watermark{Report: analytics, DataAt: at("20T11:00")},
		storage.Watermark{Report: exactBill, DataAt: at("20T11:00")},
	)
	held := func(since string, reads int) func(*storage.Slot) {
		return func(s *storage.Slot) { s.SuspectSince, s.SuspectReads = at(since), reads }
	}
	provisional := func(s *storage.Slot) { s.State = storage.Provisional }
	for _, tt := range []struct {
		name    string
		now     string // default 20T12:30
		slots   []storage.Slot
		reports []spend.Report
		window  spend.Window
		grain   spend.Grain
		want    []want
	}{
		{
			name: "nothing was read yet", reports: both, window: window("10T00:00", "20T00:00"), grain: spend.Hour,
			want: []want{{messages, spend.Hour, window("10T00:00", "20T00:00"), false}},
		},
		{
			name: "holes, newest first", reports: both, window: window("17T00:00", "20T00:00"), grain: spend.Hour,
			slots: join(hours(messages, window("17T00:00", "17T05:00"), at("20T07:00")), hours(messages, window("17T08:00", "18T22:00"), at("20T07:00")),
				hours(messages, window("19T00:00", "20T00:00"), at("20T07:00"))),
			want: []want{
				{messages, spend.Hour, window("18T22:00", "19T00:00"), false},
				{messages, spend.Hour, window("17T05:00", "17T08:00"), false},
			},
		},
		{
			name: "minutes that were left behind by a stop", reports: both, window: window("18T00:00", "20T00:00"), grain: spend.Hour,
			slots: join(hours(messages, window("18T00:00", "18T10:00"), at("18T12:00")), minutes(window("18T10:00", "18T13:00"), at("18T12:30"))),
			want:  []want{{messages, spend.Hour, window("18T10:00", "20T00:00"), false}},
		},
		{
			name: "a day known by the day is read whole", reports: both, window: window("18T00:00", "20T00:00"), grain: spend.Hour,
			slots: join(days(messages, window("18T00:00", "19T00:00"), at("20T07:00")), hours(messages, window("19T00:00", "20T00:00"), at("20T07:00"))),
			want:  []want{{messages, spend.Hour, window("18T00:00", "19T00:00"), false}},
		},
		{
			name: "by the day it is enough", reports: both, window: window("18T00:00", "20T00:00"), grain: spend.Day,
			slots: join(days(messages, window("18T00:00", "19T00:00"), at("20T07:00")), hours(messages, window("19T00:00", "20T00:00"), at("20T07:00"))),
		},
		{
			name: "the sweep asks for a month at a time", reports: both, window: window("08-01T00:00", "11-01T00:00"), grain: spend.Day,
			want: []want{
				{messages, spend.Day, window("10-01T00:00", "11-01T00:00"), false},
				{messages, spend.Day, window("08-31T00:00", "10-01T00:00"), false},
				{messages, spend.Day, window("08-01T00:00", "08-31T00:00"), false},
			},
		},
		{
			name: "a refused report's holes are taken over by whole days", reports: []spend.Report{analytics}, window: window("17T00:00", "20T00:00"), grain: spend.Hour,
			slots: join(hours(messages, window("17T00:00", "18T10:00"), at("18T12:00")), minutes(window("18T10:00", "18T12:00"), at("18T12:00"))),
			want:  []want{{analytics, spend.Hour, window("18T00:00", "20T00:00"), false}},
		},
		{
			name: "not before the other report has the whole day", reports: []spend.Report{analytics}, now: "20T12:30",
			window: window("19T00:00", "20T00:00"), grain: spend.Hour,
			slots: hours(messages, window("19T00:00", "19T10:00"), at("19T12:00")),
			want:  []want{{analytics, spend.Hour, window("19T00:00", "20T00:00"), false}},
		},
		{
			name: "analytics knows nothing before 2026", reports: []spend.Report{analytics},
			window: spend.Window{Start: time.Date(2025, 12, 30, 0, 0, 0, 0, time.UTC), End: at("01-02T00:00")}, grain: spend.Day,
			want: []want{{analytics, spend.Day, window("01-01T00:00", "01-02T00:00"), false}},
		},
		{
			name: "held answers wait", reports: both, window: window("19T00:00", "20T00:00"), grain: spend.Hour,
			slots: with(hours(messages, window("19T00:00", "20T00:00"), at("20T12:00")), "19T20:00", held("20T11:31", 1)),
		},
		{
			name: "and are asked for again", reports: both, window: window("19T00:00", "20T00:00"), grain: spend.Hour,
			slots: with(hours(messages, window("19T00:00", "20T00:00"), at("20T12:00")), "19T20:00", held("20T10:30", 2)),
			want:  []want{{messages, spend.Hour, window("19T20:00", "20T00:00"), false}},
		},
		{
			name: "an unsettled bill is read every hour", reports: []spend.Report{bill}, window: window("17T00:00", "20T00:00"), grain: spend.Hour,
			slots: with(days(bill, window("17T00:00", "20T00:00"), at("20T11:59")), "17T00:00", provisional),
			want:  []want{{bill, spend.Day, window("17T00:00", "20T00:00"), false}},
		},
		{
			name: "a settled one once a day", reports: []spend.Report{bill}, window: window("17T00:00", "20T00:00"), grain: spend.Hour,
			slots: with(days(bill, window("17T00:00", "20T00:00"), at("20T06:59")), "17T00:00", func(s *storage.Slot) { s.State = storage.Billed }),
			want:  []want{{bill, spend.Day, window("17T00:00", "20T00:00"), false}},
		},
		{
			name: "a settled bill by the day is left alone when its report is", reports: []spend.Report{exactBill}, window: window("18T00:00", "20T00:00"), grain: spend.Hour,
			slots: join(with(days(bill, window("18T00:00", "19T00:00"), at("20T06:59")), "17T00:00", func(s *storage.Slot) { s.State = storage.Billed }),
				with(days(bill, window("19T00:00", "20T00:00"), at("20T06:59")), "17T00:00", provisional)),
			want: []want{{exactBill, spend.Hour, window("19T00:00", "20T00:00"), false}},
		},
		{
			name: "a bill by the hour with a hole cannot be filled by the day", reports: []spend.Report{bill}, window: window("18T00:00", "20T00:00"), grain: spend.Hour,
			slots: join(hours(exactBill, window("18T00:00", "18T09:00"), at("20T07:00")), hours(exactBill, window("19T00:00", "20T00:00"), at("20T07:00"))),
		},
		{
			name: "the month's days are compared once a day", reports: both, window: window("10-30T00:00", "20T00:00"), grain: spend.Hour,
			slots: join(hours(messages, window("10-30T00:00", "11-01T00:00"), at("08T07:00")), hours(messages, window("01T00:00", "19T00:00"), at("19T07:00")),
				hours(messages, window("19T00:00", "20T00:00"), at("20T05:00"))),
			want: []want{{messages, spend.Day, window("01T00:00", "20T00:00"), true}},
		},
		{
			name: "and not twice", reports: both, window: window("01T00:00", "20T00:00"), grain: spend.Hour,
			slots: hours(messages, window("01T00:00", "20T00:00"), at("20T07:00")),
		},
		{
			name: "without a grain only what is there is kept right", reports: both, window: window("01T00:00", "20T00:00"),
			slots: join(hours(messages, window("03T00:00", "03T23:00"), at("20T07:00")), hours(messages, window("05T00:00", "06T00:00"), at("19T08:00"))),
			want: []want{
				{messages, spend.Day, window("05T00:00", "06T00:00"), true},
				{messages, spend.Hour, window("03T23:00", "04T00:00"), false},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := at("20T12:30")
			if tt.now != "" {
				now = at(tt.now)
			}
			p := plan{now: now, ledger: newLedger(tt.slots), reports: tt.reports, marks: known}
			require.Equal(t, tt.want, p.repair(tt.window, tt.grain, true))
		})
	}
	t.Run("analytics takes a day over only when it has all of it", func(t *testing.T) {
		t.Parallel()
		p := plan{now: at("20T12:30"), reports: []spend.Report{analytics},
			ledger: newLedger(hours(messages, window("19T00:00", "19T10:00"), at("19T12:00"))),
			marks:  marks(storage.Watermark{Report: analytics, DataAt: at("19T23:30")})}
		require.Empty(t, p.repair(window("19T00:00", "20T00:00"), spend.Hour, true))
	})
}

func TestCompareDue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, day, readAt, now string
		want                   bool
	}{
		{"before seven", "18T00:00", "19T07:00", "20T06:59", false},
		{"at seven", "18T00:00", "19T07:01", "20T07:00", true},
		{"done today", "18T00:00", "20T07:00", "20T23:00", false},
		{"last month through the 7th", "10-31T00:00", "06T07:00", "07T07:00", true},
		{"once more when it is final", "10-31T00:00", "07T07:00", "08T07:00", true},
		{"and never again", "10-31T00:00", "08T07:00", "09T07:00", false},
		{"after a month of downtime", "10-31T00:00", "01T07:00", "12-05T07:00", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, compareDue(at(tt.day), at(tt.readAt), at(tt.now)))
		})
	}
}

func TestBillable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, since, readAt string
		change              func(*storage.Slot)
		want                bool
	}{
		{"open day", "18T10:00", "18T20:00", nil, false},
		{"two equal reads before six", "18T23:00", "19T05:59", nil, false},
		{"two equal reads, an hour apart, at six", "19T05:00", "19T06:00", nil, true},
		{"less than an hour apart", "19T05:01", "19T06:00", nil, false},
		{"equal since the day itself", "18T21:00", "19T06:10", nil, true},
		{"one read after 72 hours", "22T00:00", "22T00:00", nil, true},
		{"one read before", "21T23:59", "21T23:59", nil, false},
		{"billed already", "19T05:00", "19T06:00", func(s *storage.Slot) { s.State = storage.Billed }, false},
		{"held", "19T05:00", "19T06:00", func(s *storage.Slot) { s.SuspectSince = at("19T06:00") }, false},
		{"of analytics", "19T05:00", "19T06:00", func(s *storage.Slot) { s.Report = exactBill }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := storage.Slot{
				Window: window("18T00:00", "19T00:00"), Grain: spend.Day, Report: bill, State: storage.Provisional,
				ReadAt: at(tt.readAt), Since: at(tt.since),
			}
			if tt.change != nil {
				tt.change(&s)
			}
			require.Equal(t, tt.want, billable(s))
		})
	}
}

func TestReportsFor(t *testing.T) {
	t.Parallel()
	now := at("20T12:00")
	refusedAt := func(r spend.Report, s string) storage.Watermark {
		return storage.Watermark{Report: r, RefusedAt: at(s)}
	}
	for _, tt := range []struct {
		name    string
		fact    spend.Fact
		setting string
		marks   map[spend.Report]storage.Watermark
		want    []spend.Report
	}{
		{"usage", spend.FactUsage, ReportsAuto, nil, []spend.Report{messages, analytics}},
		{"usage of analytics", spend.FactUsage, ReportsAnalytics, nil, []spend.Report{analytics}},
		{"usage, legacy", spend.FactUsage, ReportsLegacy, nil, []spend.Report{messages}},
		{"requests", spend.FactRequests, ReportsAuto, nil, []spend.Report{analytics}},
		{"requests, legacy", spend.FactRequests, ReportsLegacy, nil, nil},
		{"cost", spend.FactCost, ReportsAuto, nil, []spend.Report{exactBill, bill}},
		{"cost of analytics", spend.FactCost, ReportsAnalytics, nil, []spend.Report{exactBill}},
		{"cost, legacy", spend.FactCost, ReportsLegacy, nil, []spend.Report{bill}},
		{"refused today", spend.FactCost, ReportsAuto, marks(refusedAt(exactBill, "20T00:30")), []spend.Report{bill}},
		{"refused yesterday", spend.FactCost, ReportsAuto, marks(refusedAt(exactBill, "19T23:30")), []spend.Report{exactBill, bill}},
		{"the only one, refused just now", spend.FactUsage, ReportsLegacy, marks(refusedAt(messages, "20T11:30")), nil},
		{"the only one, refused an hour ago", spend.FactUsage, ReportsLegacy, marks(refusedAt(messages, "20T11:00")), []spend.Report{messages}},
		{"requests refused an hour ago", spend.FactRequests, ReportsAuto, marks(refusedAt(analytics, "20T11:00")), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, tt.want, reportsFor(tt.fact, tt.setting, tt.marks, now))
		})
	}
}

func TestNewest(t *testing.T) {
	t.Parallel()
	p := plan{now: at("20T12:30"), ledger: newLedger(days(messages, window("18T00:00", "19T00:00"), at("20T07:00")))}
	x := want{messages, spend.Hour, window("17T00:00", "20T00:00"), false}
	part := func(length time.Duration) spend.Window { return p.newest(x, length).window }
	require.Equal(t, window("19T12:00", "20T00:00"), part(12*time.Hour))
	require.Equal(t, window("18T00:00", "20T00:00"), part(30*time.Hour), "a day that is taken over is not cut")
	require.Equal(t, x.window, part(200*time.Hour))
	byDay := want{messages, spend.Day, window("01T00:00", "20T00:00"), false}
	require.Equal(t, byDay, p.newest(byDay, time.Hour))
	byMinute := func(w spend.Window) spend.Window {
		return p.newest(want{messages, spend.Minute, w, false}, time.Hour).window
	}
	require.Equal(t, window("20T12:00", "20T12:30"), byMinute(window("20T09:00", "20T12:30")), "a minute's window begins at a full hour")
	require.Equal(t, window("20T11:00", "20T12:00"), byMinute(window("20T09:00", "20T12:00")))
}

func TestHistoryFrom(t *testing.T) {
	t.Parallel()
	first := at("20T12:30")
	require.Equal(t, at("10T00:00"), historyFrom(first, 10*day, 0, at("25T10:00")))
	require.Equal(t, at("10T00:00"), historyFrom(first, 10*day, 400*day, at("25T10:00")))
	require.Equal(t, at("20T00:00"), historyFrom(first, 10*day, 5*day, at("25T10:00")), "retention would fold what is older")
}

func TestClaudeCodeDays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		dataAt, readAt string
		refusedAt      string
		now            string
		from           string // to today; empty: none
	}{
		{"first", "", "", "", "20T12:30", "10-21T00:00"},
		{"interrupted first", "02T00:00", "", "", "20T12:30", "02T00:00"},
		{"read this hour", "20T11:05", "20T12:05", "", "20T12:30", ""},
		{"next hour", "20T11:05", "20T12:05", "", "20T13:00", "19T00:00"},
		{"first of the day", "19T22:10", "19T23:10", "", "20T00:10", "17T00:00"},
		{"after a pause", "14T09:00", "14T10:00", "", "20T12:30", "14T00:00"},
		{"after a long pause", "01-14T09:00", "01-14T10:00", "", "20T12:30", "10-21T00:00"},
		{"refused today", "20T09:00", "20T10:00", "20T11:00", "20T12:30", ""},
		{"refused yesterday", "18T09:00", "18T10:00", "19T11:00", "20T12:30", "17T00:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var m storage.Watermark
			for s, to := range map[string]*time.Time{tt.dataAt: &m.DataAt, tt.readAt: &m.ReadAt, tt.refusedAt: &m.RefusedAt} {
				if s != "" {
					*to = at(s)
				}
			}
			got := claudeCodeDays(m, at(tt.now))
			if tt.from == "" {
				require.Empty(t, got)
				return
			}
			require.Equal(t, at(tt.from), got[0])
			require.Equal(t, spend.Day.Floor(at(tt.now)), got[len(got)-1])
		})
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	now := at("20T12:30")
	require.Equal(t, storage.Keep{}, keep(Retention{}, now))
	require.Equal(t, storage.Keep{Minute: at("06T00:00"), Hour: at("10-16T00:00")}, keep(Retention{Minute: 14 * day, Hour: 35 * day}, now))
	require.Equal(t, storage.Keep{Minute: at("18T00:00")}, keep(Retention{Minute: time.Hour}, now), "open days are kept")
	require.Equal(t, at("10-16T00:00"), keep(Retention{Day: 35 * day}, now).Day)
}
