package export

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

func stored(t testing.TB, store storage.Store) spend.Window {
	t.Helper()
	w, err := Stored(t.Context(), store)
	require.NoError(t, err)
	return w
}

func TestStored(t *testing.T) {
	t.Parallel()
	require.Equal(t, spend.Window{Start: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), End: reporttest.At(22, 11)}, stored(t, reporttest.Filled(t)))
	_, err := Stored(t.Context(), reporttest.Open(t))
	require.ErrorIs(t, err, ErrNothing)
}

func TestCSV(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	all := stored(t, store)
	for _, step := range []spend.Grain{spend.Hour, spend.Day} {
		var b bytes.Buffer
		e := Exporter{Store: store, Window: all, Step: step}
		s, err := e.CSV(t.Context(), &b, CSVBy)
		require.NoError(t, err)
		golden.Check(t, "csv_"+step.String()+".csv", b.Bytes())
		requireTotal(t, store, s)
		require.Equal(t, int64(strings.Count(b.String(), "\n")-1), s.Rows)
		require.Equal(t, reporttest.At(20, 0), s.AsOf, "request counts are the oldest")
	}
	// A cut day of which only the day is known is read whole, once.
	var b bytes.Buffer
	e := Exporter{Store: store, Window: spend.Window{Start: reporttest.At(3, 5), End: reporttest.At(3, 9)}, Step: spend.Hour}
	s, err := e.CSV(t.Context(), &b, CSVBy)
	require.NoError(t, err)
	require.Equal(t, spend.Day.Bucket(reporttest.At(3, 0)), s.Window)
	require.Equal(t, 650*spend.Cent, s.Cost)
	// By more dimensions the sums are the same.
	e = Exporter{Store: store, Window: all, Step: spend.Day, Teams: team.Teams{{Name: "ops", Workspaces: []string{"Default"}}}}
	b.Reset()
	s, err = e.CSV(t.Context(), &b, report.Dimensions(report.Costs)[1:])
	require.NoError(t, err)
	require.Contains(t, b.String(), ",ops,")
	require.Contains(t, b.String(), ",unmapped,")
	requireTotal(t, store, s)
}

// requireTotal compares a summary with the report of all time.
func requireTotal(t *testing.T, store storage.Store, s Summary) {
	t.Helper()
	a, err := report.Run(t.Context(), store, report.Params{Kind: report.Costs, From: s.Window.Start, To: s.Window.End, Step: report.StepTotal})
	require.NoError(t, err)
	require.Equal(t, a.Total.Cost, s.Cost+s.LeftOut)
	require.Equal(t, a.MissingHours, s.MissingHours)
	require.NotZero(t, s.Cost)
}

func TestMissingHours(t *testing.T) {
	t.Parallel()
	e := Exporter{Store: reporttest.Filled(t), Window: spend.Window{Start: time.Date(2026, 9, 30, 0, 0, 0, 0, time.UTC), End: reporttest.At(3, 0)}, Step: spend.Day}
	s, err := e.CSV(t.Context(), &bytes.Buffer{}, CSVBy)
	require.NoError(t, err)
	require.Equal(t, int64(48), s.MissingHours, "a day before the history, of two organizations")
	s, err = e.OpenMetrics(t.Context(), &bytes.Buffer{}, metrics.Options{}, nil)
	require.NoError(t, err)
	require.Equal(t, int64(48), s.MissingHours)
}

func TestParseBy(t *testing.T) {
	t.Parallel()
	by, err := ParseBy([]string{"model, api_key", "organization,model"}, nil)
	require.NoError(t, err)
	require.Equal(t, []spend.Dimension{spend.ByModel, spend.ByAPIKey}, by)
	by, err = ParseBy(nil, nil)
	require.NoError(t, err)
	require.Equal(t, CSVBy, by)
	_, err = ParseBy([]string{"colour"}, nil)
	require.ErrorContains(t, err, `--by: unknown dimension "colour" (workspace, api_key,`)

	ops := team.Teams{{Name: "ops", Workspaces: []string{"Default"}}}
	by, err = ParseBy(nil, ops)
	require.NoError(t, err)
	require.Equal(t, append(slices.Clone(CSVBy), spend.ByTeam), by)
	_, err = ParseBy([]string{"team,workspace"}, ops)
	require.ErrorContains(t, err, "team goes together with workspace and api_key")
	_, err = ParseBy([]string{"team,workspace,api_key"}, nil)
	require.ErrorContains(t, err, "no teams are configured")
}

func TestParseLabels(t *testing.T) {
	t.Parallel()
	labels, err := ParseLabels([]string{"job=monitor", "instance=a=b"})
	require.NoError(t, err)
	require.Equal(t, []Label{{"job", "monitor"}, {"instance", "a=b"}}, labels)
	for _, bad := range [][]string{{"job"}, {"9=x"}, {"__name__=x"}, {"workspace=x"}, {"a=1", "a=2"}} {
		_, err := ParseLabels(bad)
		require.ErrorContains(t, err, "--label", bad)
	}
}

func TestOpenMetrics(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	w := spend.Window{Start: reporttest.At(21, 22), End: reporttest.At(22, 4)}
	write := func(held int) string {
		var b bytes.Buffer
		s, err := Exporter{Store: store, Window: w}.openMetrics(t.Context(), &b, metrics.Options{APIKeys: true}, []Label{{"job", `a"b`}}, held)
		require.NoError(t, err)
		require.Equal(t, int64(len(regexp.MustCompile(`(?m)^[^#]`).FindAllString(b.String(), -1))), s.Rows)
		return b.String()
	}
	text := write(1 << 20)
	golden.Check(t, "openmetrics.txt", []byte(text))
	require.Equal(t, text, write(10), "sorted on disk")
	requireOpenMetrics(t, text)

	var b bytes.Buffer
	_, err := Exporter{Store: store, Window: stored(t, store)}.OpenMetrics(t.Context(), &b, metrics.Options{APIKeys: true, MaxSeries: 2}, nil)
	require.NoError(t, err)
	requireOpenMetrics(t, b.String())
	require.Contains(t, b.String(), `anthropic_tokens_total{organization="acme",workspace="other",model="other",service_tier="other",token_type="other"}`)
}

var sampleLine = regexp.MustCompile(`^([a-z_0-9]+)(\{.*\}) (\S+) ([0-9]+)$`)

// requireOpenMetrics checks what the format asks for: families in one piece and of different names,
// series in one piece, times that grow, an end.
func requireOpenMetrics(t *testing.T, text string) {
	t.Helper()
	body, ok := strings.CutSuffix(text, "# EOF\n")
	require.True(t, ok)
	families, series := map[string]bool{}, map[string]bool{}
	var family, current, last string
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if f := strings.Fields(line); f[0] == "#" {
			if f[1] == "HELP" {
				require.False(t, families[f[2]], "family %s comes twice", f[2])
				family, families[f[2]] = f[2], true
			} else {
				require.Equal(t, []string{"#", "TYPE", family}, f[:3])
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		require.NotNil(t, m, line)
		require.Contains(t, []string{family, family + "_total"}, m[1])
		if name := m[1] + m[2]; name != current {
			require.False(t, series[name], "series %s comes twice", name)
			current, series[name], last = name, true, ""
		}
		require.Less(t, last, m[4], line) // ten digits each
		last = m[4]
	}
	require.NotEmpty(t, series)
}

// What an export shows at the end of its last hour is what the metrics show then.
func TestHistoryEndsInTheMetrics(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	now := reporttest.At(22, 10) // the newest data of beta is as old
	var b bytes.Buffer
	_, err := Exporter{Store: store, Window: stored(t, store)}.OpenMetrics(t.Context(), &b, metrics.Options{APIKeys: true}, nil)
	require.NoError(t, err)
	got := map[string]float64{}
	for line := range strings.Lines(b.String()) {
		if m := sampleLine.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil && m[4] == fmt.Sprint(now.Unix()) {
			value, err := strconv.ParseFloat(m[3], 64)
			require.NoError(t, err)
			labels := regexp.MustCompile(`\w+="[^"]*"`).FindAllString(m[2], -1)
			slices.Sort(labels)
			if slices.Contains(labels, `organization="beta"`) {
				got[m[1]+fmt.Sprint(labels)] = value
			}
		}
	}

	live := metrics.New(store, metrics.Options{APIKeys: true})
	require.NoError(t, live.Refresh(t.Context(), now, map[string]bool{reporttest.Acme: true, reporttest.Beta: true}))
	registry := prometheus.NewRegistry()
	registry.MustRegister(live)
	gathered, err := registry.Gather()
	require.NoError(t, err)
	want, names := map[string]float64{}, map[string]bool{}
	for _, f := range gathered {
		i := slices.IndexFunc(metrics.HistoryFamilies(), func(g *metrics.Family) bool { return g.Name == f.GetName() })
		if i < 0 {
			continue
		}
		require.Equal(t, f.GetHelp(), metrics.HistoryFamilies()[i].Help)
		require.Equal(t, f.GetType().String() == "COUNTER", metrics.HistoryFamilies()[i].Counter())
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			if slices.Contains(labels, `organization="beta"`) {
				want[f.GetName()+fmt.Sprint(labels)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
				names[f.GetName()] = true
			}
		}
	}
	require.Len(t, names, 5, "metrics that beta has: %v", names)
	require.Equal(t, want, got)
}

// Hours that were never read have no sample, and the periods that they lie in have none from then on.
func TestHistoryOfMissingHours(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	o := spend.Organization{ID: reporttest.Acme, Name: "acme"}
	require.NoError(t, store.SaveOrganization(t.Context(), o, reporttest.Now))
	owner, err := store.Own(t.Context(), o.ID)
	require.NoError(t, err)
	read := func(from, to time.Time) {
		var rows []spend.Usage
		for _, hour := range (spend.Window{Start: from, End: to}).Buckets(spend.Hour) {
			u := spend.Usage{Bucket: hour.Start, Dims: spend.Dims{Model: reporttest.Sonnet}, Price: spend.Priced}
			u.Counts[spend.Output], u.Estimate[spend.Output] = 10, spend.Dollar
			rows = append(rows, u)
		}
		_, err := owner.ReplaceUsage(t.Context(), storage.Reading{
			Report: spend.ReportMessages, Grain: spend.Hour, Window: spend.Window{Start: from, End: to}, At: reporttest.Now, DataAt: to,
		}, rows)
		require.NoError(t, err)
	}
	read(reporttest.At(20, 0), reporttest.At(20, 4))
	read(reporttest.At(20, 6), reporttest.At(21, 3))
	require.NoError(t, owner.SetWatermark(t.Context(), storage.Watermark{
		Report: spend.ReportMessages, DataAt: reporttest.At(21, 2).Add(30 * time.Minute), ReadAt: reporttest.Now,
	}))
	require.NoError(t, owner.Release())

	var b bytes.Buffer
	s, err := Exporter{Store: store, Window: stored(t, store)}.OpenMetrics(t.Context(), &b, metrics.Options{}, nil)
	require.NoError(t, err)
	require.Equal(t, int64(2), s.MissingHours)
	got := map[string]string{}
	for line := range strings.Lines(b.String()) {
		if m := sampleLine.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil && !strings.Contains(m[1], "cost_usd_total") {
			name := m[1]
			if _, period, ok := strings.Cut(m[2], `period="`); ok {
				name, _, _ = strings.Cut(period, `"`)
			}
			at, err := strconv.ParseInt(m[4], 10, 64)
			require.NoError(t, err)
			got[name] += fmt.Sprintf(" %d:%s", (at-reporttest.At(20, 0).Unix())/3600, m[3])
		}
	}
	after := ""
	for h := 7; h <= 26; h++ { // the last hour is not complete yet
		after += fmt.Sprintf(" %d:%d", h, (h-2)*10)
	}
	require.Equal(t, map[string]string{
		"anthropic_tokens_total": " 0:0 1:10 2:20 3:30 4:40" + after,
		"today":                  " 1:1 2:2 3:3 4:4 25:1 26:2",
	}, got, "week and month began before the history")
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	e := Exporter{Store: store, Window: stored(t, store), Step: spend.Day}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.CSV(ctx, &bytes.Buffer{}, CSVBy)
	require.ErrorIs(t, err, context.Canceled)
	_, err = e.FOCUS(ctx, &bytes.Buffer{}, true)
	require.ErrorIs(t, err, context.Canceled)
	_, err = e.OpenMetrics(ctx, &bytes.Buffer{}, metrics.Options{}, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// column is a column of the specification.
type column struct {
	level   string // mandatory, conditional, recommended
	null    bool   // may be null
	format  *regexp.Regexp
	allowed []string
}

var (
	aNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	aTime   = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`)
	aText   = regexp.MustCompile(`^\S(.*\S)?$`)
	aUnit   = regexp.MustCompile(`^([0-9]+ )?[A-Z][a-z]+s$`)
	anObj   = regexp.MustCompile(`^\{".+\}$`)
)

// specification is FOCUS 1.2, cost and usage: all of its columns.
var specification = map[string]column{
	"AvailabilityZone":                   {level: "recommended", null: true, format: aText},
	"BilledCost":                         {level: "mandatory", format: aNumber},
	"BillingAccountId":                   {level: "mandatory", format: aText},
	"BillingAccountName":                 {level: "mandatory", null: true, format: aText},
	"BillingAccountType":                 {level: "conditional", null: true, format: aText},
	"BillingCurrency":                    {level: "mandatory", allowed: []string{"USD"}},
	"BillingPeriodEnd":                   {level: "mandatory", format: aTime},
	"BillingPeriodStart":                 {level: "mandatory", format: aTime},
	"CapacityReservationId":              {level: "conditional", null: true, format: aText},
	"CapacityReservationStatus":          {level: "conditional", null: true, allowed: []string{"Used", "Unused"}},
	"ChargeCategory":                     {level: "mandatory", allowed: []string{"Usage", "Purchase", "Tax", "Credit", "Adjustment"}},
	"ChargeClass":                        {level: "mandatory", null: true, allowed: []string{"Correction"}},
	"ChargeDescription":                  {level: "mandatory", null: true, format: aText},
	"ChargeFrequency":                    {level: "recommended", allowed: []string{"One-Time", "Recurring", "Usage-Based"}},
	"ChargePeriodEnd":                    {level: "mandatory", format: aTime},
	"ChargePeriodStart":                  {level: "mandatory", format: aTime},
	"CommitmentDiscountCategory":         {level: "conditional", null: true, allowed: []string{"Spend", "Usage"}},
	"CommitmentDiscountId":               {level: "conditional", null: true, format: aText},
	"CommitmentDiscountName":             {level: "conditional", null: true, format: aText},
	"CommitmentDiscountQuantity":         {level: "conditional", null: true, format: aNumber},
	"CommitmentDiscountStatus":           {level: "conditional", null: true, allowed: []string{"Used", "Unused"}},
	"CommitmentDiscountType":             {level: "conditional", null: true, format: aText},
	"CommitmentDiscountUnit":             {level: "conditional", null: true, format: aUnit},
	"ConsumedQuantity":                   {level: "conditional", null: true, format: aNumber},
	"ConsumedUnit":                       {level: "conditional", null: true, format: aUnit},
	"ContractedCost":                     {level: "mandatory", format: aNumber},
	"ContractedUnitPrice":                {level: "conditional", null: true, format: aNumber},
	"EffectiveCost":                      {level: "mandatory", format: aNumber},
	"InvoiceId":                          {level: "recommended", null: true, format: aText},
	"InvoiceIssuerName":                  {level: "mandatory", format: aText},
	"ListCost":                           {level: "mandatory", format: aNumber},
	"ListUnitPrice":                      {level: "conditional", null: true, format: aNumber},
	"PricingCategory":                    {level: "conditional", null: true, allowed: []string{"Standard", "Dynamic", "Committed", "Other"}},
	"PricingCurrency":                    {level: "conditional", null: true, format: aText},
	"PricingCurrencyContractedUnitPrice": {level: "conditional", null: true, format: aNumber},
	"PricingCurrencyEffectiveCost":       {level: "conditional", null: true, format: aNumber},
	"PricingCurrencyListUnitPrice":       {level: "conditional", null: true, format: aNumber},
	"PricingQuantity":                    {level: "mandatory", null: true, format: aNumber},
	"PricingUnit":                        {level: "mandatory", null: true, format: aUnit},
	"ProviderName":                       {level: "mandatory", format: aText},
	"PublisherName":                      {level: "mandatory", format: aText},
	"RegionId":                           {level: "conditional", null: true, format: aText},
	"RegionName":                         {level: "conditional", null: true, format: aText},
	"ResourceId":                         {level: "conditional", null: true, format: aText},
	"ResourceName":                       {level: "conditional", null: true, format: aText},
	"ResourceType":                       {level: "conditional", null: true, format: aText},
	"ServiceCategory":                    {level: "mandatory", allowed: []string{"AI and Machine Learning"}}, // of 19
	"ServiceName":                        {level: "mandatory", format: aText},
	"ServiceSubcategory": {level: "recommended", allowed: []string{ // those of the category
		"AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing", "Other (AI and Machine Learning)",
	}},
	"SkuId":           {level: "conditional", null: true, format: aText},
	"SkuMeter":        {level: "conditional", null: true, format: aText},
	"SkuPriceDetails": {level: "conditional", null: true, format: anObj},
	"SkuPriceId":      {level: "conditional", null: true, format: aText},
	"SubAccountId":    {level: "conditional", null: true, format: aText},
	"SubAccountName":  {level: "conditional", null: true, format: aText},
	"SubAccountType":  {level: "conditional", null: true, format: aText},
	"Tags":            {level: "conditional", null: true, format: anObj},
}

// noSuch are conditional and recommended columns of which the Admin API's bills tell nothing.
var noSuch = []string{
	"AvailabilityZone", "BillingAccountType", "CapacityReservationId", "CapacityReservationStatus", "CommitmentDiscountCategory",
	"CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity", "CommitmentDiscountStatus", "CommitmentDiscountType",
	"CommitmentDiscountUnit", "InvoiceId", "PricingCurrency", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
	"PricingCurrencyListUnitPrice", "RegionId", "RegionName",
}

func TestFOCUSColumns(t *testing.T) {
	t.Parallel()
	require.Len(t, specification, 57, "columns of FOCUS %s", FOCUSVersion)
	mandatory := 0
	var have, own []string
	for _, c := range focusColumns {
		if strings.HasPrefix(c.name, "x_") {
			own = append(own, c.name)
		} else {
			require.Empty(t, own, "custom columns come last")
			have = append(have, c.name)
		}
	}
	require.True(t, slices.IsSorted(have))
	require.True(t, slices.IsSorted(own))
	var want []string
	for name, c := range specification {
		if c.level == "mandatory" {
			mandatory++
			require.Contains(t, have, name)
		}
		if !slices.Contains(noSuch, name) {
			want = append(want, name)
		}
	}
	require.Equal(t, 21, mandatory)
	require.ElementsMatch(t, want, have)
}

func TestFOCUS(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, step := range []spend.Grain{spend.Hour, spend.Day} {
		for _, estimates := range []bool{false, true} {
			var b bytes.Buffer
			e := Exporter{Store: store, Window: stored(t, store), Step: step}
			s, err := e.FOCUS(t.Context(), &b, estimates)
			require.NoError(t, err)
			requireTotal(t, store, s)
			require.Equal(t, estimates, s.LeftOut == 0)
			requireFOCUS(t, b.String(), s, estimates)
			if step == spend.Day {
				golden.Check(t, fmt.Sprintf("focus_%t.csv", estimates), b.Bytes())
			}
		}
	}
}

// requireFOCUS checks each row against the specification.
func requireFOCUS(t *testing.T, text string, s Summary, estimates bool) {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, s.Rows, int64(len(lines)-1))
	parents := map[string]string{}
	var billed spend.Money
	bases := map[string]bool{}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
			c, ok := specification[name]
			switch {
			case !ok:
				require.Regexp(t, `^x_[A-Z][A-Za-z]+$`, name)
			case line[i] == "":
				require.True(t, c.null, "%s is null", name)
			case c.allowed != nil:
				require.Contains(t, c.allowed, line[i], name)
			default:
				require.Regexp(t, c.format, line[i], name)
			}
		}
		at := func(name string) time.Time {
			x, err := time.Parse(time.RFC3339, row[name])
			require.NoError(t, err, name)
			return x
		}
		money := func(name string) spend.Money {
			m, err := spend.ParseUSD(row[name])
			require.NoError(t, err, name)
			return m
		}
		require.Equal(t, spend.MonthStart(at("ChargePeriodStart")), at("BillingPeriodStart"))
		require.Equal(t, at("BillingPeriodStart").AddDate(0, 1, 0), at("BillingPeriodEnd"))
		require.True(t, at("ChargePeriodStart").Before(at("ChargePeriodEnd")))
		require.False(t, at("ChargePeriodEnd").After(at("BillingPeriodEnd")))
		for _, cost := range []string{"EffectiveCost", "ContractedCost"} {
			require.Equal(t, row["BilledCost"], row[cost])
		}
		billed += money("BilledCost")
		for _, group := range [][]string{
			{"ResourceId", "ResourceName", "ResourceType"}, {"SubAccountId", "SubAccountName", "SubAccountType"},
			{"SkuId", "SkuPriceId", "SkuPriceDetails", "SkuMeter", "PricingCategory", "PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit", "ListUnitPrice", "ContractedUnitPrice"},
		} {
			for _, name := range group {
				require.Equal(t, row[group[0]] == "", row[name] == "", "%s and %s", group[0], name)
			}
		}
		if row["ChargeCategory"] == "Usage" {
			for price, cost := range map[string]string{"ListUnitPrice": "ListCost", "ContractedUnitPrice": "ContractedCost"} {
				requireProduct(t, row[price], row["PricingQuantity"], row[cost])
			}
			require.NotEqual(t, "0", row["ConsumedQuantity"])
			if parent, ok := parents[row["SkuPriceId"]]; ok {
				require.Equal(t, parent, row["SkuId"])
			}
			parents[row["SkuPriceId"]] = row["SkuId"]
		}
		bases[row["x_Basis"]] = true
	}
	require.Equal(t, s.Cost, billed)
	require.Equal(t, estimates, bases["estimated"])
	require.True(t, bases["billed"] && bases["allocated"])
}

// requireProduct checks price × quantity = cost, exactly where the price is finite and else to the
// billionth.
func requireProduct(t *testing.T, price, quantity, cost string) {
	t.Helper()
	p, ok := new(big.Rat).SetString(price)
	require.True(t, ok, price)
	q, ok := new(big.Rat).SetString(quantity)
	require.True(t, ok, quantity)
	c, ok := new(big.Rat).SetString(cost)
	require.True(t, ok, cost)
	off := p.Mul(p, q).Sub(p, c)
	require.LessOrEqual(t, off.Abs(off).Cmp(big.NewRat(1, int64(spend.Dollar))), 0, "%s × %s is not %s", price, quantity, cost)
}
