package check

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestImage checks the Dockerfile against the repository; a build is tried by hand (docs/deploy.md).
func TestImage(t *testing.T) {
	t.Parallel()
	text := read(t, "deploy/Dockerfile")
	last := text[strings.LastIndex(text, "\nFROM "):]
	require.True(t, strings.HasPrefix(last, "\nFROM scratch\n"))
	for _, want := range []string{"\nUSER 65532:65532\n", "\nVOLUME /data\n", "/etc/ssl/certs/ca-certificates.crt", "\nHEALTHCHECK "} {
		require.Contains(t, last, want)
	}
	for _, copied := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Fields(copied[1]) {
			_, err := os.Stat(root + "/" + name)
			require.NoError(t, err, "COPY")
			require.Regexp(t, `(?m)^!(`+regexp.QuoteMeta(name)+`|deploy/docker)$`, read(t, ".dockerignore"), "%s is sent to the build", name)
		}
	}
	for _, set := range regexp.MustCompile(`-X main\.(\w+)=`).FindAllStringSubmatch(text, -1) {
		require.Regexp(t, `(?m)^var `+set[1]+` string$`, read(t, "cmd/monitor/version.go"))
	}
	require.Contains(t, output(t, ".", monitor, "version"), "monitor v9.9.9-check (commit 0123abc, go", "versions are stamped")

	health := regexp.MustCompile(`HEALTHCHECK .* CMD \["/usr/local/bin/monitor", (.*)\]\n`).FindStringSubmatch(last)
	require.Len(t, health, 2)
	programTakes(t, strings.Fields(strings.NewReplacer(`"`, "", ",", "").Replace(health[1])))
	require.NoError(t, checkConfig(read(t, "deploy/docker/monitor.yaml")))
	require.Contains(t, read(t, "deploy/docker/passwd"), ":65532:65532:")
	require.Contains(t, read(t, "cmd/monitor/main.go"), `_ "time/tzdata"`, "an empty image has no time zones")
}
