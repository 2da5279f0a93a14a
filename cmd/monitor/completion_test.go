package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// TestBashCompletes asks a real bash what it would offer.
func TestBashCompletes(t *testing.T) {
	t.Parallel()
	var script strings.Builder
	completeBash(&script, commands(t))
	// Words as bash splits them, the last one not complete, and what is offered.
	cases := []struct{ words, want string }{
		{"monitor ad", "admin"},
		{"monitor admin ke", "keys"},
		{"monitor admin keys ", "list rename enable disable archive create delete"},
		{"monitor report --form", "--format"},
		{"monitor report --format ", "table json csv markdown"},
		{"monitor report --format = j", "json"},
		{"monitor report --format =", "table json csv markdown"},
		{"monitor --log-format json report --log-format te", "text"},
		{"monitor -c admin rep", "report"}, // admin is the name of a file here
		{"monitor --config = admin rep", "report"},
		{"monitor --config /etc/host", "/etc/hostname /etc/hosts"},
		{"monitor report --by ", ""},
		{"monitor completion ", "bash zsh fish"},
		{"monitor once --log-l", "--log-level"},
		{"monitor version nothing", ""},
	}
	for _, c := range cases {
		// COMPREPLY's order is that of the script.
		script.WriteString("COMP_WORDS=(")
		for w := range strings.SplitSeq(c.words, " ") {
			script.WriteString(quoted(w) + " ")
		}
		script.WriteString("); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _monitor; echo \"${COMPREPLY[*]}\"\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "--noprofile", "-u", "-s")
	cmd.Stdin = strings.NewReader(script.String())
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	require.Len(t, lines, len(cases))
	for i, c := range cases {
		if strings.HasPrefix(c.want, "/") { // what there is differs from machine to machine
			for _, file := range strings.Fields(lines[i]) {
				require.Equal(t, "/etc", filepath.Dir(file), c.words)
			}
			continue
		}
		require.ElementsMatch(t, strings.Fields(c.want), strings.Fields(lines[i]), "%q", c.words)
	}
}

// TestCompletionsAndManual checks that each command and flag is in the scripts and on the page.
func TestCompletionsAndManual(t *testing.T) {
	t.Parallel()
	model := commands(t)
	texts := map[string]*strings.Builder{"bash": {}, "zsh": {}, "fish": {}, "man": {}}
	completeBash(texts["bash"], model)
	completeZsh(texts["zsh"], model)
	completeFish(texts["fish"], model)
	writeMan(texts["man"], model, "1.2.3")
	n := 0
	eachCommand(model, func(c *kong.Node) {
		if c.Parent == nil {
			return
		}
		n++
		require.Contains(t, texts["bash"].String(), `command="`+words(c)+`"`)
		require.Contains(t, texts["zsh"].String(), "\n"+zshName(c)+"() {\n")
		require.Contains(t, texts["fish"].String(), " -a "+c.Name+" -d ")
		if len(c.Children) > 0 {
			return
		}
		// The page's section is to the next one.
		page := texts["man"].String()
		at := strings.Index(page, "\n.SS "+roff(words(c)))
		require.Positive(t, at, words(c))
		page = page[at+4:]
		page = page[:strings.Index(page, "\n.S")]
		for _, f := range c.Flags {
			require.Contains(t, page, `\fB`+roff("--"+f.Name)+`\fR`, words(c))
			require.Contains(t, texts["fish"].String(), `"`+words(c)+`"' -l `+f.Name+" ")
		}
	})
	require.Greater(t, n, 40)
	page := texts["man"].String()
	require.True(t, strings.HasPrefix(page, `.TH MONITOR 1 "" "monitor 1.2.3" "Anthropic Monitor"`+"\n.SH NAME\nmonitor \\- "))
	for _, macro := range regexp.MustCompile(`(?m)^[.'](\S*)`).FindAllStringSubmatch(page, -1) {
		require.Contains(t, []string{"TH", "SH", "SS", "TP", "PP", "B", "I", "RI", "EX", "EE"}, macro[1], "a line of text that begins like a macro")
	}
	require.Equal(t, ".TH", page[:3])
	require.Equal(t, `\&.hidden \(aqx\(aq \- y \e`, roff(`.hidden 'x' - y \`))
}

func commands(t *testing.T) *kong.Node {
	t.Helper()
	model, err := commandModel()
	require.NoError(t, err)
	return model
}
