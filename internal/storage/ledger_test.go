package storage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var midnight = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)

// hoursOf is a window in hours since midnight.
func hoursOf(from, to int) spend.Window {
	return spend.Window{Start: midnight.Add(time.Duration(from) * time.Hour), End: midnight.Add(time.Duration(to) * time.Hour)}
}

// slotsOf are slots of a grain, one for each hour or, by the day, for each day of the window.
func slotsOf(g spend.Grain, report spend.Report, state storage.SlotState, w spend.Window) []storage.Slot {
	var slots []storage.Slot
	for _, b := range w.Buckets(max(g, spend.Hour)) {
		slots = append(slots, storage.Slot{Window: b, Grain: g, Report: report, State: state})
	}
	return slots
}

func TestUnits(t *testing.T) {
	t.Parallel()
	const messages, analytics = spend.ReportMessages, spend.ReportAnalyticsUsage
	for _, c := range []struct {
		name  string
		grain spend.Grain
		from  int
		to    int
		old   []storage.Slot
		want  string // hours covered: old slots > new slots
		err   string
	}{
		{"hours on nothing", spend.Hour, 1, 3, nil, "1-2: 0>1h 2-3: 0>1h", ""},
		{"a day on nothing", spend.Day, 0, 24, nil, "0-24: 0>1d", ""},
		{"minutes on nothing", spend.Minute, 1, 2, nil, "1-2: 0>1m", ""},
		{"hours on minutes", spend.Hour, 1, 3, slotsOf(spend.Minute, messages, storage.Complete, hoursOf(1, 2)), "1-2: 1>1h 2-3: 0>1h", ""},
		{"minutes on hours stand beside", spend.Minute, 1, 3, slotsOf(spend.Hour, messages, storage.Complete, hoursOf(1, 2)), "1-2: 1>0 2-3: 0>1m", ""},
		{"minutes on a day stand beside", spend.Minute, 1, 3, slotsOf(spend.Day, messages, storage.Complete, hoursOf(0, 24)), "1-3: 1>0", ""},
		{"hours on a day", spend.Hour, 0, 24, slotsOf(spend.Day, messages, storage.Complete, hoursOf(0, 24)), "0-24: 1>24h", ""},
		{"some hours on a day", spend.Hour, 0, 23, slotsOf(spend.Day, messages, storage.Complete, hoursOf(0, 24)), "", "known by the day"},
		{"a day on hours", spend.Day, 0, 48, slotsOf(spend.Hour, messages, storage.Complete, hoursOf(3, 4)), "24-48: 0>1d", ""},
		{"a day on hours of another report", spend.Day, 0, 24, slotsOf(spend.Hour, analytics, storage.Complete, hoursOf(3, 4)), "", ""},
		{"hours on all hours of another report", spend.Hour, 2, 5, slotsOf(spend.Hour, analytics, storage.Complete, hoursOf(3, 5)), "2-5: 2>3h", ""},
		{"hours on some hours of another report", spend.Hour, 2, 4, slotsOf(spend.Hour, analytics, storage.Complete, hoursOf(3, 5)), "", "belongs to report"},
		{"hours beside hours of another report", spend.Hour, 6, 7, slotsOf(spend.Hour, analytics, storage.Complete, hoursOf(3, 5)), "", "belongs to report"},
		{"a day on a day of another report", spend.Day, 0, 24, slotsOf(spend.Day, analytics, storage.Complete, hoursOf(0, 24)), "0-24: 1>1d", ""},
		{"the day after another report's", spend.Hour, 24, 25, slotsOf(spend.Hour, analytics, storage.Complete, hoursOf(3, 5)), "24-25: 0>1h", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := hoursOf(c.from, c.to)
			units, err := storage.Units(spend.FactUsage, storage.Reading{Report: messages, Grain: c.grain, Window: w, DataAt: w.End}, c.old)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			var got []string
			for _, u := range units {
				s := fmt.Sprintf("%g-%g: %d>%d", u.Window.Start.Sub(midnight).Hours(), u.Window.End.Sub(midnight).Hours(), len(u.Old), len(u.New))
				if len(u.New) > 0 {
					s += u.New[0].Grain.String()[:1]
				}
				got = append(got, s)
			}
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

func TestUnitsSettle(t *testing.T) {
	t.Parallel()
	state := func(f spend.Fact, r storage.Reading, old ...storage.Slot) storage.SlotState {
		units, err := storage.Units(f, r, old)
		require.NoError(t, err)
		return units[0].New[0].State
	}
	w := hoursOf(0, 1)
	messages := storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, DataAt: w.End}
	require.Equal(t, storage.Complete, state(spend.FactUsage, messages))
	messages.DataAt = w.End.Add(-time.Second)
	require.Equal(t, storage.Provisional, state(spend.FactUsage, messages))
	require.Equal(t, storage.Complete, state(spend.FactUsage, messages, slotsOf(spend.Minute, spend.ReportMessages, storage.Complete, w)...), "settled stays settled")
	part := storage.Reading{Report: spend.ReportMessages, Grain: spend.Minute, Window: spend.Window{Start: w.Start, End: w.Start.Add(30 * time.Minute)}, DataAt: w.End}
	require.Equal(t, storage.Provisional, state(spend.FactUsage, part), "half an hour is not all of it")
	analytics := storage.Reading{Report: spend.ReportAnalyticsCost, Grain: spend.Hour, Window: w, DataAt: w.End}
	require.Equal(t, storage.Billed, state(spend.FactCost, analytics))
	day := storage.Reading{Report: spend.ReportCost, Grain: spend.Day, Window: hoursOf(0, 24), DataAt: hoursOf(0, 24).End}
	require.Equal(t, storage.Provisional, state(spend.FactCost, day))
	require.Equal(t, storage.Billed, state(spend.FactCost, day, slotsOf(spend.Day, spend.ReportCost, storage.Billed, hoursOf(0, 24))...))
	require.Equal(t, storage.Provisional, state(spend.FactCost, day, slotsOf(spend.Day, spend.ReportAnalyticsCost, storage.Billed, hoursOf(0, 24))...), "another report's bill is another bill")
}

func TestCostParts(t *testing.T) {
	t.Parallel()
	day := hoursOf(0, 24)
	hours := slotsOf(spend.Hour, spend.ReportMessages, storage.Complete, day)
	for _, c := range []struct {
		name        string
		window      spend.Window
		usage, cost []storage.Slot
		step        spend.Grain
		split       bool
		want        []string
	}{
		{"nothing known", day, nil, nil, 0, false, nil},
		{"estimates only", hoursOf(0, 25), append(hours, slotsOf(spend.Minute, spend.ReportMessages, storage.Provisional, hoursOf(24, 25))...), nil, 0, false,
			[]string{"usage_minute 24-25 estimated", "usage_hour 0-25 estimated"}},
		{"some hours billed", day, hours, slotsOf(spend.Hour, spend.ReportAnalyticsCost, storage.Billed, hoursOf(0, 5)), 0, false,
			[]string{"cost_hour 0-5 billed", "usage_hour 5-24 estimated"}},
		{"some hours of a day by the day billed", day, slotsOf(spend.Day, spend.ReportMessages, storage.Complete, day), slotsOf(spend.Hour, spend.ReportAnalyticsCost, storage.Billed, hoursOf(5, 6)), 0, false,
			[]string{"cost_hour 5-6 billed"}},
		{"an open bill", day, hours, slotsOf(spend.Day, spend.ReportCost, storage.Provisional, day), 0, false,
			[]string{"usage_hour 0-24 estimated", "cost_day 0-24 billed"}},
		{"a billed day", day, hours, slotsOf(spend.Day, spend.ReportCost, storage.Billed, day), spend.Day, false,
			[]string{"usage_hour 0-24 billed", "cost_day 0-24 billed"}},
		{"a billed day by the hour", day, hours, slotsOf(spend.Day, spend.ReportCost, storage.Billed, day), spend.Hour, false,
			[]string{"usage_hour 0-24 allocated", "cost_day 0-24 billed"}},
		{"a billed day by key", day, hours, slotsOf(spend.Day, spend.ReportCost, storage.Billed, day), spend.Day, true,
			[]string{"usage_hour 0-24 allocated", "cost_day 0-24 billed"}},
		{"billed days, cut", hoursOf(20, 50), slotsOf(spend.Hour, spend.ReportMessages, storage.Complete, hoursOf(0, 72)), slotsOf(spend.Day, spend.ReportCost, storage.Billed, hoursOf(0, 72)), 0, false,
			[]string{"usage_hour 20-24 allocated", "usage_hour 24-48 billed", "usage_hour 48-50 allocated", "cost_day 20-50 billed"}},
		{"a billed day, cut twice", hoursOf(3, 5), hours, slotsOf(spend.Day, spend.ReportCost, storage.Billed, day), 0, false,
			[]string{"usage_hour 3-5 allocated", "cost_day 3-5 billed"}},
		{"a billed day by the day", day, slotsOf(spend.Day, spend.ReportMessages, storage.Complete, day), slotsOf(spend.Day, spend.ReportCost, storage.Billed, day), spend.Hour, false,
			[]string{"usage_day 0-24 billed", "cost_day 0-24 billed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range storage.CostParts(c.window, c.usage, c.cost, c.step, c.split) {
				got = append(got, fmt.Sprintf("%s %g-%g %s", p.Table, p.Window.Start.Sub(midnight).Hours(), p.Window.End.Sub(midnight).Hours(), p.Basis))
			}
			require.Equal(t, c.want, got)
		})
	}
}
