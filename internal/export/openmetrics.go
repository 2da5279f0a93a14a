package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Label is a label that every exported series gets, such as the job and instance of the scrape that
// it goes on in.
type Label struct{ Name, Value string }

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// ParseLabels reads labels written NAME=VALUE.
func ParseLabels(texts []string) ([]Label, error) {
	own := map[string]bool{}
	for _, f := range metrics.HistoryFamilies() {
		for _, l := range f.Labels {
			own[l] = true
		}
	}
	var labels []Label
	for _, t := range texts {
		name, value, ok := strings.Cut(t, "=")
		switch {
		case !ok || !labelName.MatchString(name) || strings.HasPrefix(name, "__"):
			return nil, fmt.Errorf("--label %q: write NAME=VALUE, for example job=monitor", t)
		case own[name]:
			return nil, fmt.Errorf("--label %q: %s is a label of the metrics themselves", t, name)
		case slices.ContainsFunc(labels, func(l Label) bool { return l.Name == name }):
			return nil, fmt.Errorf("--label %q: %s is given twice", t, name)
		}
		labels = append(labels, Label{name, value})
	}
	return labels, nil
}

// heldSamples bounds what is held in memory while samples are sorted: 24 bytes each.
const heldSamples = 1 << 19

// OpenMetrics writes the history of the metrics as OpenMetrics text with timestamps: by metric, by
// series, by time, each sample at the end of its hour. It ends with "# EOF".
func (e Exporter) OpenMetrics(ctx context.Context, w io.Writer, o metrics.Options, labels []Label) (s Summary, err error) {
	return e.openMetrics(ctx, w, o, labels, heldSamples)
}

func (e Exporter) openMetrics(
	ctx context.Context, w io.Writer, o metrics.Options, labels []Label, held int,
) (s Summary, err error) {
	e.Step = spend.Hour
	r, err := e.begin(ctx)
	if err != nil {
		return s, err
	}
	t := newSeriesTable(labels)
	sorted := &spool{limit: held}
	defer func() { err = errors.Join(err, sorted.close()) }()
	history := metrics.History{Options: o, Window: r.Window}
	if err := history.Walk(ctx, e.Store, func(x metrics.Sample) error {
		r.summary.Rows++
		return sorted.add(sample{t.id(x), x.At.Unix(), x.Value})
	}); err != nil {
		return s, err
	}
	if err := r.days(ctx, func(storage.OrganizationState, spend.Window) error { return nil }); err != nil { // missing hours
		return s, err
	}
	if err := t.write(ctx, w, sorted); err != nil {
		return s, err
	}
	for _, x := range r.labels.Organizations {
		r.sources.Add(x.ID, true, false, false) // hours end where the usage report does
	}
	return r.end(ctx)
}

// seriesTable numbers series: by family in its upper bits, then as they come.
type seriesTable struct {
	families []*metrics.Family
	labels   string // those that every series gets, as written
	ids      map[string]uint64
	texts    [][]string // labels as written, by family and number
	key      []byte
}

const familyBits = 32

func newSeriesTable(labels []Label) *seriesTable {
	t := &seriesTable{families: metrics.HistoryFamilies(), ids: map[string]uint64{}}
	t.texts = make([][]string, len(t.families))
	var b []byte
	for _, l := range labels {
		b = appendLabel(b, l.Name, l.Value)
	}
	t.labels = string(b)
	return t
}

func (t *seriesTable) id(x metrics.Sample) uint64 {
	t.key = append(t.key[:0], x.Family.Name...)
	for _, v := range x.Values {
		t.key = append(append(t.key, 0xff), v...) // a byte that no text has
	}
	id, ok := t.ids[string(t.key)]
	if ok {
		return id
	}
	family := slices.Index(t.families, x.Family)
	var b []byte
	for i, v := range x.Values {
		b = appendLabel(b, x.Family.Labels[i], v)
	}
	b = append(b, t.labels...)
	id = uint64(family)<<familyBits | uint64(len(t.texts[family]))
	t.texts[family] = append(t.texts[family], strings.TrimSuffix(string(b), ","))
	t.ids[string(t.key)] = id
	return id
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func appendLabel(b []byte, name, value string) []byte {
	b = append(append(b, name...), `="`...)
	return append(append(b, escaper.Replace(value)...), `",`...)
}

// write writes the sorted samples.
func (t *seriesTable) write(ctx context.Context, w io.Writer, sorted *spool) error {
	b := bufio.NewWriterSize(w, 1<<16)
	last, series := -1, uint64(math.MaxUint64)
	var line []byte
	if err := sorted.each(func(x sample) error {
		if x.series != series {
			if err := ctx.Err(); err != nil {
				return err
			}
			series = x.series
		}
		family := int(x.series >> familyBits)
		f := t.families[family]
		if family != last {
			name, kind := t.family(f)
			fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, escaper.Replace(f.Help), name, kind)
			last = family
		}
		line = append(append(line[:0], f.Name...), '{')
		line = append(append(line, t.texts[family][uint32(x.series)]...), "} "...)
		line = strconv.AppendFloat(line, x.value, 'g', -1, 64)
		line = strconv.AppendInt(append(line, ' '), x.at, 10)
		_, err := b.Write(append(line, '\n'))
		return err
	}); err != nil {
		return err
	}
	if _, err := b.WriteString("# EOF\n"); err != nil {
		return err
	}
	return b.Flush()
}

// family is a metric's name and type as OpenMetrics has them. There the name of a counter's family
// is without _total, and no two families may share a name: where a gauge is called so, the counter
// keeps its whole name and an unknown type, which changes nothing in what its samples are called.
func (t *seriesTable) family(f *metrics.Family) (name, kind string) {
	if !f.Counter() {
		return f.Name, "gauge"
	}
	bare := strings.TrimSuffix(f.Name, "_total")
	if slices.ContainsFunc(t.families, func(g *metrics.Family) bool { return g.Name == bare }) {
		return f.Name, "unknown"
	}
	return bare, "counter"
}
