package web

import (
	"embed"
	"fmt"
	"html/template"
	"io"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

//go:embed templates
var templates embed.FS

// pages are the templates, each with the layout around it.
type pages map[string]*template.Template

func parsePages() pages {
	funcs := template.FuncMap{
		"usd": usd, "count": report.Count, "share": share, "what": report.What, "subject": report.Subject, "figure": report.Figure,
		"time": clock, "moment": moment, "seconds": seconds, "day": day, "lastDay": lastDay, "ago": ago, "took": took,
		"wholeDays": func(w spend.Window) bool { return w.Aligned(spend.Day) }, "dimension": dimensionTitle,
	}
	ps := pages{}
	for _, name := range []string{
		"overview.html", "explore.html", "budgets.html", "alerts.html", "keys.html", "jobs.html", "error.html",
	} {
		ps[name] = template.Must(template.New("layout.html").Funcs(funcs).
			ParseFS(templates, "templates/layout.html", "templates/parts.html", "templates/"+name))
	}
	return ps
}

func (ps pages) render(w io.Writer, name string, data any) error {
	return ps[name].Execute(w, data)
}

type errorPage struct {
	frame
	Status int
	Text   string
}

// usd writes an amount, which a template has as a value or a pointer.
func usd(m any) string {
	switch x := m.(type) {
	case *spend.Money:
		return report.USD(*x)
	case spend.Money:
		return report.USD(x)
	default:
		return fmt.Sprint(m)
	}
}

// share writes a ratio as a whole percentage.
func share(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
