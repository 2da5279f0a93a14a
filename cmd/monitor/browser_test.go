package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	browserlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browserTimeout bounds all that a test does in a browser.
const browserTimeout = 10 * time.Minute

// openBrowser starts a Chromium of its own that knows no host but this machine. It ends with the test.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	dir := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Env("HOME="+dir),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
		chromedp.Flag("mute-audio", true),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	timed, stop := context.WithTimeout(context.Background(), browserTimeout)
	allocator, end := chromedp.NewExecAllocator(timed, options...)
	ctx, cancel := chromedp.NewContext(allocator)
	require.NoError(t, chromedp.Do(ctx), "Chromium does not start; scripts/test-deps installs what the tests need")
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // asks it to end, and waits until it has
			t.Logf("the browser did not end when asked to: %v", err)
		}
		cancel()
		end()
		stop()
	})
	return ctx
}

// tab is a window of the browser that looks at a daemon, and what it noticed.
type tab struct {
	t   *testing.T
	ctx context.Context
	*world

	mu       sync.Mutex
	problems []string
	hosts    map[string]bool
	asked    []string // URLs of documents, in order
	expected string   // what a problem may contain, because the test provokes it
}

// newTab opens a window with cookies and logins of its own.
func newTab(t *testing.T, browser context.Context, w *world) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	x := &tab{t: t, ctx: ctx, world: w, hosts: map[string]bool{}}
	require.NoError(t, chromedp.Do(ctx))
	require.NoError(t, chromedp.Listen(ctx, x.notice))
	return x
}

// notice is told of every event of the window.
func (x *tab) notice(event any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	problem := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); x.expected == "" || !strings.Contains(text, x.expected) {
			x.problems = append(x.problems, text)
		}
	}
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		problem("the console is written to: %s", e.Type)
	case *runtime.EventExceptionThrown:
		problem("exception: %s", e.ExceptionDetails.Text)
	case *browserlog.EventEntryAdded: // violations of the policy are among them
		problem("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" { // of the browser's own form fields
			x.hosts[u.Host] = true
		}
		if e.Type == network.ResourceTypeDocument {
			x.asked = append(x.asked, e.Request.URL)
		}
	}
}

// clean requires that nothing went wrong since the last call, and that only the daemon was asked.
func (x *tab) clean(where string) {
	x.t.Helper()
	eval[int](x, "1") // what happened before is noticed before this is answered
	x.mu.Lock()
	defer x.mu.Unlock()
	require.Empty(x.t, x.problems, where)
	require.Equal(x.t, map[string]bool{x.listen: true}, x.hosts, "%s: other hosts are asked", where)
	x.problems, x.hosts, x.asked = nil, map[string]bool{}, nil
}

// expects says what problem the next steps provoke.
func (x *tab) expects(problem string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expected = problem
}

// do runs steps.
func (x *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	x.t.Helper()
	require.NoError(x.t, chromedp.Do(x.ctx, steps...))
}

// load runs steps that lead to another document, waits until it has loaded and returns its status.
func (x *tab) load(steps ...chromedp.Action[chromedp.Void]) int64 {
	x.t.Helper()
	response, err := chromedp.RunResponse(x.ctx, steps...)
	require.NoError(x.t, err)
	return response.Status
}

// open opens a page of the daemon.
func (x *tab) open(path string) int64 {
	x.t.Helper()
	return x.load(chromedp.Navigate("http://" + x.login + x.listen + path))
}

// eval is what an expression is in the page.
func eval[T any](x *tab, expression string) T {
	x.t.Helper()
	v, err := chromedp.Run(x.ctx, chromedp.Evaluate[T](expression))
	require.NoError(x.t, err, expression)
	return v
}

// text is all the text of the page, also what is folded away.
func (x *tab) text() string {
	x.t.Helper()
	return strings.Join(strings.Fields(eval[string](x, "document.body.textContent")), " ")
}

// says requires that the page has the text somewhere.
func (x *tab) says(text, what string) {
	x.t.Helper()
	if !strings.Contains(x.text(), text) {
		require.Fail(x.t, "the page does not say it", "%s: %q is not on %s", what, text, x.path())
	}
}

// path is where the window is.
func (x *tab) path() string {
	x.t.Helper()
	return eval[string](x, "location.pathname + location.search + location.hash")
}

// look sets how wide the window is and which colours are wanted.
func (x *tab) look(width int64, scheme string) {
	x.t.Helper()
	x.do(chromedp.EmulateViewport(width, 900), set(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}))
}

// scripts switches scripts of the page on or off.
func (x *tab) scripts(on bool) {
	x.t.Helper()
	x.do(set(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}))
}

// zone sets where the viewer is.
func (x *tab) zone(name string) {
	x.t.Helper()
	x.do(set(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name}))
}

// set is a step that sets something of the window.
func set[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, command, params)
		return err
	})
}
