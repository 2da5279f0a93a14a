package main

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// pendingFor is how long the alert is pending in the stage of that name.
const pendingFor = 15 * time.Second

// TestKilledWhileTelling has two daemons on one database, of which the one that works is killed with
// SIGKILL at each stage of an alert. The other tells what was not told, and nothing twice but what
// may have arrived: that comes again under the same id.
func TestKilledWhileTelling(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("five daemons are killed, and taken over from")
	}
	for _, stage := range []struct {
		name string
		wait time.Duration // for which the alert is pending
		kill func(*daemonPair)
		came int // requests, in the end
		took int // those of them that the receiver answered well
	}{
		{"pending", pendingFor, (*daemonPair).killPending, 1, 1},
		{"saved", 0, (*daemonPair).killSaved, 2, 1},
		{"sending", 0, (*daemonPair).killSending, 2, 1},
		{"sent", 0, (*daemonPair).killSent, 2, 2},
		{"marked", 0, (*daemonPair).killMarked, 1, 1},
	} {
		t.Run(stage.name, func(t *testing.T) {
			t.Parallel()
			p := newDaemonPair(t, stage.wait)
			stage.kill(p)
			p.eventually(func() bool { return p.leader() == 1 }, p.waiting.log, "the second daemon does not take over")
			p.timePasses()
			p.eventually(func() bool {
				p.tick()
				return p.receiver.took() >= stage.took
			}, p.waiting.log, "the message is lost")
			p.tick()
			p.waiting.stop()

			all := p.receiver.all()
			require.Len(t, all, stage.came, p.waiting.log)
			require.Equal(t, stage.took, p.receiver.took(), p.waiting.log)
			for _, m := range all {
				require.NotEmpty(t, m.id)
				require.Equal(t, "firing", m.Status)
				require.Len(t, m.Alerts, 1)
				require.Equal(t, all[0].id, m.id, "a message keeps its id")
				require.Equal(t, all[0].Alerts, m.Alerts, "and is about the same episode")
			}
			out, err := p.store.Outbox(t.Context(), p.org)
			require.NoError(t, err)
			require.Empty(t, out, "nothing is left to send")
			fired := 0
			p.query("select event from alert_change where event <> ''", func(func(...any)) { fired++ })
			require.Equal(t, 1, fired, "changes that were told of")
		})
	}
}

// killPending kills the daemon while the alert is pending: the time of that goes on.
func (p *daemonPair) killPending() {
	p.showUsage()
	before := p.alert(p.working)
	p.working.kill()
	require.Equal(p.t, spend.Pending, before.State)
	require.Empty(p.t, p.receiver.all(), "told too early")
	var after spend.Alert
	p.eventually(func() bool {
		p.tick()
		after = p.alert(p.waiting)
		return after.State != spend.Pending
	}, p.waiting.log, "it does not fire")
	require.Equal(p.t, spend.Firing, after.State)
	require.Equal(p.t, before.PendingAt, after.PendingAt)
	require.GreaterOrEqual(p.t, after.FiredAt.Sub(before.PendingAt), pendingFor)
}

// killSaved kills the daemon when the message is stored, and could not be sent.
func (p *daemonPair) killSaved() {
	p.receiver.answer(func() int { return http.StatusInternalServerError })
	p.showUsage()
	p.working.says("notification not delivered, it will be tried again")
	p.working.kill()
	p.receiver.answer(nil)
}

// killSending kills the daemon while it waits for the answer.
func (p *daemonPair) killSending() {
	killed := make(chan struct{})
	p.receiver.answer(func() int {
		p.working.kill()
		p.receiver.answer(nil)
		close(killed)
		return 0
	})
	p.showUsage()
	p.await(killed, "nothing is sent")
}

// await waits until the channel is closed.
func (p *daemonPair) await(done chan struct{}, otherwise string) {
	p.t.Helper()
	p.eventually(func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}, p.working.log, otherwise)
}

// killSent kills the daemon when it has the answer, and before that is stored.
func (p *daemonPair) killSent() {
	came, locked := make(chan struct{}), make(chan struct{})
	p.receiver.answer(func() int {
		p.receiver.answer(nil)
		close(came)
		<-locked
		return http.StatusOK
	})
	release := sync.OnceFunc(func() { close(locked) })
	defer release()
	p.showUsage()
	p.await(came, "nothing is sent")
	db, err := sql.Open("pgx", p.dbURL)
	require.NoError(p.t, err)
	defer db.Close()
	lock, err := db.BeginTx(p.t.Context(), nil)
	require.NoError(p.t, err)
	defer func() { _ = lock.Rollback() }()                                            // may be over
	_, err = lock.ExecContext(p.t.Context(), "lock table delivery in exclusive mode") // reads go on
	require.NoError(p.t, err)
	release()
	p.eventually(func() (blocked bool) {
		p.query(`select pid from pg_locks where not granted and relation = 'delivery'::regclass
			and database = (select oid from pg_database where datname = current_database())`, func(func(...any)) { blocked = true })
		return blocked
	}, p.working.log, "no delivery is noted")
	require.Equal(p.t, 1, p.receiver.took())
	p.working.kill()
	require.NoError(p.t, lock.Rollback())
}

// killMarked kills the daemon when it is stored that the message was sent.
func (p *daemonPair) killMarked() {
	p.showUsage()
	p.working.says("notification sent")
	p.working.kill()
}

// daemonPair is two daemons on one PostgreSQL database with a rule that fires once there is usage.
type daemonPair struct {
	*world           // of the daemon that waits
	working, waiting *running
	receiver         *hook
	store            storage.Store
	org              string
}

func newDaemonPair(t *testing.T, wait time.Duration) *daemonPair {
	t.Helper()
	p := &daemonPair{receiver: newHook(t)}
	more := fmt.Sprintf(`backfill: 1d
notifiers: [{name: hook, webhook: {url: %q, secret: "${HOOK_SECRET}"}}]
rules: [{name: spending, for: %s, notify: hook, threshold: {metric: cost_usd, window: 3h, above: 0.01}}]
`, p.receiver.url, wait)
	first := newWorld(t, "postgres", punctual(fullHour()), more)
	first.environ["HOOK_SECRET"] = "whsec" + "_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	for _, path := range usagePaths {
		first.org.Faults().Arm(sim.Rule{Fault: sim.Internal, Path: path})
	}
	p.working = first.daemon()
	first.eventually(func() bool { return first.leader() == 1 }, p.working.log, "the first daemon does not lead")
	p.world = first.beside(more)
	p.waiting = p.daemon()
	p.eventually(func() bool { return p.leader() == 0 }, p.waiting.log, "the second daemon does not say that it waits")
	p.store = p.open()
	orgs, err := p.store.Organizations(t.Context())
	require.NoError(t, err)
	require.Len(t, orgs, 1)
	p.org = orgs[0].ID
	return p
}

// usagePaths are the reports without which rules cannot tell.
var usagePaths = []string{"/usage_report/messages", "/analytics/usage"}

// showUsage lets the daemon read usage, and asks it to.
func (p *daemonPair) showUsage() {
	p.t.Helper()
	require.Empty(p.t, p.receiver.all())
	p.world.org.Faults().Disarm()
	_, err := p.store.Ask(p.t.Context(), storage.Request{Organization: p.org, Kind: storage.RequestCollect, AskedAt: time.Now().UTC()})
	require.NoError(p.t, err)
}

// tick has the daemon that is left collect and judge, as it does when it reads its configuration
// anew, and waits until it has judged.
func (p *daemonPair) tick() {
	p.t.Helper()
	evaluated := func() (at time.Time) {
		p.query("select at from evaluation", func(scan func(...any)) { scan(&at) })
		return at
	}
	last := evaluated()
	p.eventually(func() bool { return time.Since(last) >= time.Second }, p.waiting.log, "the clock stands still") // at is of whole seconds
	p.waiting.signal(syscall.SIGHUP)
	p.eventually(func() bool { return evaluated().After(last) }, p.waiting.log, "the second daemon does not judge")
}

// alert waits until there is one.
func (p *daemonPair) alert(r *running) (a spend.Alert) {
	p.t.Helper()
	p.eventually(func() bool {
		all, err := p.store.Alerts(p.t.Context(), p.org)
		require.NoError(p.t, err)
		if len(all) == 1 {
			a = all[0].Alert
		}
		return len(all) == 1
	}, r.log, "there is no alert")
	return a
}

// timePasses is as if an hour had: what failed is due again, and no other process can still be sending.
func (p *daemonPair) timePasses() {
	p.t.Helper()
	p.exec("update outbox set next_at = next_at - interval '1 hour', claimed_until = claimed_until - interval '1 hour'")
}

// hook is a receiver of webhooks.
type hook struct {
	url string

	mu       sync.Mutex
	messages []hookMessage
	ok       int
	status   func() int // of the answer, 0 for none; nil: 200
}

// hookMessage is what came.
type hookMessage struct {
	id     string
	Status string `json:"status"`
	Alerts []struct {
		Fingerprint string            `json:"fingerprint"`
		StartsAt    time.Time         `json:"startsAt"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"alerts"`
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := hookMessage{id: r.Header.Get("Webhook-Id")}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	h.messages = append(h.messages, m)
	status := h.status
	h.mu.Unlock()
	code := http.StatusOK
	if status != nil {
		code = status()
	}
	if code == 0 {
		panic(http.ErrAbortHandler)
	}
	if code == http.StatusOK {
		h.mu.Lock()
		h.ok++
		h.mu.Unlock()
	}
	w.WriteHeader(code)
}

// answer says how requests are answered from now on.
func (h *hook) answer(status func() int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// all are the messages that came, and took is how many were answered well.
func (h *hook) all() []hookMessage {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]hookMessage{}, h.messages...)
}

func (h *hook) took() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ok
}
