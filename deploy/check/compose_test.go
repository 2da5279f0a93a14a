package check

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const composeFolder = root + "/deploy/compose"

// compose reads the compose file as `docker compose` does, which checks it by the schema and resolves it.
func compose(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	folder, err := filepath.Abs(composeFolder)
	require.NoError(t, err)
	options, err := cli.NewProjectOptions([]string{filepath.Join(folder, "compose.yaml")},
		cli.WithWorkingDirectory(folder), cli.WithProfiles(profiles), cli.WithDotEnv, cli.WithResolvedPaths(true))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

// TestCompose checks each way to start it.
func TestCompose(t *testing.T) {
	t.Parallel()
	for profile, services := range map[string][]string{
		"demo": {"alertmanager", "grafana-demo", "monitor-demo", "prometheus"},
		"live": {"alertmanager", "grafana", "monitor", "postgres", "prometheus"},
	} {
		project := compose(t, profile)
		require.ElementsMatch(t, services, project.ServiceNames(), profile)
		ports := map[string]string{}
		for name, s := range project.Services {
			require.NotNil(t, s.HealthCheck, name)
			require.NotEmpty(t, s.HealthCheck.Test, name)
			require.Equal(t, "unless-stopped", s.Restart, name)
			require.Regexp(t, `^[a-z/-]+:(v?[0-9]+(\.[0-9]+)+|local)$`, s.Image, "%s: an image by its version", name)
			for _, p := range s.Ports {
				require.Equal(t, "127.0.0.1", p.HostIP, "%s is published to this machine only", name)
				require.Empty(t, ports[p.Published], "port %s", p.Published)
				ports[p.Published] = name
			}
			for _, v := range s.Volumes {
				if v.Type == types.VolumeTypeBind {
					require.True(t, v.ReadOnly, "%s: %s", name, v.Source)
					require.DirExists(t, v.Source, name)
				}
			}
			for _, secret := range s.Secrets {
				require.Contains(t, project.Secrets, secret.Source, name)
			}
			for on := range s.DependsOn {
				require.NotNil(t, project.Services[on].HealthCheck, "%s waits for %s", name, on)
			}
		}
		for _, secret := range project.Secrets {
			require.Equal(t, "secrets", filepath.Base(filepath.Dir(secret.File)))
		}
	}
	require.Equal(t, "demo\n", strings.TrimPrefix(strings.SplitAfter(read(t, "deploy/compose/.env"), "\n")[1], "COMPOSE_PROFILES="))
	require.Contains(t, read(t, "deploy/compose/.gitignore"), "/secrets/", "secrets stay out of the repository")
}

// TestComposeGrafana checks that what Grafana's files take from the environment is set in both of its services.
func TestComposeGrafana(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(root + "/grafana/provisioning/*/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	project := compose(t, "demo", "live")
	for _, name := range []string{"grafana-demo", "grafana"} {
		s := project.Services[name]
		require.True(t, slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Target == *s.Environment["MONITOR_DASHBOARDS"]
		}), "%s: the dashboards are mounted where they are looked for", name)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\$\{?([A-Z_]+)`).FindAllStringSubmatch(string(b), -1) {
			require.Contains(t, project.Services["grafana-demo"].Environment, m[1], file)
			live := project.Services["grafana"]
			if !strings.Contains(strings.Join(live.Entrypoint, " "), m[1]+"=$(cat /run/secrets/grafana-password) exec /run.sh") {
				require.Contains(t, live.Environment, m[1], file)
			}
		}
	}
}

// TestComposeMonitor checks what the monitor is given.
func TestComposeMonitor(t *testing.T) {
	t.Parallel()
	project := compose(t, "demo", "live")
	live, demo := project.Services["monitor"], project.Services["monitor-demo"]
	for _, s := range []types.ServiceConfig{live, demo} {
		require.True(t, s.ReadOnly)
		require.Equal(t, []string{"ALL"}, s.CapDrop)
		require.Equal(t, "deploy/Dockerfile", s.Build.Dockerfile)
		require.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile))
		require.EqualValues(t, 9599, s.Ports[0].Target)
		require.Equal(t, "/usr/local/bin/monitor", s.HealthCheck.Test[1])
		programTakes(t, s.HealthCheck.Test[2:])
		programTakes(t, s.Command)
	}
	text := read(t, "deploy/compose/monitor/monitor.yaml")
	require.NoError(t, checkConfig(text))
	files := regexp.MustCompile(`file:(/[^\s"}]+)`).FindAllStringSubmatch(text, -1)
	require.Len(t, files, len(live.Secrets))
	for _, file := range files {
		require.True(t, slices.ContainsFunc(live.Secrets, func(s types.ServiceSecretConfig) bool {
			return "/run/secrets/"+s.Source == file[1]
		}), "%s is mounted", file[1])
	}
	require.Equal(t, "/etc/monitor", live.Volumes[0].Target, "where the image looks for monitor.yaml")
	require.Contains(t, text, `url: "http://alertmanager:9093"`)
}

// TestComposePrometheus checks the configuration of Prometheus and Alertmanager there against the one shipped
// for any Prometheus, by their own tools.
func TestComposePrometheus(t *testing.T) {
	t.Parallel()
	prometheus := compose(t, "demo").Services["prometheus"]
	dir := t.TempDir()
	for _, name := range []string{"deploy/compose/prometheus/prometheus.yml", "deploy/prometheus/rules.yml"} {
		text := strings.ReplaceAll(read(t, name), "/etc/anthropic-monitor/", "")
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(text), 0o600))
	}
	require.Contains(t, output(t, dir, "promtool", "check", "config", "prometheus.yml"), "SUCCESS: 1 rule files found")
	require.True(t, slices.ContainsFunc(prometheus.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Target == "/etc/anthropic-monitor" && filepath.Base(v.Source) == "prometheus"
	}))

	type config struct {
		Scrape []map[string]any `json:"scrape_configs"`
	}
	var shipped, here config
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/prometheus/prometheus.yml")), &shipped))
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/compose/prometheus/prometheus.yml")), &here))
	require.Equal(t, []any{map[string]any{"targets": []any{"monitor:9599"}}}, here.Scrape[0]["static_configs"])
	delete(shipped.Scrape[0], "static_configs")
	delete(here.Scrape[0], "static_configs")
	require.Equal(t, shipped, here)
}

// TestAlertmanager has Alertmanager's tool check the configurations, and where alerts go.
func TestAlertmanager(t *testing.T) {
	t.Parallel()
	example := root + "/deploy/alertmanager/alertmanager.yml"
	for _, file := range []string{example, composeFolder + "/alertmanager/alertmanager.yml"} {
		require.Contains(t, output(t, ".", "amtool", "check-config", file), "SUCCESS")
	}
	for severity, receivers := range map[string]string{"critical": "pager,slack", "warning": "slack", "info": "nobody"} {
		out := output(t, ".", "amtool", "config", "routes", "test", "--config.file="+example, "--verify.receivers="+receivers, "severity="+severity)
		require.Contains(t, out, receivers)
	}
	for _, m := range regexp.MustCompile(`alertname = "(\w+)"`).FindAllStringSubmatch(read(t, "deploy/alertmanager/alertmanager.yml"), -1) {
		require.Contains(t, read(t, "deploy/prometheus/rules.yml"), "- alert: "+m[1]+"\n")
	}
}
