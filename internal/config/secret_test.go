package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/config"
)

func parseSecret(t *testing.T, text string) config.Secret {
	t.Helper()
	s, err := config.ParseSecret(text, env{"A_KEY": " from the environment\n", "MULTI": "two\nlines"}.get)
	require.NoError(t, err)
	return s
}

type env map[string]string

func (e env) get(name string) string { return e[name] }

func TestSecretSources(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("\n  from a file \n"), 0o600))
	tests := []struct{ text, source, value string }{
		{"plain text", "literal", "plain text"},
		{"$ecret", "literal", "$ecret"},
		{"${A_KEY}", "environment variable A_KEY", "from the environment"},
		{"file:" + file, "file " + file, "from a file"},
		{"exec:printf 'first\\nsecond'", "command printf", "first"},
		{`exec:printf %s "a  \"b\"" `, "command printf", `a  "b"`},
		{`exec:printf %s-%s a\ b 'c\d'`, "command printf", `a b-c\d`},
		{`exec:printf "%s|%s|" x ""`, "command printf", "x||"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			s := parseSecret(t, test.text)
			require.Equal(t, test.source, s.Source())
			require.False(t, s.IsZero())
			value, err := s.Value(t.Context(), false)
			require.NoError(t, err)
			require.Equal(t, test.value, value)
			peeked, ok := s.Peek()
			require.Equal(t, !strings.HasPrefix(test.text, "exec:"), ok)
			if ok {
				require.Equal(t, test.value, peeked)
			}
		})
	}
}

func TestSecretErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	empty, long, lines := write("empty", " \n"), write("long", strings.Repeat("hush", 1<<15)), write("lines", "hush\nhush")
	tests := []struct{ text, want string }{
		{"${UNSET}", "environment variable UNSET is empty or not set: set it where monitor is started"},
		{"${MULTI}", "environment variable MULTI holds a line break or another control character inside the secret: keep nothing but the secret there"},
		{"file:" + empty, "file " + empty + " is empty: put the secret into it"},
		{"file:" + long, "file " + long + " is too long for a secret: is it the right file?"},
		{"file:" + lines, "file " + lines + " holds a line break or another control character inside the secret: keep nothing but the secret there"},
		{"file:" + dir + "/none", "reading a secret: open " + dir + "/none: no such file or directory"},
		{"exec:true", "command true printed nothing: run it by hand to see why"},
		{"exec:sh -c 'echo hush; echo hush >&2; exit 3'", "command sh: exit status 3 (run it by hand to see why)"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			value, err := parseSecret(t, test.text).Value(t.Context(), false)
			require.EqualError(t, err, test.want)
			require.Empty(t, value)
			require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), "hush")
		})
	}
	_, err := parseSecret(t, "exec:no-such-command-anywhere hush").Value(t.Context(), false)
	require.ErrorContains(t, err, "command no-such-command-anywhere: ")
	require.NotContains(t, err.Error(), "hush")
	_, err = config.Secret{}.Value(t.Context(), false)
	require.EqualError(t, err, "no secret is set")

	for _, text := range []string{"file:", "exec:", "exec:  ", "exec:a 'b", `exec:a "b\"`, "${A-B}", "${}", "a${B}", "${A} ${B}"} {
		_, err := config.ParseSecret(text, nil)
		require.Error(t, err, text)
	}
}

func TestSecretCommandIsStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := parseSecret(t, "exec:sleep 600").Value(ctx, false)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, "command sleep: context deadline exceeded")
}

func TestSecretRenew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	count, file := filepath.Join(dir, "count"), filepath.Join(dir, "key")
	require.NoError(t, os.WriteFile(file, []byte("one"), 0o600))
	exec := parseSecret(t, fmt.Sprintf("exec:sh -c 'echo x >>%s; wc -l <%s'", count, count))
	ofFile := parseSecret(t, "file:"+file)
	values := func(renew bool) [2]string {
		var vs [2]string
		for i, s := range []config.Secret{exec, ofFile} {
			v, err := s.Value(t.Context(), renew)
			require.NoError(t, err)
			vs[i] = v
		}
		return vs
	}
	require.Equal(t, [2]string{"1", "one"}, values(false))
	require.NoError(t, os.WriteFile(file, []byte("two"), 0o600))
	require.Equal(t, [2]string{"1", "one"}, values(false), "what was read is kept")
	require.Equal(t, [2]string{"2", "two"}, values(true))
	require.Equal(t, [2]string{"2", "two"}, values(false))

	require.NoError(t, os.Remove(file))
	_, err := ofFile.Value(t.Context(), true)
	require.Error(t, err)
	require.NoError(t, os.WriteFile(file, []byte("three"), 0o600))
	require.Equal(t, "three", values(false)[1], "a refused value does not come back")
}

func TestSecretLongOutput(t *testing.T) {
	t.Parallel()
	v, err := parseSecret(t, "exec:sh -c 'echo key; head -c 300000 /dev/zero'").Value(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, "key", v)
}

func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	type section struct {
		Key config.Secret `json:"key" yaml:"key"`
		Ptr *config.Secret
	}
	s := parseSecret(t, "hush")
	_, err := s.Value(t.Context(), false)
	require.NoError(t, err)
	v := section{s, &s}

	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "a", s, "b", &s, "c", v, "d", &v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "a", s, "b", &s, "c", v, "d", &v)
	shown := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb+verb+verb+verb+"\n", s, &s, v, &v)
	}
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, `{"key": "[secret]", "Ptr": "[secret]"}`, string(b))
	b, err = yaml.Marshal(section{Key: s})
	require.NoError(t, err)
	require.Contains(t, string(b), `key: "[secret]"`)
	require.NotContains(t, shown+string(b), "hush")
	require.NotContains(t, shown, fmt.Sprintf("%x", "hush"))
	require.Contains(t, shown, "[secret]")
}

func TestSecretEqual(t *testing.T) {
	t.Parallel()
	texts := []string{"a", "b", "${A_KEY}", "file:a", "exec:a", "exec:a b"}
	for _, a := range texts {
		for _, b := range texts {
			require.Equal(t, a == b, parseSecret(t, a).Equal(parseSecret(t, b)), "%s %s", a, b)
		}
		require.False(t, parseSecret(t, a).Equal(config.Secret{}))
	}
	require.True(t, config.Secret{}.Equal(config.Secret{}))
	require.Empty(t, config.Secret{}.String())
	require.Empty(t, config.Secret{}.Source())
}
