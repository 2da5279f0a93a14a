package team_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

func problems(ts team.Teams) []string {
	var out []string
	ts.Check(func(path, format string, args ...any) { out = append(out, path+": "+fmt.Sprintf(format, args...)) })
	return out
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		teams team.Teams
		want  []string
	}{
		{"none", nil, nil},
		{"good", team.Teams{
			{Name: "search", Workspaces: []string{"search"}, APIKeys: []string{"search-*", "ranker"}, Tags: []string{"team=search", "cost center=4*"}},
			{Name: "ops", Workspaces: []string{"search-*"}, APIKeys: []string{"search", "ops*"}, Tags: []string{"team=ops", "team=research"}},
		}, nil},
		{"overlap within a team is no harm", team.Teams{{Name: "a", APIKeys: []string{"x*", "xy"}}}, nil},
		{"names", team.Teams{{Workspaces: []string{"a"}}, {Name: "unmapped", Workspaces: []string{"b"}}, {Name: "a*", Workspaces: []string{"c"}}, {Name: "x", Workspaces: []string{"d"}}, {Name: "x", Workspaces: []string{"e"}}}, []string{
			`teams[0].name: must be set`, `teams[1].name: must not be "unmapped", which is what belongs to no team`,
			`teams[2].name: must not contain *, which filters by team end in`, `teams[4].name: is the name of teams[3] too`,
		}},
		{"nothing", team.Teams{{Name: "a"}}, []string{`teams[0]: claims nothing: it needs workspaces, api_keys or tags`}},
		{"values", team.Teams{{Name: "a", Workspaces: []string{""}, APIKeys: []string{"a*b", "**"}, Tags: []string{"team", "=x", "te*=x", "team="}}}, []string{
			`teams[0].api_keys[0]: "a*b" may have a * at its end only`, `teams[0].api_keys[1]: "**" may have a * at its end only`,
			`teams[0].workspaces[0]: must not be empty`,
			`teams[0].tags[0]: "team" must be a tag of workspaces and its value, such as team=search`,
			`teams[0].tags[1]: "=x" must be a tag of workspaces and its value, such as team=search`,
			`teams[0].tags[2]: "te*=x" may have a * at its end only`,
		}},
		{"the same", team.Teams{{Name: "a", Workspaces: []string{"w"}, Tags: []string{"t=1"}}, {Name: "b", Workspaces: []string{"v", "w"}, Tags: []string{"t=1"}}}, []string{
			`teams[1].workspaces[1]: "w" of team "b" overlaps with "w" of team "a" (teams[0].workspaces[0]): one thing belongs to one team`,
			`teams[1].tags[0]: "t=1" of team "b" overlaps with "t=1" of team "a" (teams[0].tags[0]): one thing belongs to one team`,
		}},
		{"a name within a pattern, in either order", team.Teams{{Name: "a", APIKeys: []string{"search-*"}}, {Name: "b", APIKeys: []string{"search-prod", "ops"}}, {Name: "c", APIKeys: []string{"op*", "search"}}}, []string{
			`teams[1].api_keys[0]: "search-prod" of team "b" overlaps with "search-*" of team "a" (teams[0].api_keys[0]): one thing belongs to one team`,
			`teams[2].api_keys[0]: "op*" of team "c" overlaps with "ops" of team "b" (teams[1].api_keys[1]): one thing belongs to one team`,
		}},
		{"a pattern within a pattern", team.Teams{{Name: "a", APIKeys: []string{"search-eu*"}}, {Name: "b", APIKeys: []string{"search-*"}}, {Name: "c", APIKeys: []string{"*"}}}, []string{
			`teams[1].api_keys[0]: "search-*" of team "b" overlaps with "search-eu*" of team "a" (teams[0].api_keys[0]): one thing belongs to one team`,
			`teams[2].api_keys[0]: "*" of team "c" overlaps with "search-eu*" of team "a" (teams[0].api_keys[0]): one thing belongs to one team`,
			`teams[2].api_keys[0]: "*" of team "c" overlaps with "search-*" of team "b" (teams[1].api_keys[0]): one thing belongs to one team`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, problems(tt.teams))
		})
	}
}

func TestMap(t *testing.T) {
	t.Parallel()
	ts := team.Teams{
		{Name: "search", APIKeys: []string{"search-*", "no-such-key"}, Workspaces: []string{"wrkspc_2"}, Tags: []string{"team=search"}},
		{Name: "ops", APIKeys: []string{"apikey_1", "apikey_9"}, Workspaces: []string{"prod*"}, Tags: []string{"env=prod", "env=test*"}},
		{Name: "eu", Workspaces: []string{"staging (222222)"}, Tags: []string{"region=eu"}},
	}
	require.Empty(t, problems(ts))
	m := ts.Map([]spend.Workspace{
		{ID: "wrkspc_1", Name: "production", Label: "production", Tags: map[string]string{"team": "search"}},
		{ID: "wrkspc_2", Name: "other", Label: "other", Tags: map[string]string{"env": "prod", "region": "eu"}}, // claimed by its id
		{ID: "wrkspc_3", Name: "tagged", Label: "tagged", Tags: map[string]string{"env": "testing", "region": "eu"}},
		{ID: "wrkspc_4", Name: "staging", Label: "staging"},
		{ID: "wrkspc_5", Name: "staging", Label: "staging (222222)"},
	}, []spend.APIKey{
		{ID: "apikey_1", Name: "search-prod", Label: "search-prod"},
		{ID: "apikey_2", Name: "search-eu", Label: "search-eu"},
		{ID: "apikey_3", Name: "none", Label: "none"},
	})
	for _, tt := range []struct{ workspace, key, want, why string }{
		{"wrkspc_1", "apikey_2", "search", "the key counts before the workspace"},
		{"wrkspc_1", "apikey_3", "ops", "else the workspace by name, before its tag"},
		{"wrkspc_2", "apikey_3", "search", "or by id"},
		{"wrkspc_3", "apikey_3", "ops", "or by tag, the first listed"},
		{"wrkspc_4", "apikey_3", "unmapped", "else nobody's"},
		{"wrkspc_5", "apikey_3", "eu", "a label means one of several of a name"},
		{"wrkspc_1", spend.NoKey, "ops", "use without a key is its workspace's"},
		{"wrkspc_1", "", "ops", "so is what no key can be told for"},
		{"wrkspc_4", spend.NoKey, "unmapped", ""},
		{"wrkspc_4", "apikey_1", "search", "of two teams the first listed has the key"},
		{"", "apikey_2", "search", ""},
		{"wrkspc_x", "apikey_9", "unmapped", "what the inventory does not have is nobody's"},
	} {
		require.Equal(t, tt.want, m.Of(tt.workspace, tt.key), "%s, %s: %s", tt.workspace, tt.key, tt.why)
	}
	var said []string
	for _, c := range m.Conflicts() {
		said = append(said, c.String())
	}
	require.Equal(t, []string{
		`API key "search-prod" is claimed by "search-*" of team "search" (teams[0].api_keys[0]), which is listed first and has it, and by "apikey_1" of team "ops" (teams[1].api_keys[0])`,
		`workspace "tagged" is claimed by "env=test*" of team "ops" (teams[1].tags[1]), which is listed first and has it, and by "region=eu" of team "eu" (teams[2].tags[0])`,
	}, said)
	var idle []string
	for _, e := range ts.Entries() {
		if !m.Matched(e.Path) {
			idle = append(idle, e.Path)
		}
	}
	require.Equal(t, []string{"teams[0].api_keys[1]", "teams[1].api_keys[1]"}, idle)
	require.Equal(t, []storage.TeamOf{
		{Kind: "api_key", ID: "apikey_1", Team: "search"}, {Kind: "api_key", ID: "apikey_2", Team: "search"},
		{Kind: "workspace", ID: "wrkspc_1", Team: "ops"}, {Kind: "workspace", ID: "wrkspc_2", Team: "search"},
		{Kind: "workspace", ID: "wrkspc_3", Team: "ops"}, {Kind: "workspace", ID: "wrkspc_5", Team: "eu"},
		{Kind: "rest", Team: "unmapped"},
	}, m.Stored())

	require.True(t, m.Equal(m))
	require.False(t, m.Equal(team.Teams{}.Map(nil, nil)))
	require.Empty(t, team.Teams{}.Map([]spend.Workspace{{ID: "w"}}, nil).Of("w", "k"), "without teams there is none")
	require.Empty(t, team.Teams{}.Map([]spend.Workspace{{ID: "w"}}, nil).Stored())
}
