package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const chartFolder = root + "/deploy/helm/monitor"

// valueSets are what the chart is rendered with: ways to run it that it promises.
var valueSets = map[string]string{
	"default": "{}",
	"sqlite": `
storage: {type: sqlite, sqlite: {size: 50Gi, storageClass: fast}}
replicas: 1
config:
  backfill: 30d
  rules: [{name: monthly, budget: {amount_usd: 5000}}]
`,
	"own claim": `storage: {type: sqlite, sqlite: {existingClaim: history}}`,
	"postgres":  `storage: {type: postgres}`,
	"plain key": `organizations: [{adminKey: an-admin-key-in-the-values}]`,
	"everything": `
nameOverride: spend
fullnameOverride: spend-watch
image: {repository: registry.example.com/monitor, tag: v1, digest: "sha256:` + strings.Repeat("0a", 32) + `", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
organizations:
  - {name: acme, existingSecret: acme-key, secretKey: key, reports: legacy, base_url: "https://gateway.example.com"}
  - {name: second, existingSecret: second-key}
  - {name: third, adminKey: an-admin-key-in-the-values}
storage: {type: postgres, postgres: {existingSecret: database, secretKey: uri}}
replicas: 3
config:
  notifiers: [{name: slack, slack: {webhook_url: "file:/run/secrets/monitor/slack"}}]
  rules: [{name: monthly, notify: [slack], budget: {amount_usd: 5000}}]
  teams: [{name: search, api_keys: ["search-*"]}]
secretFiles: [{name: slack, existingSecret: slack, secretKey: webhook-url}]
webConfigSecret: web
log: {level: debug, format: text}
resources: {requests: {cpu: 100m, memory: 256Mi}, limits: {cpu: "1", memory: 1Gi}}
goMemLimit: 680MiB
service: {type: LoadBalancer, port: 443, annotations: {a: b}}
ingress: {enabled: true, className: nginx, host: monitor.example.com, tlsSecret: monitor-tls, annotations: {a: b}}
networkPolicy:
  enabled: true
  ingressFrom: [{namespaceSelector: {matchLabels: {team: platform}}}]
  egress: [{ports: [{port: 9093, protocol: TCP}]}]
serviceMonitor: {enabled: true, interval: 30s, labels: {release: prometheus}, endpoint: {scheme: https, tlsConfig: {insecureSkipVerify: true}}}
prometheusRule: {enabled: true, labels: {release: prometheus}, disable: [AnthropicDailyCostHigh]}
serviceAccount: {create: true, name: watcher, annotations: {a: b}}
podDisruptionBudget: {enabled: true, maxUnavailable: 50%}
podAnnotations: {a: b}
podLabels: {c: d}
extraEnv: [{name: HTTPS_PROXY, value: "http://proxy:3128"}]
nodeSelector: {disk: ssd}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app.kubernetes.io/name: spend}}}]
priorityClassName: high
terminationGracePeriodSeconds: 60
`,
}

// TestChartLint is `helm lint`, without a warning.
func TestChartLint(t *testing.T) {
	t.Parallel()
	for name, text := range valueSets {
		linter := lint.RunAll(chartFolder, valuesOf(t, text), "spend")
		for _, m := range linter.Messages {
			require.LessOrEqual(t, m.Severity, support.InfoSev, "%s: %s", name, m)
		}
	}
}

// TestChart renders the chart and checks that every object is one that Kubernetes would take, as far as
// its types tell, and that they fit each other.
func TestChart(t *testing.T) {
	t.Parallel()
	for name, text := range valueSets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := render(t, text)
			require.NoError(t, err)
			c.check(t)
		})
	}
}

// TestChartKinds checks what is rendered where.
func TestChartKinds(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"default":    "ConfigMap Deployment PersistentVolumeClaim Service ServiceAccount",
		"own claim":  "ConfigMap Deployment Service ServiceAccount",
		"plain key":  "ConfigMap Deployment PersistentVolumeClaim Secret Service ServiceAccount",
		"postgres":   "ConfigMap Deployment PodDisruptionBudget Service ServiceAccount",
		"everything": "ConfigMap Deployment Ingress NetworkPolicy PodDisruptionBudget PrometheusRule Secret Service ServiceAccount ServiceMonitor",
	} {
		c, err := render(t, valueSets[name])
		require.NoError(t, err)
		require.Equal(t, strings.Fields(want), slices.Sorted(maps.Keys(c.kinds)), name)
	}
	c, err := render(t, valueSets["default"])
	require.NoError(t, err)
	require.EqualValues(t, 1, *c.deployment.Spec.Replicas)
	require.Equal(t, apps.RecreateDeploymentStrategyType, c.deployment.Spec.Strategy.Type, "two pods must not have the file")
	require.Equal(t, "keep", c.claim.Annotations["helm.sh/resource-policy"])

	c, err = render(t, valueSets["postgres"])
	require.NoError(t, err)
	require.EqualValues(t, 2, *c.deployment.Spec.Replicas)
	require.Equal(t, apps.RollingUpdateDeploymentStrategyType, c.deployment.Spec.Strategy.Type)
	require.Len(t, c.deployment.Spec.Template.Spec.TopologySpreadConstraints, 1)
	require.EqualValues(t, 1, c.disruption.Spec.MaxUnavailable.IntVal)

	c, err = render(t, valueSets["everything"])
	require.NoError(t, err)
	require.Equal(t, "registry.example.com/monitor:v1@sha256:"+strings.Repeat("0a", 32), c.container().Image)
	require.Contains(t, c.config.Data["monitor.yaml"], "external_url: https://monitor.example.com")
	rules := 0
	for _, g := range c.rule.Spec.Groups {
		for _, r := range g.Rules {
			require.NotEqual(t, "AnthropicDailyCostHigh", r.Alert)
			rules++
		}
	}
	require.Equal(t, strings.Count(read(t, "deploy/prometheus/rules.yml"), "- alert: ")-1, rules)
	text, err := yaml.Marshal(c.rule.Spec)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	require.Contains(t, output(t, ".", "promtool", "check", "rules", file), fmt.Sprintf("SUCCESS: %d rules found", rules))
}

// TestChartRestarts checks that what is mounted and changes restarts the pods.
func TestChartRestarts(t *testing.T) {
	t.Parallel()
	sums := map[string]bool{}
	for _, text := range []string{
		"{}", "config: {backfill: 30d}", "organizations: [{existingSecret: anthropic-admin-key, name: a}]",
		"organizations: [{adminKey: one}]", "organizations: [{adminKey: two}]",
	} {
		c, err := render(t, text)
		require.NoError(t, err)
		annotations, err := json.Marshal(c.deployment.Spec.Template.Annotations)
		require.NoError(t, err)
		require.False(t, sums[string(annotations)], "%s", text)
		sums[string(annotations)] = true
	}
}

// TestChartRefuses checks that bad values are refused, and that the message says which.
func TestChartRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ values, says string }{
		{"replicas: 2", "replicas is 2, but with storage.type sqlite there can be only one"},
		{"replicas: 0", "replicas"},
		{"replicas: two", "replicas"},
		{"replica: 1", "replica"},
		{"storage: {type: mysql}", "/storage/type"},
		{"storage: {sqlite: {size: ten}}", "/storage/sqlite/size"},
		{"storage: {type: postgres, postgres: {url: postgres://u:p@h/d}}", "url"},
		{"storage: {type: postgres, postgres: {existingSecret: ''}}", "/storage/postgres/existingSecret"},
		{"organizations: []", "/organizations"},
		{"organizations: [{name: a}]", "/organizations/0"},
		{"organizations: [{existingSecret: a, adminKey: b}]", "/organizations/0"},
		{"organizations: [{existingSecret: Not_A_Name}]", "/organizations/0/existingSecret"},
		{"organizations: [{existingSecret: a, reports: both}]", "/organizations/0/reports"},
		{"config: {storage: {sqlite: {path: a.db}}}", "/config/storage"},
		{"config: {organizations: []}", "/config/organizations"},
		{"config: {web: {listen: ':80'}}", "/config/web/listen"},
		{"secretFiles: [{name: a}]", "/secretFiles/0"},
		{"secretFiles: [{name: database, existingSecret: a, secretKey: b}]", "/secretFiles/0/name"},
		{"image: {digest: latest}", "/image/digest"},
		{"log: {level: loud}", "/log/level"},
		{"ingress: {enabled: true}", "/ingress/host"},
		{"service: {port: 0}", "/service/port"},
		{"goMemLimit: 340MB", "/goMemLimit"},
		{"serviceMonitor: {interval: often}", "/serviceMonitor/interval"},
		{"prometheusRule: {enabled: true, disable: [NoSuchAlert]}", "there is no alert NoSuchAlert; there is: Anthropic"},
	} {
		_, err := render(t, c.values)
		require.ErrorContains(t, err, c.says, c.values)
	}
}

// TestChartRules keeps the chart's copy of the alerts, which Helm reads from its own folder only.
func TestChartRules(t *testing.T) {
	t.Parallel()
	require.Equal(t, read(t, "deploy/prometheus/rules.yml"), read(t, "deploy/helm/monitor/files/rules.yml"),
		"cp deploy/prometheus/rules.yml deploy/helm/monitor/files/")
}

// TestChartValues checks that the schema knows each value and each value of the schema is there.
func TestChartValues(t *testing.T) {
	t.Parallel()
	var schema struct{ Properties map[string]any }
	require.NoError(t, json.Unmarshal([]byte(read(t, "deploy/helm/monitor/values.schema.json")), &schema))
	delete(schema.Properties, "global") // Helm's
	require.ElementsMatch(t, slices.Collect(maps.Keys(valuesOf(t, read(t, "deploy/helm/monitor/values.yaml")))),
		slices.Collect(maps.Keys(schema.Properties)))
}

// rendered is what the chart makes.
type rendered struct {
	kinds      map[string]bool
	objects    []meta.Object
	deployment apps.Deployment
	config     core.ConfigMap
	secret     core.Secret
	claim      core.PersistentVolumeClaim
	service    core.Service
	account    core.ServiceAccount
	disruption policy.PodDisruptionBudget
	ingress    networking.Ingress
	network    networking.NetworkPolicy
	scrape     monitoring.ServiceMonitor
	rule       monitoring.PrometheusRule
}

func valuesOf(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &values))
	return values
}

// render is `helm template`.
func render(t *testing.T, text string) (*rendered, error) {
	t.Helper()
	chart, err := loader.LoadDir(chartFolder)
	require.NoError(t, err)
	values, err := util.ToRenderValues(chart, valuesOf(t, text), common.ReleaseOptions{Name: "try", Namespace: "spend", IsInstall: true},
		common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{Strict: true}.RenderWithContext(t.Context(), chart, values)
	if err != nil {
		return nil, err
	}
	r := &rendered{kinds: map[string]bool{}}
	for name, text := range files {
		if filepath.Ext(name) != ".yaml" {
			require.NotContains(t, text, "<no value>", name)
			continue
		}
		r.add(t, name, text)
	}
	return r, nil
}

// add decodes an object strictly: unknown and double keys are errors.
func (r *rendered) add(t *testing.T, name, text string) {
	t.Helper()
	if strings.TrimSpace(text) == "" {
		return
	}
	require.NotContains(t, text, "<no value>", name)
	require.NotContains(t, text, "\n---", "%s holds one object", name)
	var kind meta.TypeMeta
	require.NoError(t, yaml.Unmarshal([]byte(text), &kind), name)
	into, ok := map[string]meta.Object{
		"apps/v1 Deployment":                      &r.deployment,
		"v1 ConfigMap":                            &r.config,
		"v1 Secret":                               &r.secret,
		"v1 PersistentVolumeClaim":                &r.claim,
		"v1 Service":                              &r.service,
		"v1 ServiceAccount":                       &r.account,
		"policy/v1 PodDisruptionBudget":           &r.disruption,
		"networking.k8s.io/v1 Ingress":            &r.ingress,
		"networking.k8s.io/v1 NetworkPolicy":      &r.network,
		"monitoring.coreos.com/v1 ServiceMonitor": &r.scrape,
		"monitoring.coreos.com/v1 PrometheusRule": &r.rule,
	}[kind.APIVersion+" "+kind.Kind]
	require.True(t, ok, "%s: %s %s", name, kind.APIVersion, kind.Kind)
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), into), "%s:\n%s", name, text)
	require.False(t, r.kinds[kind.Kind], "two of %s", kind.Kind)
	r.kinds[kind.Kind] = true
	r.objects = append(r.objects, into)
}

func (r *rendered) container() core.Container { return r.deployment.Spec.Template.Spec.Containers[0] }

// check checks that the objects fit each other, the program and what is asked of a hardened pod.
func (r *rendered) check(t *testing.T) {
	t.Helper()
	pod := r.deployment.Spec.Template
	require.Len(t, pod.Spec.Containers, 1)
	container := r.container()
	for _, o := range r.objects {
		require.NotEmpty(t, o.GetName())
		require.Equal(t, "Helm", o.GetLabels()["app.kubernetes.io/managed-by"], o.GetName())
	}

	// Who selects pods selects these.
	selectors := []map[string]string{r.deployment.Spec.Selector.MatchLabels, r.service.Spec.Selector}
	if r.kinds["PodDisruptionBudget"] {
		selectors = append(selectors, r.disruption.Spec.Selector.MatchLabels)
	}
	if r.kinds["NetworkPolicy"] {
		selectors = append(selectors, r.network.Spec.PodSelector.MatchLabels)
		require.Equal(t, container.Ports[0].Name, r.network.Spec.Ingress[0].Ports[0].Port.StrVal)
	}
	for _, c := range pod.Spec.TopologySpreadConstraints {
		selectors = append(selectors, c.LabelSelector.MatchLabels)
	}
	for _, s := range selectors {
		require.NotEmpty(t, s)
		require.Subset(t, pod.Labels, s)
	}
	if r.kinds["ServiceMonitor"] {
		require.Subset(t, r.service.Labels, r.scrape.Spec.Selector.MatchLabels)
		require.Equal(t, r.service.Spec.Ports[0].Name, r.scrape.Spec.Endpoints[0].Port)
		require.Contains(t, read(t, "deploy/prometheus/prometheus.yml"), "job_name: "+*r.scrape.Spec.Endpoints[0].RelabelConfigs[0].Replacement)
	}
	if r.kinds["Ingress"] {
		backend := r.ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
		require.Equal(t, r.service.Name, backend.Name)
		require.Equal(t, r.service.Spec.Ports[0].Name, backend.Port.Name)
	}
	require.Equal(t, r.account.Name, pod.Spec.ServiceAccountName)
	require.False(t, *pod.Spec.AutomountServiceAccountToken)

	// Ports.
	require.Equal(t, container.Ports[0].Name, r.service.Spec.Ports[0].TargetPort.StrVal)
	probes := []*core.Probe{container.LivenessProbe, container.ReadinessProbe}
	if probes[0].HTTPGet != nil {
		require.Equal(t, "/-/healthy", probes[0].HTTPGet.Path)
		require.Equal(t, "/-/ready", probes[1].HTTPGet.Path)
		for _, p := range probes {
			require.Equal(t, container.Ports[0].Name, p.HTTPGet.Port.StrVal)
		}
	} else {
		for _, p := range probes {
			programTakes(t, p.Exec.Command[1:])
		}
	}

	r.checkConfig(t)
	programTakes(t, container.Args)

	// Hardened.
	require.True(t, *pod.Spec.SecurityContext.RunAsNonRoot)
	require.EqualValues(t, 65532, *pod.Spec.SecurityContext.RunAsUser)
	require.Equal(t, core.SeccompProfileTypeRuntimeDefault, pod.Spec.SecurityContext.SeccompProfile.Type)
	require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
	require.False(t, *container.SecurityContext.AllowPrivilegeEscalation)
	require.Equal(t, []core.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop)
	require.False(t, container.Resources.Limits.Memory().IsZero())
	require.False(t, container.Resources.Requests.Memory().IsZero())
	for _, o := range []any{r.config, r.deployment} {
		b, err := json.Marshal(o)
		require.NoError(t, err)
		require.NotContains(t, string(b), "an-admin-key-in-the-values")
	}
}

// checkConfig has the program check monitor.yaml, and looks for each file that it names in what is mounted.
func (r *rendered) checkConfig(t *testing.T) {
	t.Helper()
	text := r.config.Data["monitor.yaml"]
	mounted := map[string]bool{} // files, and folders that can be written
	for _, m := range r.container().VolumeMounts {
		i := slices.IndexFunc(r.deployment.Spec.Template.Spec.Volumes, func(v core.Volume) bool { return v.Name == m.Name })
		require.NotEqual(t, -1, i, "volume %s", m.Name)
		switch v := r.deployment.Spec.Template.Spec.Volumes[i]; {
		case v.ConfigMap != nil:
			require.Equal(t, r.config.Name, v.ConfigMap.Name)
			for name := range r.config.Data {
				mounted[m.MountPath+"/"+name] = true
			}
		case v.Projected != nil:
			require.EqualValues(t, 0o440, *v.Projected.DefaultMode, "read by the pod's group alone")
			for _, source := range v.Projected.Sources {
				if source.Secret.Name == r.secret.Name {
					require.Contains(t, r.secret.StringData, source.Secret.Items[0].Key)
				}
				file := m.MountPath + "/" + source.Secret.Items[0].Path
				require.False(t, mounted[file], "%s is there twice", file)
				mounted[file] = true
			}
		case v.Secret != nil:
			mounted[m.MountPath+"/web.yml"] = true // as the values say of the Secret
		case v.PersistentVolumeClaim != nil:
			if r.kinds["PersistentVolumeClaim"] {
				require.Equal(t, r.claim.Name, v.PersistentVolumeClaim.ClaimName)
			}
			mounted[m.MountPath] = true
		case v.EmptyDir != nil:
			mounted[m.MountPath] = true
		}
	}
	require.Len(t, r.deployment.Spec.Template.Spec.Volumes, len(r.container().VolumeMounts))
	require.True(t, mounted[r.container().Args[2]], "%s is mounted", r.container().Args[2])
	require.True(t, mounted["/tmp"])

	var c struct {
		Storage struct{ SQLite *struct{ Path string } }
		Web     struct {
			Listen     string
			ConfigFile string `json:"config_file"`
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &c))
	require.Equal(t, fmt.Sprintf(":%d", r.container().Ports[0].ContainerPort), c.Web.Listen)
	if c.Storage.SQLite != nil {
		require.True(t, mounted[filepath.Dir(c.Storage.SQLite.Path)], "%s can be written", c.Storage.SQLite.Path)
	}
	for _, field := range strings.Fields(text) {
		if file, ok := strings.CutPrefix(field, "file:"); ok {
			require.True(t, mounted[file], "%s is mounted", file)
		}
	}
	if c.Web.ConfigFile != "" {
		require.True(t, mounted[c.Web.ConfigFile], "%s is mounted", c.Web.ConfigFile)
		file := filepath.Join(t.TempDir(), "web.yml")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		text = strings.ReplaceAll(text, c.Web.ConfigFile, file)
	}
	require.NoError(t, checkConfig(text))
}

// programTakes checks that the program knows the command and its flags: with --help it says so and does nothing.
func programTakes(t *testing.T, args []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), monitor, append(slices.Clone(args), "--help")...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "monitor %v: %s", args, out)
}
