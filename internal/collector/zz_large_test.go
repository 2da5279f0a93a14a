package collector_test

import (
	"os"
	"testing"
	"time"
	"fmt"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

func TestZZLarge(t *testing.T) {
	bubble(t, sim.Options{Seed: 50, Scale: 150}, func(w *world) {
		w.config.Backfill = 8 * day
		ticks := 0
		w.after = func(now time.Time) { ticks++ }
		t0 := time.Now()
		stop := w.begin()
		time.Sleep(40 * time.Minute)
		stop()
		fmt.Println("ticks", ticks, time.Since(t0), "requests", w.client.Requests())
		os.WriteFile("/tmp/large.log", []byte(w.logs.String()), 0o644)
		w.requireUsage(history(), 3600, olderDims)
		w.requireHourBill(history())
	})
}
