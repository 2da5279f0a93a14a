package sim

import "fmt"

// generated makes a large organization: so many keys, twenty to a workspace, each of which uses all
// models every hour. The last key is made in the default workspace.
func (b *builder) generated(keys int) {
	b.organization = organization{ID: newUUID(b.seed, "organization"), Type: "organization"}
	for i := range max(keys/20, 2) {
		role := "developer"
		if i < 2 {
			role = "admin"
		}
		b.user(fmt.Sprintf("Person %04d", i+1), role, Domain, 700-i%600)
	}
	b.workspace("Default", 900, nil)
	for i := range max((keys+19)/20, 1) {
		b.workspace(fmt.Sprintf("team-%03d", i+1), 600-i%300, nil)
	}
	b.members = map[string][]*member{}
	b.overrides = map[string]map[string]int64{}
	b.rates = smallRates(b.seed)
	for i := range keys {
		w := b.workspaces[1+i/20]
		if i == keys-1 {
			w = b.defaultWorkspace()
		}
		k := b.apiKey(fmt.Sprintf("key-%04d", i+1), w, b.users[i%len(b.users)], 500-i%400)
		for j, m := range models {
			u := service(int64(3 + hash(b.seed, k.ID)%20))
			u.rate /= int64(1 + j%3)
			u.always = true
			b.stream(k, u, m.id, 900, -9999)
		}
	}
}
