package sim

import "time"

// Means of one request: uncached input, cache reads, 5 minute and 1 hour cache writes, output.
func chat(rate int64) use {
	return use{rate: rate * 1000, mean: [5]int64{1400, 5200, 650, 0, 420}, search: 20, shape: office}
}

func agent(rate int64) use {
	return use{rate: rate * 1000, mean: [5]int64{2600, 41000, 3900, 700, 1150}, search: 60, shape: office}
}

func pipeline(rate int64) use {
	return use{rate: rate * 1000, mean: [5]int64{7800, 0, 0, 0, 310}, shape: nightly}
}

func service(rate int64) use {
	return use{rate: rate * 1000, mean: [5]int64{900, 2100, 160, 40, 150}, shape: steady}
}

const (
	opus, sonnet, haiku = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"
	fable, oldHaiku     = "claude-fable-5-2", "claude-haiku-4-5-20251001"
	unpriced            = "claude-meadow-1-preview"
)

// Domain is that of the e-mail addresses of the hand-made organization.
const Domain = "acme-robotics.example"

// small is the hand-made organization: a plausible one with each odd case of the API once.
func (b *builder) small() {
	b.organization = organization{ID: newUUID(b.seed, "organization"), Type: "organization"}
	ada := b.user("Ada Marsh", "admin", Domain, 900)
	ben := b.user("Ben Ortiz", "admin", Domain, 700)
	b.user("Cleo Tanaka", "billing", Domain, 650)
	dev := b.user("Dev Patel", "developer", Domain, 500)
	eva := b.user("Eva Lind", "developer", Domain, 420)
	finn := b.user("Finn Okafor", "claude_code_user", Domain, 200)
	gita := b.user("Gita Rao", "claude_code_user", Domain, 150)
	b.user("Hugo Petit", "user", Domain, 90)
	iris := b.user("Iris Novak", "developer", "freelance.example", 60)
	b.user("Jon Berg", "user", Domain, 30)
	left := &user{ID: b.id("user", "Nils Holm")} // created keys, then left the organization

	standard := b.workspace("Default", 900, nil)
	production := b.workspace("production", 600, map[string]string{"env": "prod", "team": "platform"})
	staging := b.workspace("staging", 590, map[string]string{"env": "staging"})
	staging2 := b.workspace("staging", 200, map[string]string{"team": "search"})
	research := b.workspace("research", 400, nil)
	research.DataResidency.AllowedInferenceGeos = []string{"global", "us"}
	code := b.workspace("Claude Code", 300, nil)
	code.claudeCode = true
	hackathon := b.workspace("hackathon", 380, nil)
	hackathon.ArchivedAt = stampPtr(b.ago("hackathon is over", 70))
	b.members = map[string][]*member{}
	for _, m := range []struct {
		w    *workspace
		u    *user
		role string
	}{
		{production, dev, "workspace_admin"}, {production, eva, "workspace_developer"},
		{staging, dev, "workspace_developer"}, {staging2, iris, "workspace_developer"},
		{research, eva, "workspace_admin"}, {research, iris, "workspace_restricted_developer"},
		{code, finn, "workspace_user"}, {code, gita, "workspace_user"},
	} {
		b.members[m.w.ID] = append(b.members[m.w.ID], newMember(m.w.ID, m.u.ID, m.role))
	}
	b.smallInvites()
	b.rates = smallRates(b.seed)
	b.overrides = map[string]map[string]int64{production.ID: {b.rates[0].ID + "/requests_per_minute": 1000,
		b.rates[0].ID + "/input_tokens_per_minute_cache_aware": 500000}}

	// Production: live traffic of several shapes.
	web := b.apiKey("web-backend", production, dev, 580)
	b.stream(web, chat(240), sonnet, 900, -9999)
	b.stream(web, chat(30), opus, 900, -9999).speed = "fast"
	b.stream(web, service(40), haiku, 900, -9999)
	search := b.apiKey("search-ranker", production, eva, 500)
	b.stream(search, service(900), haiku, 900, -9999)
	long := service(15)
	long.mean, long.long = [5]int64{140000, 20000, 0, 0, 500}, true
	b.stream(search, long, haiku, 900, -9999) // above the step of 100k, which no report shows
	agents := b.apiKey("support-agent", production, dev, 320)
	agents.expires = b.born.AddDate(0, 0, 200)
	b.stream(agents, agent(55), opus, 900, -9999)
	wide := agent(3)
	wide.mean[uncached], wide.mean[cacheRead] = 90000, 260000
	b.stream(agents, wide, opus, 900, -9999).context = "200k-1M"
	us := b.apiKey("us-residency", production, ada, 260)
	b.stream(us, chat(35), sonnet, 900, -9999).geo = "us"
	b.stream(us, service(20), oldHaiku, 900, -9999)
	priority := b.apiKey("priority-api", production, ada, 240)
	b.stream(priority, chat(45), opus, 900, -9999).tier = "priority"
	b.stream(priority, chat(4), opus, 900, -9999).tier = "priority_on_demand"

	// Pipelines: batch, flex, and the models that raise questions.
	etl := b.apiKey("nightly-etl", production, nil, 480) // made by the system: no creator
	s := b.stream(etl, pipeline(420), sonnet, 900, -9999)
	s.tier, s.product = "batch", "message_batches_api"
	s = b.stream(etl, pipeline(60), oldHaiku, 900, -9999)
	s.tier, s.product = "batch", "message_batches_api"
	flex := b.apiKey("flex-trial", research, eva, 80)
	b.stream(flex, pipeline(2), sonnet, 900, -9999).tier = "flex"
	lab := b.apiKey("lab", research, left, 390) // its creator has left
	b.stream(lab, agent(9), fable, 14, -9999)   // a model seen for the first time two weeks ago
	b.stream(lab, chat(2), unpriced, 40, -9999)
	batchUS := b.stream(lab, pipeline(6), opus, 900, -9999)
	batchUS.tier, batchUS.geo, batchUS.product = "batch", "us", "message_batches_api"

	evals := b.apiKey("evals", research, eva, 300)
	b.stream(evals, pipeline(3), "claude-sonnet-4-6", 900, -9999)
	export := b.apiKey("billing-export", production, ben, 160)
	export.expires = b.born.AddDate(0, 0, 20)
	b.stream(export, service(3), haiku, 900, -9999)

	// Two keys of one name, in two workspaces of one name.
	one, two := b.apiKey("ci", staging, dev, 400), b.apiKey("ci", staging2, iris, 190)
	b.stream(one, service(12), haiku, 900, -9999)
	b.stream(two, service(5), haiku, 900, -9999)
	b.stream(two, chat(3), sonnet, 900, -9999)
	expiring := b.apiKey("contractor", staging2, iris, 55)
	expiring.expires = b.born.AddDate(0, 0, 6).Add(10 * time.Hour)
	b.stream(expiring, chat(6), sonnet, 900, -9999)

	// Keys of people and services, with and without a workspace, and in the default one.
	personal := b.apiKey("ben-laptop", nil, ben, 150)
	personal.principal = ben
	personal.expires = b.born.AddDate(0, 0, 45)
	b.stream(personal, chat(8), sonnet, 900, 3) // since then in another workspace, see below
	robot := b.apiKey("deploy-bot", standard, nil, 140)
	robot.service = b.id("svac", "deploy-bot")
	robot.createdBy = &creatorRef{ID: robot.service, Type: "service_account"}
	b.stream(robot, agent(4), sonnet, 900, -9999)
	first := b.apiKey("first-key", standard, left, 880)
	b.stream(first, chat(5), oldHaiku, 900, -9999)
	team := b.apiKey("claude-code-ci", code, gita, 120)
	b.stream(team, agent(14), sonnet, 900, -9999).product = "claude_code"

	// Keys for the audit: idle, never used, asleep and awake again, and out of service.
	b.stream(b.apiKey("old-report", staging, dev, 450), service(10), haiku, 900, 105)
	b.apiKey("reserve", production, ada, 210)
	b.apiKey("fresh", production, eva, 2)
	woken := b.apiKey("legacy-sync", staging, left, 520)
	b.stream(woken, service(8), haiku, 900, 98)
	b.stream(woken, service(9), haiku, 2, -9999)
	sleeper := b.apiKey("quarterly-close", production, ben, 350)
	b.stream(sleeper, service(8), haiku, 900, 90)
	b.stream(sleeper, service(30), sonnet, -12, -9999) // wakes twelve days after New
	inactive := b.apiKey("paused", staging, eva, 330)
	b.stream(inactive, service(6), haiku, 900, 100)
	inactive.status = "inactive"
	archived := b.apiKey("hackathon-demo", hackathon, nil, 370)
	b.stream(archived, chat(20), sonnet, 900, 70)
	archived.status = "archived"
	expired := b.apiKey("trial-2025", standard, ben, 200)
	expired.expires = b.born.AddDate(0, 0, -31)
	b.stream(expired, chat(4), sonnet, 900, -9999)

	b.smallWithoutKeys(standard, production, research, code, web, agents, []*user{ben, eva, finn, gita})
	b.stream(personal, chat(8), sonnet, 3, -9999).workspace = production.ID // a key of the organization that moves
}

// smallWithoutKeys adds use without a key (Console, OAuth, federation), and what is only on the bill.
func (b *builder) smallWithoutKeys(standard, production, research, code *workspace, web, agents *apiKey,
	people []*user,
) {
	for i, u := range people[:2] {
		s := b.keyless(standard, chat(int64(3+i)), sonnet)
		s.product, s.actor = "claude_console", userActor(u)
	}
	for i, u := range people[1:] {
		for j, model := range []string{sonnet, opus}[:1+i%2] {
			s := b.keyless(code, agent(int64(9-2*i-3*j)), model)
			s.product, s.account, s.actor = "claude_code", u.ID, userActor(u)
		}
	}
	robot := b.id("svac", "deploy-bot")
	s := b.keyless(production, service(70), haiku)
	s.service, s.actor = robot, &actor{Type: "service_account_actor", ServiceAccountID: robot}
	s = b.keyless(research, chat(2), sonnet)
	s.actor = &actor{Type: "federated_actor", Subject: "repo:acme-robotics/lab:ref:refs/heads/main",
		Provider: &provider{Type: "oidc", Issuer: "https://token.ci.example"}}
	s = b.keyless(research, agent(5), opus)
	b.managed(s)

	s = b.uncounted(production, codeStream, 2000)
	s.key, s.actor = web.ID, web.actor()
	s = b.uncounted(production, codeStream, 900)
	s.key, s.actor = agents.ID, agents.actor()
	s = b.uncounted(research, sessionStream, 1500)
	b.managed(s)
}

// managed marks use by a session of Claude Managed Agents.
func (b *builder) managed(s *stream) {
	s.product = "managed_agents_api"
	s.agent, s.session = b.id("agent", "lab"), b.id("sesn", "lab")
	s.deployment, s.environment = b.id("depl", "lab"), b.id("env", "lab")
}

func (b *builder) smallInvites() {
	for _, i := range []struct {
		name, domain, role string
		days               int
		accepted           bool
	}{
		{"jon.berg", Domain, "user", 33, true}, {"kim.sato", Domain, "developer", 16, false},
		{"lea.roy", "partner.example", "user", 3, false}, {"max.ito", Domain, "billing", 50, false},
	} {
		at := b.ago("invite/"+i.name, i.days)
		v := newInvite(b.id("invite", i.name), i.name+"@"+i.domain, i.role, at)
		if i.accepted {
			v.AcceptedAt = stampPtr(at.Add(70 * time.Hour))
		}
		b.invites = append(b.invites, v)
	}
}
