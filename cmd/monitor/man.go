package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type manCmd struct{}

// Run writes the manual page.
func (manCmd) Run(a *app) error {
	model, err := commandModel()
	if err != nil {
		return err
	}
	release, _, _ := buildInfo()
	var text strings.Builder
	writeMan(&text, model, release)
	_, err = io.WriteString(a.stdout, text.String())
	return err
}

// writeMan writes the page in the macros of man(7). It has no date, so that it can be made again.
func writeMan(w io.Writer, model *kong.Node, release string) {
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	line(`.TH MONITOR 1 "" "monitor %s" "Anthropic Monitor"`, roff(release))
	line(".SH NAME\nmonitor \\- watches what an organization spends on Claude")
	line(".SH SYNOPSIS\n.B monitor\n.RI [ flags ]\n.I command\n.RI [ argument ...]")
	line(".SH DESCRIPTION\n%s\n.PP\nIt reads the Admin API, stores what it learns in SQLite or PostgreSQL, serves metrics, pages and JSON, and tells "+
		"people of what they asked to be told of. Money is in US dollars, times are UTC.\n.PP\nEverything but the flags below is said in the "+
		"configuration file; config.example.yaml has every key.", roff(model.Help))
	line(".SH GLOBAL FLAGS")
	for _, f := range model.Flags {
		manFlag(line, f)
	}
	line(".SH COMMANDS")
	eachCommand(model, func(n *kong.Node) {
		if n.Parent == nil || len(n.Children) > 0 {
			return
		}
		line(".SS %s", roff(strings.TrimSpace(words(n)+" "+manArguments(n))))
		line("%s", roff(n.Help))
		for _, p := range strings.Split(n.Detail, "\n\n") {
			if p != "" {
				line(".PP\n%s", roff(p))
			}
		}
		for _, p := range n.Positional {
			line(".TP\n.I %s\n%s", roff(strings.ToUpper(p.Name)), roff(p.Help))
		}
		for _, group := range n.AllFlags(true)[1:] {
			for _, f := range group {
				manFlag(line, f)
			}
		}
	})
	line(".SH EXIT STATUS\n.TP\n0\nDone; or stopped by a signal, which is a failure of copy only.\n.TP\n1\nFailed; or, where a flag asked for it, there are findings.\n" +
		".TP\n2\nWrong usage or configuration.")
	line(".SH ENVIRONMENT\n.TP\n.B %s\nThe configuration file, where no flag names one.\n.TP\n.B %s\nThe Admin API key, where the configuration names none.",
		roff(configVariable), roff(adminKeyVariable))
	line(".SH FILES\n.TP\n.I ./monitor.yaml\nThe configuration, where it exists and nothing else is named.\n.TP\n" +
		".I ~/.local/state/anthropic\\-monitor/monitor.db\nThe database, where the configuration names none.")
	line(".SH EXAMPLES\nLook around, without key or network:\n.PP\n.EX\nmonitor demo\n.EE\n.PP\nCost of this month by workspace and model:\n.PP\n.EX\n" +
		"monitor report \\-\\-by workspace,model\n.EE\n.PP\nTry key, database and notifiers before the daemon is started:\n.PP\n.EX\n" +
		"monitor check && monitor doctor && monitor run\n.EE")
	line(".SH NOTES\nUnofficial; not affiliated with Anthropic. The documentation is at https://github.com/anthropic\\-monitor/monitor.")
}

// manArguments are a command's arguments as its usage shows them.
func manArguments(n *kong.Node) string {
	var out []string
	for _, p := range n.Positional {
		out = append(out, p.Summary())
	}
	return strings.Join(out, " ")
}

func manFlag(line func(string, ...any), f *kong.Flag) {
	var ways []string
	for _, s := range spellings(f) {
		ways = append(ways, `\fB`+roff(s)+`\fR`)
	}
	value := ""
	if takesValue(f) {
		value = `\fI` + roff(f.FormatPlaceHolder()) + `\fR`
		if c := choices(f.Value); c != nil {
			value = roff(strings.Join(c, "|"))
		}
		value = "=" + value
	}
	line(".TP\n%s%s", strings.Join(ways, ", "), value)
	line("%s", roff(f.Help))
}

// roff escapes a text: hyphens that people copy must be ASCII's, and no line may begin with a macro.
// Lines are short, as tools that read pages want them.
func roff(s string) string {
	const width = 78
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len(line)+len(word) >= width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	lines = append(lines, line)
	escape := strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, `"`, `\(dq`, "…", "...")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			l = "\x00" + l
		}
		lines[i] = strings.Replace(escape.Replace(l), "\x00", `\&`, 1)
	}
	return strings.Join(lines, "\n")
}
