package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorder is a test that notes what is reported to it.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func TestCheck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "x.txt")
	r := &recorder{TB: t}

	check(r, path, []byte("a\nb\n"), false)
	require.Len(t, r.errors, 1)
	require.Contains(t, r.errors[0], "does not exist")
	require.Contains(t, r.errors[0], "a\nb\n")

	check(r, path, []byte("a\nb\n"), true)
	check(r, path, []byte("a\nb\n"), false)
	require.Len(t, r.errors, 1, "equal content is no error")

	check(r, path, []byte("a\nc\n"), false)
	require.Len(t, r.errors, 2)
	require.Contains(t, r.errors[1], "\n-b\n+c\n")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "a\nb\n", string(content), "comparing writes nothing")

	require.Panics(t, func() { check(r, filepath.Dir(path), nil, false) }, "a directory is no golden file")
}

func TestCheckReadsTestdata(t *testing.T) {
	t.Parallel()
	Check(t, "hello.txt", []byte("hello\n"))
}
