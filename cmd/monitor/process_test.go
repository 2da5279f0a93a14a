package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
)

// TestMain runs the tests or, where the test binary is called by the name of one of the programs,
// that program.
func TestMain(m *testing.M) {
	testscript.Main(tests(func() int {
		flag.Parse()
		// Most tests wait for programs: more of them may run at a time than there are processors.
		if err := flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
		return pgtest.Run(m)
	}), map[string]func(){"monitor": program, "tethered": tethered})
}

type tests func() int

func (run tests) Run() int { return run() }

// What the tests ask of a process of theirs, by environment variable.
const (
	tetheredVariable = "MONITOR_TEST_TETHERED"  // ends when its standard input does, which ends with the tests
	fileSizeVariable = "MONITOR_TEST_FILE_SIZE" // its files cannot grow beyond, until SIGUSR1
)

// program is the program as a process of the tests: without a request budget.
func program() {
	if os.Getenv(tetheredVariable) != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(3)
		}()
	}
	if size := os.Getenv(fileSizeVariable); size != "" {
		limitFiles(size)
	}
	os.Exit(process(unlimited()))
}

// tethered runs another program, which ends with the tests however they end.
func tethered() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = cmd.Process.Kill()
	}()
	_ = cmd.Wait()
}

// limitFiles is a disk that is full: files cannot grow beyond the size. SIGUSR1 makes room.
func limitFiles(size string) {
	n, err := strconv.ParseUint(size, 10, 64)
	if err != nil {
		panic(err)
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		panic(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: before.Max}); err != nil {
		panic(err)
	}
	room := make(chan os.Signal, 1)
	signal.Notify(room, syscall.SIGUSR1)
	go func() {
		<-room
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			panic(err)
		}
	}()
}

// running is the program as a process of its own.
type running struct {
	*world
	cmd    *exec.Cmd
	log    *lockedBuffer // all it prints
	ended  chan struct{} // closed when it has ended
	tether io.Closer
}

// start starts the program on the world's configuration; it is killed when the test ends.
func (w *world) start(args ...string) *running { return w.startWith(nil, args...) }

// startWith starts the program as start does, as prepare changes it.
func (w *world) startWith(prepare func(*exec.Cmd), args ...string) *running {
	w.t.Helper()
	binary, err := os.Executable()
	require.NoError(w.t, err)
	r := &running{world: w, log: &lockedBuffer{}, ended: make(chan struct{})}
	r.cmd = exec.Command(binary)
	r.cmd.Args = append([]string{"monitor", "--config", w.config}, args...)
	r.cmd.Dir = w.dir
	r.cmd.Env = []string{tetheredVariable + "=1"}
	for _, name := range []string{"PATH", "TMPDIR", "TZ", "GOCOVERDIR", "GORACE"} {
		if value, ok := os.LookupEnv(name); ok {
			r.cmd.Env = append(r.cmd.Env, name+"="+value)
		}
	}
	for name, value := range w.environ {
		r.cmd.Env = append(r.cmd.Env, name+"="+value)
	}
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	r.tether, err = r.cmd.StdinPipe()
	require.NoError(w.t, err)
	if prepare != nil {
		prepare(r.cmd)
	}
	require.NoError(w.t, r.cmd.Start())
	go func() {
		_ = r.cmd.Wait() // the exit code is kept
		close(r.ended)
	}()
	w.t.Cleanup(r.kill)
	return r
}

// daemon starts the daemon and waits until it is ready.
func (w *world) daemon() *running {
	w.t.Helper()
	r := w.start("run")
	w.ready(r.log)
	return r
}

// kill ends the process as kill -9 does.
func (r *running) kill() {
	_ = r.cmd.Process.Kill() // it may have ended
	<-r.ended
}

// signal sends a signal.
func (r *running) signal(sig os.Signal) {
	r.t.Helper()
	require.NoError(r.t, r.cmd.Process.Signal(sig), r.log)
}

// stop ends the daemon as an operator does.
func (r *running) stop() {
	r.t.Helper()
	r.signal(syscall.SIGTERM)
	require.Zero(r.t, r.wait(), r.log)
}

// wait waits until the process has ended and returns its exit code.
func (r *running) wait() int {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(2 * time.Minute):
		require.Fail(r.t, "the process does not end", "%v\n%s", r.cmd.Args, r.log)
	}
	return r.cmd.ProcessState.ExitCode()
}

// says waits until the process has printed all the texts.
func (r *running) says(texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		r.eventually(func() bool { return strings.Contains(r.log.String(), text) }, r.log, fmt.Sprintf("it does not say %q", text))
	}
}
