// Package golden compares what a test made with a file under testdata, and rewrites the file when
// the test is run with -update. Golden files are read in review like code.
//
// Importing it registers the flag in the test binary; only tests may import it.
package golden

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

var update = flag.Bool("update", false, "rewrite golden files instead of comparing with them")

// Check fails the test unless got is the content of testdata/name; name may lead out of testdata.
// With -update it writes the file instead.
func Check(t testing.TB, name string, got []byte) {
	t.Helper()
	check(t, filepath.Join("testdata", filepath.FromSlash(name)), got, *update)
}

func check(t testing.TB, path string, got []byte, write bool) {
	t.Helper()
	if write {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s does not exist (run the test with -update to write it); it would be:\n%s", path, got)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("golden file differs (run the test with -update where the change is meant)\n%s",
			diff.Diff(path, want, "got", got))
	}
}
