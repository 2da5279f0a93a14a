package report

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTextWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "abc": 3, "é": 1, "e\u0301": 1, "検索": 4, "한국어": 6, "ｆｕ": 4, "🚀": 2, "…": 1, "█▏": 2, "─": 1, "→": 1, "(unattributed)": 14, "Ωж": 2, "✅": 2,
	} {
		require.Equal(t, want, textWidth(text), text)
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text          string
		width         int
		cut, squeezed string
	}{
		{"claude-haiku-5-5", 16, "claude-haiku-5-5", "claude-haiku-5-5"},
		{"claude-haiku-5-5", 10, "claude-ha…", "claud…-5-5"},
		{"staging (9f2k1z)", 9, "staging …", "stag…k1z)"},
		{"検索チーム", 7, "検索チ…", "検索…ム"},
		{"検索チーム", 8, "検索チ…", "検索…ム"},
		{"abc", 1, "…", "…"},
		{"e\u0301\u0301abc", 3, "e\u0301\u0301a…", "e\u0301\u0301…c"},
	} {
		require.Equal(t, tt.cut, cut(tt.text, tt.width), "%s in %d", tt.text, tt.width)
		require.Equal(t, tt.squeezed, squeeze(tt.text, tt.width), "%s in %d", tt.text, tt.width)
	}
	rapid.Check(t, func(t *rapid.T) {
		s, width := rapid.String().Draw(t, "text"), rapid.IntRange(1, 30).Draw(t, "width")
		s = clean(s)
		require.LessOrEqual(t, textWidth(cut(s, width)), width)
		require.LessOrEqual(t, textWidth(squeeze(s, width)), width)
	})
}
