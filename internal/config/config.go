// Package config reads configuration files: strict YAML into structs, with every problem it can
// tell, each with file, line and path. It knows no section of the file; their shapes belong to
// the program.
//
// A program decodes over its defaults, goes on to check what the values mean, and asks once for
// everything that is wrong:
//
//	f := config.Load("monitor.yaml", data, os.Getenv, &c)
//	if c.Web.Listen == "" {
//		f.Problem("web.listen", "must be set")
//	}
//	return f.Err()
//
// Struct fields are named by their yaml tag. A key that no field has is a problem. A key with
// nothing behind it leaves the default. What a list or map says replaces the default as a whole;
// its elements start from SetDefaults where their type has it. Besides the plain kinds a field may
// be a [Secret], a [Duration], a [OneOrMany], a time.Time (a date, or RFC 3339) or any type that
// unmarshals text, which is given the text as written (so no decimal number passes a float).
// Anchors and aliases work, merge keys do not.
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Problem is one thing that is wrong with a configuration. What is not known is empty, or 0.
type Problem struct {
	File    string
	Line    int    // from 1
	Path    string // such as rules[2].budget.amount_usd
	Message string
}

// Error is the problem on one line: "monitor.yaml:14: rules[2].budget.amount_usd: must be above 0".
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:", p.Line)
		}
		b.WriteByte(' ')
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Message
}

// Problems is everything that is wrong with a configuration, by line.
type Problems []Problem

// Error is a line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// File is a configuration that was read: where its values stand, and what is wrong with it. The
// zero File is one that says nothing; it serves to check defaults.
type File struct {
	name     string
	lines    map[string]int // by path
	problems Problems
	decoded  int // how many of the problems are from decoding
}

// Load decodes the YAML document over what into, a pointer to a struct, holds. Environment
// variables of secrets are read with getenv, when their value is asked for. Problems are kept for
// [File.Err]; what could not be decoded keeps its default.
func Load(name string, data []byte, getenv func(string) string, into any) *File {
	f := &File{name: name, lines: map[string]int{}}
	docs, err := parse(data)
	if err != nil {
		p := Problem{File: name, Message: err.Error()}
		if e, ok := errors.AsType[yaml.Error](err); ok {
			p.Message = explain(e.GetMessage())
			if t := e.GetToken(); t != nil && t.Position != nil {
				p.Line = t.Position.Line
			}
		}
		f.problems = Problems{p}
		return f
	}
	if len(docs) > 1 {
		f.problems = Problems{{File: name, Message: "holds several YAML documents, only one is read"}}
		return f
	}
	if len(docs) == 1 {
		d := decoder{file: f, getenv: getenv, anchors: map[string]ast.Node{}}
		d.value("", docs[0].Body, reflect.ValueOf(into).Elem())
	}
	f.decoded = len(f.problems)
	return f
}

// explain adds what to do to what the parser says of text that is no YAML.
func explain(message string) string {
	switch {
	case strings.ContainsRune(message, '\t'), strings.HasPrefix(message, "tab character"):
		return "a tab stands where only spaces may: indent by spaces"
	case strings.Contains(message, "not allowed in this context"), message == "unexpected key name":
		return message + ": look at this line and the next, one is indented too far or too little, or is text that needs quotes"
	case strings.HasSuffix(message, "is a reserved character"), message == "could not find flow map content":
		return message + ": text that begins so needs quotes"
	default:
		return message
	}
}

// bareVariable is a variable without quotes inside { } or [ ].
var bareVariable = regexp.MustCompile(`([{\[,:]\s*)(\$\{[A-Za-z_][A-Za-z0-9_]*\})`)

// parse reads the documents. YAML wants {url: ${NAME}} written with quotes, which nobody
// remembers: what only fails for their want is read as if they were there.
func parse(data []byte) ([]*ast.DocumentNode, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		quoted := bareVariable.ReplaceAll(data, []byte(`$1"$2"`))
		if bytes.Equal(quoted, data) {
			return nil, err
		}
		var again error
		if file, again = parser.ParseBytes(quoted, 0); again != nil {
			return nil, err
		}
	}
	return file.Docs, nil
}

// Problem notes that something is wrong with the value at the path, unless decoding the value has
// failed already.
func (f *File) Problem(path, format string, args ...any) {
	for _, p := range f.problems[:f.decoded] {
		if within(p.Path, path) || within(path, p.Path) {
			return
		}
	}
	f.add(path, f.Line(path), fmt.Sprintf(format, args...))
}

func (f *File) add(path string, line int, message string) {
	f.problems = append(f.problems, Problem{File: f.name, Line: line, Path: path, Message: message})
}

// within reports whether path is outer or a part of it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || outer == "" || rest[0] == '.' || rest[0] == '[')
}

// Has reports whether the file says something at the path.
func (f *File) Has(path string) bool { return f.lines[path] > 0 }

// Line is the line of the path or, where the file does not have it, of the nearest thing round it
// that the file has; 0 where there is none.
func (f *File) Line(path string) int {
	for path != "" && f.lines[path] == 0 {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return f.lines[path]
}

// Err is all problems noted so far as [Problems], nil without any.
func (f *File) Err() error {
	if len(f.problems) == 0 {
		return nil
	}
	ps := slices.Clone(f.problems)
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return ps
}
