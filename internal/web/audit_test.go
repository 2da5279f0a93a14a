package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/web"
)

func TestKeysPage(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	status, body, _ := ask(t, h, http.MethodGet, "/keys?organization=acme")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "monitor admin keys", "the command that mends it")
	for target, want := range map[string]string{
		"/keys?text=PROD&organization=acme":    "1 key<",
		"/keys?text=aaa...1&organization=acme": "1 key<",
		"/keys?owner=ada@acme.example":         "2 keys<",
		"/keys?workspace=staging&owner=nobody": "No key passes the filter<",
		"/keys?organization=acme&page=7":       "There are no further keys",
		"/keys?organization=acme&sort=-key":    `aria-sort="descending"><a href="/keys?organization=acme&amp;sort=key#keys">Key`,
	} {
		status, body, _ = ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusOK, status, target)
		require.Contains(t, body, want, target)
	}
	_, ascending, _ := ask(t, h, http.MethodGet, "/keys?organization=acme&sort=key")
	require.Less(t, strings.Index(ascending, ">idle<"), strings.Index(ascending, ">prod<"))
	for target, want := range map[string]string{"/keys?sort=size": "is not one of key, workspace, owner", "/keys?page=x": "is not a number from 1 on"} {
		status, body, _ = ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusBadRequest, status, target)
		require.Contains(t, body, want, target)
	}

	_, body, _ = ask(t, h, http.MethodGet, "/keys?severity=critical&check=&workspace=")
	require.Contains(t, body, "creator_left")
	require.NotContains(t, body, "never expires")
	require.Contains(t, body, "3 other keys are not shown.")
	_, body, _ = ask(t, h, http.MethodGet, "/keys?organization=beta")
	require.Contains(t, body, "Keys and access were not audited yet")
	status, body, _ = ask(t, h, http.MethodGet, "/keys?severity=bad")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "severity must be one of")
	_, body, _ = ask(t, web.New(options(reporttest.Open(t))), http.MethodGet, "/keys")
	require.Contains(t, body, "None is known yet")
}

func TestAuditFilters(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	for target, want := range map[string][]string{
		"":                                   {"creator_left", "foreign_domain", "no_expiry"},
		"?severity=warning":                  {"creator_left", "foreign_domain"},
		"?check=no_expiry":                   {"no_expiry"},
		"?check=no_expiry&check=expiring":    {"no_expiry"},
		"?workspace=staging&severity=info":   {"creator_left", "no_expiry"},
		"?organization=beta":                 {},
		"?check=no_expiry&severity=critical": {},
		"?owner=user_01Bob":                  {"creator_left"},
		"?text=Is+Admin":                     {"foreign_domain"},
	} {
		status, body, _ := ask(t, h, http.MethodGet, "/api/v1/audit"+target)
		require.Equal(t, http.StatusOK, status, target)
		var answer struct {
			Data  []struct{ Check string }
			Total map[string]int
		}
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		got := []string{}
		for _, f := range answer.Data {
			got = append(got, f.Check)
		}
		require.Equal(t, want, got, target)
		require.Equal(t, len(want), answer.Total["findings"], target)
	}
}
