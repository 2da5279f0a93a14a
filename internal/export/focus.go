package export

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// FOCUSVersion is the version of the FinOps Open Cost and Usage Specification that [Exporter.FOCUS]
// follows: https://focus.finops.org/focus-specification/v1-2/
const FOCUSVersion = "1.2"

// focusColumns are the columns, those of the specification by name and then our own. What the Admin
// API's bills do not tell (commitments, capacity reservations, regions, invoices) has no column.
var focusColumns = []struct {
	name string
	of   func(c *charge) string // empty is null
}{
	{"BilledCost", func(c *charge) string { return c.Cost.String() }},
	{"BillingAccountId", func(c *charge) string { return c.OrganizationID }},
	{"BillingAccountName", func(c *charge) string { return c.Organization }},
	{"BillingCurrency", func(*charge) string { return "USD" }},
	{"BillingPeriodEnd", func(c *charge) string { return focusTime(spend.MonthStart(c.Start).AddDate(0, 1, 0)) }},
	{"BillingPeriodStart", func(c *charge) string { return focusTime(spend.MonthStart(c.Start)) }},
	{"ChargeCategory", (*charge).category},
	{"ChargeClass", func(*charge) string { return "" }}, // corrections arrive within the figures themselves
	{"ChargeDescription", (*charge).description},
	{"ChargeFrequency", func(*charge) string { return "Usage-Based" }},
	{"ChargePeriodEnd", func(c *charge) string { return focusTime(c.End) }},
	{"ChargePeriodStart", func(c *charge) string { return focusTime(c.Start) }},
	{"ConsumedQuantity", (*charge).consumed},
	{"ConsumedUnit", (*charge).consumedUnit},
	{"ContractedCost", func(c *charge) string { return c.Cost.String() }},
	{"ContractedUnitPrice", func(c *charge) string { return c.unitPrice(c.Cost) }},
	{"EffectiveCost", func(c *charge) string { return c.Cost.String() }},
	{"InvoiceIssuerName", func(*charge) string { return "Anthropic" }},
	{"ListCost", func(c *charge) string { return c.List.String() }},
	{"ListUnitPrice", func(c *charge) string { return c.unitPrice(c.List) }},
	{"PricingCategory", func(c *charge) string { return c.ofUsage("Standard") }},
	{"PricingQuantity", (*charge).priced},
	{"PricingUnit", (*charge).pricingUnit},
	{"ProviderName", func(*charge) string { return "Anthropic" }},
	{"PublisherName", func(*charge) string { return "Anthropic" }},
	{"ResourceId", (*charge).key},
	{"ResourceName", func(c *charge) string { return c.ofKey(c.APIKey) }},
	{"ResourceType", func(c *charge) string { return c.ofKey("API Key") }},
	{"ServiceCategory", func(*charge) string { return "AI and Machine Learning" }},
	{"ServiceName", func(*charge) string { return "Claude API" }},
	{"ServiceSubcategory", func(*charge) string { return "Generative AI" }},
	{"SkuId", func(c *charge) string { return c.ofUsage(c.sku()) }},
	{"SkuMeter", func(c *charge) string { return c.ofUsage(c.meter()) }},
	{"SkuPriceDetails", func(c *charge) string { return c.ofUsage(c.priceDetails()) }},
	{"SkuPriceId", func(c *charge) string { return c.ofUsage(c.skuPrice()) }},
	{"SubAccountId", func(c *charge) string { return c.WorkspaceID }},
	{"SubAccountName", func(c *charge) string { return c.Workspace }},
	{"SubAccountType", func(c *charge) string { return c.ofWorkspace("Workspace") }},
	{"Tags", func(c *charge) string { return keyValues(c.tags) }},
	{"x_Basis", func(c *charge) string { return string(c.Basis) }},
	{"x_CostType", func(c *charge) string { return c.CostType }},
	{"x_Model", func(c *charge) string { return c.Model }},
	{"x_ServiceTier", func(c *charge) string { return c.ServiceTier }},
	{"x_TokenType", func(c *charge) string { return c.TokenType }},
}

var (
	focusCostBy = []spend.Dimension{
		spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, spend.ByCostType, spend.ByTokenType,
	}
	focusUsageBy = focusCostBy[:4]
)

// FOCUS writes the cost as a FOCUS dataset: a row for each charge period, workspace, key, model,
// tier, type of cost and of token. A charge period is a bucket of the step, or what of a day is
// billed. Without estimates only what is billed, or shared out from a bill, is written.
func (e Exporter) FOCUS(ctx context.Context, w io.Writer, estimates bool) (Summary, error) {
	r, err := e.begin(ctx)
	if err != nil {
		return Summary{}, err
	}
	out := csv.NewWriter(w)
	header := make([]string, len(focusColumns))
	for i, c := range focusColumns {
		header[i] = c.name
	}
	if err := out.Write(header); err != nil {
		return r.summary, err
	}
	if err := r.days(ctx, func(o storage.OrganizationState, day spend.Window) error {
		parts, err := r.chargePeriods(ctx, o, day)
		if err != nil {
			return err
		}
		step := spend.Grain(0) // one sum for each part
		if r.Step == spend.Hour {
			step = spend.Hour
		}
		return r.stretches(ctx, o, day, parts, step, focusCostBy, focusUsageBy, func(f figures) error {
			return r.charges(o, f, estimates, out)
		})
	}); err != nil {
		return r.summary, err
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return r.summary, err
	}
	return r.end(ctx)
}

// chargePeriods cuts a day into hours or, by the day, where what is billed by the hour ends, so that
// the quantity of a row is that of its cost.
func (r *run) chargePeriods(ctx context.Context, o storage.OrganizationState, day spend.Window) ([]spend.Window, error) {
	if r.Step == spend.Hour {
		return day.Buckets(spend.Hour), nil
	}
	slots, err := r.Store.Slots(ctx, o.ID, spend.FactCost, day)
	if err != nil {
		return nil, fmt.Errorf("ledger of %s, %s: %w", o.Name, day, err)
	}
	var billed []spend.Window
	for _, s := range slots {
		if s.Grain == spend.Hour {
			billed = append(billed, s.Window)
		}
	}
	var parts []spend.Window
	at := day.Start
	add := func(end time.Time) {
		if at.Before(end) {
			parts = append(parts, spend.Window{Start: at, End: end})
			at = end
		}
	}
	for _, b := range spend.Join(billed) {
		add(b.Start)
		add(b.End)
	}
	add(day.End)
	return parts, nil
}

// charge is a row.
type charge struct {
	report.Row
	quantity int64 // 0 where no report tells it
	tags     map[string]string
}

// charges writes the rows of a charge period.
func (r *run) charges(o storage.OrganizationState, f figures, estimates bool, out *csv.Writer) error {
	counts := map[rowKey]spend.Counts{}
	for _, u := range f.usage {
		k := rowKey{start: u.Start.Unix(), end: u.End.Unix(), dims: u.Dims}
		c := counts[k]
		c.Add(u.Counts)
		counts[k] = c
		// A bill may not tell the model of web searches.
		k.dims = spend.Dims{WorkspaceID: u.WorkspaceID, APIKeyID: u.APIKeyID}
		if k.dims == u.Dims {
			continue
		}
		c = counts[k]
		c[spend.WebSearches] += u.Counts[spend.WebSearches]
		counts[k] = c
	}
	line := make([]string, len(focusColumns))
	for _, x := range f.costs {
		if x.Basis == spend.Estimated && !estimates {
			r.summary.LeftOut += x.Cost
			continue
		}
		if x.Cost == 0 && x.List == 0 { // tokens without a price: no charge yet
			continue
		}
		c := charge{Row: report.Row{
			Start: x.Start, End: x.End, OrganizationID: o.ID, Dims: x.Dims,
			Figures: report.Figures{Cost: x.Cost, List: x.List, Basis: x.Basis},
		}}
		r.labels.Label(&c.Row, focusCostBy)
		if kind := kindOf(x.Dims); kind < spend.NumKinds {
			d := x.Dims
			d.CostType, d.TokenType = "", ""
			c.quantity = counts[rowKey{start: x.Start.Unix(), end: x.End.Unix(), dims: d}][kind]
		}
		if w, ok := r.labels.Workspace(o.ID, x.WorkspaceID); ok {
			c.tags = w.Tags
		}
		for i, column := range focusColumns {
			line[i] = column.of(&c)
		}
		if err := out.Write(line); err != nil {
			return err
		}
		r.note(o, nil, []storage.CostRow{x})
		r.summary.Rows++
		r.summary.Cost += x.Cost
	}
	return nil
}

// kindOf is what usage counts of that which the cost is for; [spend.NumKinds] if it does not count it.
func kindOf(d spend.Dims) spend.Kind {
	for k := range spend.NumKinds {
		if d.CostType == k.CostType() && d.TokenType == k.TokenType() {
			return k
		}
	}
	return spend.NumKinds
}

func focusTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// category is what kind of charge it is. A bill's negative rows are credits.
func (c *charge) category() string {
	if c.Cost < 0 || c.List < 0 {
		return "Credit"
	}
	return "Usage"
}

// ofUsage is the text for usage; credits have none.
func (c *charge) ofUsage(s string) string {
	if c.category() != "Usage" {
		return ""
	}
	return s
}

// key is the id of the API key; use without a key and what no key can be told for have none.
func (c *charge) key() string {
	if c.APIKeyID == spend.NoKey {
		return ""
	}
	return c.APIKeyID
}

func (c *charge) ofKey(s string) string {
	if c.key() == "" {
		return ""
	}
	return s
}

func (c *charge) ofWorkspace(s string) string {
	if c.WorkspaceID == "" {
		return ""
	}
	return s
}

// unit is what is counted, and how many of it have a price. Where no report tells the quantity, the
// charge itself is the one thing that is priced.
func (c *charge) unit() (name string, places int) {
	switch {
	case c.quantity == 0:
		return "Charges", 0
	case c.CostType == spend.WebSearches.CostType():
		return "Searches", 3
	default:
		return "Tokens", 6
	}
}

func (c *charge) consumed() string { return c.ofUsage(strconv.FormatInt(max(c.quantity, 1), 10)) }

func (c *charge) consumedUnit() string {
	name, _ := c.unit()
	return c.ofUsage(name)
}

func (c *charge) priced() string {
	_, places := c.unit()
	return c.ofUsage(decimal(max(c.quantity, 1), places))
}

func (c *charge) pricingUnit() string {
	name, places := c.unit()
	if places > 0 {
		name = "1" + strings.Repeat("0", places) + " " + name
	}
	return c.ofUsage(name)
}

// pricePlaces are the decimals of a unit price that is not finite.
const pricePlaces = 15

// unitPrice is what the row pays for one pricing unit: cost over quantity. The bills do not tell
// unit prices; by token type they are those of the price list wherever a row has one price.
func (c *charge) unitPrice(cost spend.Money) string {
	_, places := c.unit()
	price := big.NewRat(int64(cost), int64(spend.Dollar))
	price.Mul(price, new(big.Rat).SetFrac(
		new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil), big.NewInt(max(c.quantity, 1))))
	s := price.FloatString(pricePlaces)
	return c.ofUsage(strings.TrimRight(strings.TrimRight(s, "0"), "."))
}

// decimal writes n / 10^places.
func decimal(n int64, places int) string {
	s := fmt.Sprintf("%0*d", places+1, n)
	whole, fraction := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// meter says what is counted: "Output Tokens".
func (c *charge) meter() string {
	if c.TokenType != "" {
		return title(c.TokenType) + " Tokens"
	}
	return title(c.CostType)
}

func title(s string) string {
	words := strings.Split(s, "_")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}

// sku is what has a price: a model's type of token, or a type of cost.
func (c *charge) sku() string { return slashed(c.Model, cmp.Or(c.TokenType, c.CostType)) }

// skuPrice is the sku in its tier.
func (c *charge) skuPrice() string { return slashed(c.sku(), c.ServiceTier) }

func slashed(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "/")
}

func (c *charge) priceDetails() string {
	details := map[string]string{}
	for key, value := range map[string]string{
		"CostType": c.CostType, "Model": c.Model, "ServiceTier": c.ServiceTier, "TokenType": c.TokenType,
	} {
		if value != "" {
			details[key] = value
		}
	}
	return keyValues(details)
}

// keyValues writes a JSON object; an empty one is null.
func keyValues(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return string(b)
}

func (c *charge) description() string {
	words := []string{c.meter()}
	if c.Model != "" {
		words = append([]string{c.Model}, words...)
	}
	if c.ServiceTier != "" {
		words = append(words, "("+c.ServiceTier+" tier)")
	}
	if c.Basis == spend.Estimated {
		words = append(words, "estimated")
	}
	return strings.Join(words, " ")
}
