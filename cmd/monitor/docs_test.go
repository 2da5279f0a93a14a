package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRulesCookbook reads each rule of the cookbook as the daemon does, and has all of them judged on a
// simulated organization.
func TestRulesCookbook(t *testing.T) {
	t.Parallel()
	situations := regexp.MustCompile(`(?m)^## \d+\. `).FindAllString(read(t, "docs/rules-cookbook.md"), -1)
	require.Len(t, situations, 10)
	blocks := yamlBlocks(t, "docs/rules-cookbook.md")
	require.Len(t, blocks, 10)
	const others = `backfill: 2d
teams: [{name: search, api_keys: ["search-*"]}]
notifiers:
- {name: oncall, webhook: {url: "http://127.0.0.1:9/"}}
- {name: finance, webhook: {url: "http://127.0.0.1:9/"}}
- {name: security, webhook: {url: "http://127.0.0.1:9/"}}
rules:
`
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 2d\n")
	for _, b := range blocks {
		w.configure(others + b)
		w.monitor("check")
	}
	w.configure(strings.NewReplacer("notify: [oncall]", "notify: []", "notify: [finance]", "notify: []", "notify: [security]", "notify: []").
		Replace(others + strings.Join(blocks, "")))
	w.monitor("once")
	store := w.open()
	defer store.Close()
	states, err := store.RuleStates(t.Context(), w.organizations(store)[0])
	require.NoError(t, err)
	require.Len(t, states, strings.Count(strings.Join(blocks, ""), "- name: "))
	for _, s := range states {
		require.Empty(t, s.Problem, "the rule %q cannot be judged", s.Rule)
	}
}

// TestQuickstart reads the configuration of the quick start.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	blocks := yamlBlocks(t, "docs/quickstart.md")
	require.Len(t, blocks, 2)
	_, err := parseConfig("monitor.yaml", []byte(strings.Join(blocks, "")), environment{}.get)
	require.NoError(t, err)
}

func yamlBlocks(t *testing.T, name string) (blocks []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, name), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// TestDocumentedCommands parses the command lines of all documents' blocks of shell: each command, flag and
// value of a list is one that there is.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	ours := regexp.MustCompile(`^ *(?:[A-Z_]+=\S* )*(?:sudo |go run \./cmd/)?monitor (.*)$`)
	n := 0
	for _, path := range markdown(t) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			for line := range strings.SplitSeq(strings.ReplaceAll(block[1], "\\\n", " "), "\n") {
				for command := range strings.SplitSeq(line, "&&") {
					m := ours.FindStringSubmatch(command)
					if m == nil {
						continue
					}
					n++
					var c cli
					parser, err := newParser(&c, io.Discard, io.Discard, func(int) {})
					require.NoError(t, err)
					_, err = parser.Parse(shellWords(m[1]))
					require.NoError(t, err, "%s: monitor %s", path, m[1])
				}
			}
		}
	}
	require.Greater(t, n, 40)
}

// shellWords are the words of a command line up to a comment.
func shellWords(line string) (words []string) {
	for _, m := range regexp.MustCompile(`(#.*)|((?:"[^"]*"|'[^']*'|[^\s"'])+)`).FindAllStringSubmatch(line, -1) {
		if m[1] != "" {
			break
		}
		words = append(words, strings.NewReplacer(`"`, "", `'`, "").Replace(m[2]))
	}
	return words
}

// TestTroubleshootingMessages checks that the messages that docs/troubleshooting.md quotes are those of
// the code: each line that begins with "> ", in pieces where … stands for what differs.
func TestTroubleshootingMessages(t *testing.T) {
	t.Parallel()
	literals := stringLiterals(t)
	n := 0
	for _, m := range regexp.MustCompile("(?m)^> `(.*)`$").FindAllStringSubmatch(read(t, "docs/troubleshooting.md"), -1) {
		n++
		for piece := range strings.SplitSeq(m[1], "…") {
			piece = strings.Trim(piece, " ")
			if len(piece) < 4 {
				continue
			}
			if !strings.Contains(literals, piece) { // all of them would be a wall of text
				t.Errorf("docs/troubleshooting.md quotes what no code says: %q", m[1])
			}
		}
	}
	require.Greater(t, n, 25)
}

// stringLiterals are all string constants of product code, and templates.
func stringLiterals(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"../../internal", "../../cmd"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".html") {
				text, err := os.ReadFile(path)
				all.Write(text)
				return err
			}
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if sum, ok := n.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
					if text, ok := literal(sum); ok {
						all.WriteString(text + "\n")
						return false
					}
				}
				if text, ok := literal(n); ok {
					all.WriteString(text + "\n")
				}
				return true
			})
			return nil
		}))
	}
	return all.String()
}

// literal is a string constant, or several that are added up.
func literal(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.BasicLit:
		if x.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(x.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := literal(x.X)
		right, also := literal(x.Y)
		return left + right, ok && also && x.Op == token.ADD
	}
	return "", false
}

// TestDocumentsIndexed checks that the index names each document, and that links between all Markdown
// files lead to a file, and to a heading where they say so.
func TestDocumentsIndexed(t *testing.T) {
	t.Parallel()
	index := read(t, "docs/README.md")
	documents, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	for _, d := range documents {
		if name := filepath.Base(d); name != "README.md" {
			require.Contains(t, index, "]("+name, "docs/README.md names each document")
		}
	}
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	code := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	for _, path := range markdown(t) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			_, err := os.Stat(target)
			require.NoError(t, err, "a link in %s", path)
			if m[2] != "" {
				require.Contains(t, anchors(t, target), m[2], "a link in %s to a heading of %s", path, target)
			}
		}
	}
}

// markdown lists the Markdown files of the repository.
func markdown(t *testing.T) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".md") && !strings.Contains(path, "testdata") {
			files = append(files, path)
		}
		return err
	}))
	require.Greater(t, len(files), 20)
	return files
}

// anchors are the names of a document's headings in links.
func anchors(t *testing.T, path string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		name = strings.ReplaceAll(name, " ", "-")
		if n := seen[name]; n > 0 {
			names = append(names, fmt.Sprintf("%s-%d", name, n))
		} else {
			names = append(names, name)
		}
		seen[name]++
	}
	return names
}
