package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Secret is a text that must not be seen, such as a key, or where to get it: an environment
// variable (${NAME}), a file (file:/path) or a command's first line of output (exec:command args).
// However it is printed, logged or marshaled it shows as [secret]. Copies share what was read.
// Safe for concurrent use.
type Secret struct{ s *secret }

type secret struct {
	kind   secretKind
	text   string   // name, path, or the secret itself
	words  []string // command and arguments
	getenv func(string) string

	mu     sync.Mutex
	cached string // what file or command last gave
}

type secretKind string

const (
	secretLiteral secretKind = "literal"
	secretEnv     secretKind = "environment variable"
	secretFile    secretKind = "file"
	secretExec    secretKind = "command"
)

const (
	secretShown   = "[secret]"
	secretTimeout = 30 * time.Second // a command may ask a slow service
	secretLimit   = 64 << 10         // bytes of a file or of a command's output
)

var (
	variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)
	unbraced = regexp.MustCompile(`^\$[A-Z][A-Z0-9_]*$`) // more likely a slip than a secret
)

// ParseSecret reads how a secret is written; it does not yet get it. Empty text is no secret.
// Errors do not contain the text.
func ParseSecret(text string, getenv func(string) string) (Secret, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Secret{}, nil
	}
	if m := variable.FindStringSubmatch(text); m != nil {
		return Secret{&secret{kind: secretEnv, text: m[1], getenv: getenv}}, nil
	}
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		if path == "" {
			return Secret{}, errors.New("names no file, write file:/path")
		}
		return Secret{&secret{kind: secretFile, text: path}}, nil
	}
	if line, ok := strings.CutPrefix(text, "exec:"); ok {
		words, err := splitWords(line)
		if err != nil {
			return Secret{}, err
		}
		if len(words) == 0 {
			return Secret{}, errors.New("names no command, write exec:command args")
		}
		return Secret{&secret{kind: secretExec, text: words[0], words: words}}, nil
	}
	if strings.Contains(text, "${") {
		return Secret{}, errors.New("a variable must be the whole value, written ${NAME}; with text around it, use file or exec instead")
	}
	if unbraced.MatchString(text) {
		return Secret{}, errors.New("a variable is written in braces, ${NAME}; if this is the secret itself, put it into a file: file:/path")
	}
	return Secret{&secret{kind: secretLiteral, text: text}}, nil
}

// Value gets the secret, without white space around it. What a file or command gave is kept until
// renew asks to get it again, as after a refusal. Errors say what to do and contain neither the
// secret nor any output.
func (s Secret) Value(ctx context.Context, renew bool) (string, error) {
	if s.s == nil {
		return "", errors.New("no secret is set")
	}
	x := s.s
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cached != "" && !renew {
		return x.cached, nil
	}
	x.cached = ""
	value, err := x.get(ctx)
	if err != nil {
		return "", err
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return "", fmt.Errorf("%s %s", s.Source(), map[secretKind]string{
			secretEnv:  "is empty or not set: set it where monitor is started",
			secretFile: "is empty: put the secret into it",
			secretExec: "printed nothing: run it by hand to see why",
		}[x.kind])
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%s holds a line break or another control character inside the secret: "+
			"keep nothing but the secret there", s.Source())
	}
	if x.kind == secretFile || x.kind == secretExec {
		x.cached = value
	}
	return value, nil
}

func (x *secret) get(ctx context.Context) (string, error) {
	switch x.kind {
	case secretEnv:
		return x.getenv(x.text), nil
	case secretFile:
		f, err := os.Open(x.text)
		if err != nil {
			return "", fmt.Errorf("reading a secret: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, secretLimit+1))
		if err != nil {
			return "", fmt.Errorf("reading a secret: %w", err)
		}
		if len(b) > secretLimit {
			return "", fmt.Errorf("file %s is too long for a secret: is it the right file?", x.text)
		}
		return string(b), nil
	case secretExec:
		return x.run(ctx)
	default:
		return x.text, nil
	}
}

// run is the first line that the command prints.
func (x *secret) run(ctx context.Context) (string, error) {
	timed, stop := context.WithTimeout(ctx, secretTimeout)
	defer stop()
	var out limitedBuffer
	cmd := exec.CommandContext(timed, x.words[0], x.words[1:]...)
	cmd.Stdout = &out
	cmd.WaitDelay = time.Second // a child of its own may keep the output open
	if err := cmd.Run(); err != nil {
		switch {
		case ctx.Err() != nil:
			return "", fmt.Errorf("command %s: %w", x.text, ctx.Err())
		case timed.Err() != nil:
			return "", fmt.Errorf("command %s did not end within %s: run it by hand to see why", x.text, secretTimeout)
		default:
			return "", fmt.Errorf("command %s: %w (run it by hand to see why)", x.text, err)
		}
	}
	line, _, _ := bytes.Cut(out.kept, []byte("\n"))
	return string(line), nil
}

// limitedBuffer keeps the first bytes and drops the rest, so that the writer can finish.
type limitedBuffer struct{ kept []byte }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), secretLimit-len(b.kept))]...)
	return len(p), nil
}

// Peek is the value where it can be told without running a command.
func (s Secret) Peek() (string, bool) {
	if s.s == nil || s.s.kind == secretExec {
		return "", false
	}
	value, err := s.Value(context.Background(), false)
	return value, err == nil
}

// IsZero reports whether no secret is set.
func (s Secret) IsZero() bool { return s.s == nil }

// Equal reports whether both are written the same.
func (s Secret) Equal(t Secret) bool {
	if s.s == nil || t.s == nil {
		return s.s == t.s
	}
	return s.s.kind == t.s.kind && s.s.text == t.s.text && slices.Equal(s.s.words, t.s.words)
}

// Source says where the secret comes from, without it: "environment variable NAME", "file /path",
// "command NAME", "literal"; empty where none is set.
func (s Secret) Source() string {
	switch {
	case s.s == nil:
		return ""
	case s.s.kind == secretLiteral:
		return string(secretLiteral)
	default:
		return string(s.s.kind) + " " + s.s.text
	}
}

// String is [secret], or empty where none is set.
func (s Secret) String() string {
	if s.s == nil {
		return ""
	}
	return secretShown
}

// GoString keeps %#v from looking inside.
func (s Secret) GoString() string { return s.String() }

// LogValue is what a logger shows.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is what JSON, YAML and other encoders write.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// splitWords cuts a command line at white space. Single and double quotes keep white space; a
// backslash, but within single quotes, keeps the character after it. There is no other syntax.
func splitWords(line string) ([]string, error) {
	var words []string
	var word []byte
	open, started := byte(0), false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && open != '\'' && i+1 < len(line):
			i++
			word, started = append(word, line[i]), true
		case open != 0 && c == open:
			open = 0
		case open == 0 && (c == '\'' || c == '"'):
			open, started = c, true
		case open == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if started {
				words = append(words, string(word))
			}
			word, started = nil, false
		default:
			word, started = append(word, c), true
		}
	}
	if open != 0 {
		return nil, fmt.Errorf("a quote (%c) in the command is not closed", open)
	}
	if started {
		words = append(words, string(word))
	}
	return words, nil
}
