package config

import (
	"regexp"
	"strings"
)

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@._+=:/-]+$`)

// ShellWord is the word as it is written in a command line that people copy into a shell: quoted where that is needed,
// so that a name out of the API is never more than a name there.
func ShellWord(w string) string {
	if plainWord.MatchString(w) {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
