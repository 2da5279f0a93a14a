// Monitor watches what organizations spend on Claude: it reads Anthropic's Admin API, stores what
// it learns and serves it as metrics, pages, JSON and SQL. This comment is the tour of the code:
// what happens on a tick, package by package, in reading order.
//
// # Aims
//
//   - The numbers are those of the bill, to the last digit, and say how sure they are until it comes.
//   - A restart, a crash, a missed tick and a month of downtime are all the same case.
//   - Everything can be tested without a network, in the time it takes to read the result.
//
// # The words
//
// Package spend holds the words of the domain: Usage, Cost, Money (an integer), Window (half-open,
// UTC), Dims (workspace, key, model, …) and the inventory. It imports none of ours. Each border
// translates to and from these words once: JSON in adminapi, SQL in storage/sqlite and
// storage/postgres, Prometheus in metrics, names and formats in report, HTML in web, messages in alerts.
//
// # A tick
//
// main parses the command line, run (main.go) chooses the command. `monitor run` (serve.go) opens
// the store and wires everything in one straight function. Each organization then has one
// goroutine, [collector.Collector.Run]; one more serves HTTP and only reads.
//
//  1. The collector becomes the organization's owner ([storage.Store.Own]). If another daemon is,
//     it waits and tries again. Whoever loses the lock cannot write any more.
//  2. It waits until a job is due by its schedule (collector/schedule.go) and works out what to read
//     (collector/plan.go): a pure function of the store's ledger, its watermarks and the time. Open
//     hours by the minute, closed ones by the hour, settled days now and then, gaps always.
//  3. adminapi asks for each of these windows, page by page, within the request budget, and returns
//     values of package spend. Nothing is handed on before the last page is in.
//  4. pricing puts an estimate beside each row of usage: tokens × price of that day.
//  5. The store replaces the window ([storage.Owner]): afterwards its rows are exactly those that
//     were read, in one transaction. Package storage decides which report and which grain rule an
//     hour or a day (ledger.go), what is held because it looks wrong (replace.go) and how a bill is
//     shared out to usage (bill.go); the backends carry that out in their own SQL ([storage.Tx]).
//  6. The running totals are brought up to date and the run is recorded. Then the function that the
//     collector was given is called: audit examines keys and access by a pure function of what is stored
//     and leaves its findings in the store. The rules are judged ([alerts.Engine.Evaluate]): what each
//     finds becomes the next state of its alerts (alerts/step.go, pure), states and messages are stored
//     in one transaction of the owner, and messages that are due go out (alerts/deliver.go). Then metrics
//     rebuilds its snapshot, so that a scrape costs nothing. This also happens by a schedule of its own.
//  7. Until the next tick the collector reads history that is missing, in small windows. Where nothing
//     is, it compares settled days with the reports' totals, with the other generation's reports and
//     the estimates with the bill (collector/reconcile.go), and scales the estimates of what is not
//     billed yet to what the last settled days were billed at (collector/calibrate.go). Days that are
//     over are summed up, so that questions about days need not add hours up (storage/sumdays.go).
//
// No decision in this asks the clock: `now` is a parameter. No state is kept in the process that
// the store does not have; what is kept are caches.
//
// # Reading
//
// package storage answers questions by time, dimension and filter (sums.go, segments.go): billed where the
// ledger says so, else estimated, and never both. report turns names into ids and back and writes
// tables, CSV, Markdown and JSON; `monitor report`, the JSON API and the pages of web all answer
// through it, so that they agree. metrics exposes the snapshot, and knows what it would have been at any
// hour of the past. export streams history, day by day, to the formats of other programs. Each can be
// read alone.
//
// What a period will have cost, and how long a prepaid balance lasts, are pure functions of package
// forecast; report reads the days that they need (history.go), and measures how full rate limits are
// (headroom.go), for pages, metrics and whoever else asks.
//
// team says whose the use of a workspace and key is, from the section teams of the configuration and
// the stored inventory. No fact has a team: report and metrics fold their answers by it, and the
// collector keeps the mapping in the store for the SQL views.
//
// # Telling
//
// A notification ([spend.Notification]) is one message to one place. What it says is written once, as
// plain text (alerts/message.go, digest.go); each notifier (alerts/notifier_*.go) puts it into its
// receiver's form, keeps to the receiver's limits and says by its error whether to try again. No
// error of theirs holds a secret. chart draws the pictures.
//
// # Changing
//
// `monitor admin` is the only part that writes to the API. Package admin reads what an organization
// looks like now, makes a plan of steps, asks for consent and carries the plan out: for each step an entry
// in the store's admin log, then the call, then its outcome. The client for that, [adminapi.Writer], is a
// type of its own, which is made in one place (admin.go); what collects cannot write.
//
// # Around it
//
// config reads YAML strictly and keeps secrets from being printed; what sections there are, their
// defaults and their checks are in this package. sim is a simulated organization that
// answers like the Admin API, written from its documentation: it is behind `monitor demo`,
// `monitor sim` and nearly every test. storage/storagetest is what a store must pass; pgtest starts a PostgreSQL
// for tests, golden compares with files. dashboards makes the Grafana dashboards in grafana/, which a test
// of this package runs against the real program.
//
// `monitor copy` moves a store from SQLite to PostgreSQL by their catalogs: sqlite keeps the file still
// ([storage.Dump]), postgres loads and compares it in one transaction (load.go).
//
// Who may import whom is the table in imports_test.go. Why things are as they are is in docs/adr.
package main
