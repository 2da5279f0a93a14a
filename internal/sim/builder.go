package sim

import (
	"fmt"
	"strings"
	"time"
)

// builder makes an organization: the inventory and its streams.
type builder struct {
	inventory
	streams []stream
	seed    uint64
	born    time.Time // the moment of New
	start   time.Time // when usage begins
	revise  bool
}

// id is an id as the API writes them: a prefix, "01" and 22 letters and digits.
func (b *builder) id(prefix, what string) string { return newID(b.seed, prefix, what) }

func newID(seed uint64, prefix, what string) string {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	h := hash(seed, prefix+"/"+what)
	text := []byte(prefix + "_01")
	for range 22 {
		h = mix(h)
		text = append(text, alphabet[h%uint64(len(alphabet))])
	}
	return string(text)
}

func newUUID(seed uint64, what string) string {
	h := hash(seed, what)
	l := mix(h)
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", h>>32, h>>16&0xffff, h&0xfff, l>>52, l&0xffffffffffff)
}

// ago is a moment before New; negative days are after it. The odd seconds make it look lived in.
func (b *builder) ago(what string, days int) time.Time {
	h := hash(b.seed, what)
	return b.born.AddDate(0, 0, -days).Add(-time.Duration(h%3000) * time.Second)
}

func (b *builder) workspace(name string, days int, tags map[string]string) *workspace {
	w := &workspace{
		ID: b.id("wrkspc", fmt.Sprint(name, len(b.workspaces))), CreatedAt: stamp(b.ago(name, days)),
		CompartmentID: newUUID(b.seed, "compartment/"+name), Name: name, Type: "workspace", Tags: tags,
		DisplayColor: fmt.Sprintf("#%06X", hash(b.seed, name)&0xffffff),
		DataResidency: residency{AllowedInferenceGeos: "unrestricted", DefaultInferenceGeo: "global",
			WorkspaceGeo: "us"},
	}
	if tags == nil {
		w.Tags = map[string]string{}
	}
	b.workspaces = append(b.workspaces, w)
	return w
}

func (b *builder) user(name, role, domain string, days int) *user {
	first, last, _ := strings.Cut(strings.ToLower(name), " ")
	u := &user{ID: b.id("user", name), AddedAt: stamp(b.ago(name, days)), Email: first + "." + last + "@" + domain,
		Name: name, Role: role, Type: "user"}
	b.users = append(b.users, u)
	return u
}

// apiKey adds an active workspace key; callers change what is different.
func (b *builder) apiKey(name string, w *workspace, creator *user, days int) *apiKey {
	what := fmt.Sprint("key/", name, len(b.keys))
	hint := newID(b.seed, "", what)
	k := &apiKey{
		ID: b.id("apikey", what), Name: name, created: b.ago(what, days), status: "active",
		hint: "sk-ant-api03-" + hint[3:6] + "..." + hint[len(hint)-4:], workspace: w,
	}
	if creator != nil {
		k.createdBy = &creatorRef{ID: creator.ID, Type: "user"}
	}
	b.keys = append(b.keys, k)
	return k
}

// stream adds the use of a key from some days ago to some days ago (negative: later); a key that
// expires stops by itself. It returns the stream for what is particular about it.
func (b *builder) stream(k *apiKey, u use, model string, fromDaysAgo, toDaysAgo int) *stream {
	s := b.keyless(k.workspaceOr(b.defaultWorkspace()), u, model)
	s.key, s.actor = k.ID, k.actor()
	s.from = max(s.from, hourOf(k.created)+1, hourOf(b.born.AddDate(0, 0, -fromDaysAgo)))
	s.to = hourOf(b.born.AddDate(0, 0, -toDaysAgo))
	if k.status != "active" {
		s.to = min(s.to, hourOf(b.born))
	}
	if !k.expires.IsZero() {
		s.to = min(s.to, hourOf(k.expires))
	}
	return s
}

// keyless adds use that no key authenticated.
func (b *builder) keyless(w *workspace, u use, model string) *stream {
	s := stream{use: u, from: hourOf(b.start), to: forever, revise: b.revise,
		id: hash(b.seed, fmt.Sprint("stream/", len(b.streams)))}
	s.workspace, s.model, s.tier, s.context, s.speed = w.ID, model, "standard", "0-200k", "standard"
	s.geo, s.product = "global", "messages_api"
	if !modelOf(model).geo {
		s.geo = "not_available"
	}
	if u.shape == nil {
		s.shape = office
	}
	b.streams = append(b.streams, s)
	return &b.streams[len(b.streams)-1]
}

// uncounted adds use that is only on the bill: code execution or session time.
func (b *builder) uncounted(w *workspace, kind int, rate int64) *stream {
	s := b.keyless(w, use{rate: rate, shape: office}, models[0].id)
	s.kind, s.model, s.tier, s.context, s.speed, s.geo, s.product = kind, "", "", "", "", "", ""
	return s
}

func (b *builder) defaultWorkspace() *workspace { return b.workspaces[0] }

func (b *builder) addSpikes(spikes []Spike) {
	for _, p := range spikes {
		for i := range b.streams {
			s := &b.streams[i]
			k := b.key(s.key)
			if k == nil || s.kind != tokenStream || k.ID != p.Key && k.Name != p.Key {
				continue
			}
			s.spikes = append(s.spikes, spike{span{hourOf(p.From), hourOf(p.To.Add(time.Hour - 1))}, int64(p.Factor)})
		}
	}
}

var office = &shape{
	day: [24]int64{60, 40, 30, 30, 40, 80, 180, 380, 680, 900, 980, 1000,
		860, 900, 980, 960, 880, 700, 480, 320, 240, 180, 120, 80},
	week: [7]int64{180, 960, 1000, 1000, 980, 860, 220},
}

var steady = &shape{
	day: [24]int64{700, 680, 660, 660, 680, 720, 780, 840, 900, 940, 980, 1000,
		980, 980, 1000, 980, 960, 940, 920, 900, 860, 820, 780, 740},
	week: [7]int64{840, 960, 1000, 1000, 980, 960, 860},
}

var nightly = &shape{
	day:  [24]int64{0, 600, 1000, 1000, 800, 300},
	week: [7]int64{1000, 1000, 1000, 1000, 1000, 1000, 1000},
}
