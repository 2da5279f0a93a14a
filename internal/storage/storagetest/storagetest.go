// Package storagetest proves that a backend keeps the promises of package storage: [Run] is the
// suite that every backend passes, one file per noun, and [Broken] is a store that fails on demand.
//
// A test of a backend is ten lines that call Run with a function that makes a fresh store. Where
// that store is an [Inspector] too, the suite also checks what only shows from outside the
// interface: the SQL views, and what a second process sees.
package storagetest

import (
	"context"
	"slices"
	"testing"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Inspector is what a store under test has beside the interface of the product.
type Inspector interface {
	// Query runs a query and returns its rows. Whole numbers come as int64, text as string; the
	// suite casts other types in its SQL.
	Query(ctx context.Context, sql string) ([][]any, error)
	// Reopen opens the same database once more, as another process would.
	Reopen(ctx context.Context) (storage.Store, error)
}

// test is a part of the suite, on a fresh store.
type test struct {
	name string
	run  func(e *env)
}

// Run runs the suite. Open makes a store on a fresh database and cleans up after the test.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	t.Parallel()
	groups := []struct {
		name  string
		tests []test
	}{
		{"about", aboutTests},
		{"organizations", organizationTests},
		{"usage", usageTests},
		{"requests counted", requestCountTests},
		{"ledger", ledgerTests},
		{"costs", costTests},
		{"bill", billTests},
		{"estimates", estimateTests},
		{"queries", queryTests},
		{"sums", sumTests},
		{"counters", counterTests},
		{"prune", pruneTests},
		{"keys", keyTests},
		{"inventory", inventoryTests},
		{"audit", auditTests},
		{"runs", runTests},
		{"requests", requestTests},
		{"admin log", adminLogTests},
		{"claude code", claudeCodeTests},
		{"alerts", alertTests},
		{"silences", silenceTests},
		{"owner", ownerTests},
		{"reconcile", reconcileTests},
		{"views", viewTests},
		{"model", modelTests},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range slices.Clone(g.tests) {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(start(t, open(t)))
				})
			}
		})
	}
}
