// Package alerts judges rules over what is stored and tells people.
//
// One evaluation of an organization ([Engine.Evaluate]) is a straight line:
//
//	rules         each says what it finds (rule.go, rule_<block>.go), reading through one cache (data.go)
//	step          each alert's next state, and whether there is something to tell (step.go)
//	compose       what is to be told, as one notification for each notifier and event (compose.go)
//	save          states, history, marks and notifications in one transaction of the owner
//	deliver       notifications that are due, to all notifiers at the same time (deliver.go)
//
// An alert is a finding over time:
//
//	            found                 found for `for`
//	inactive ───────────▶ pending ───────────────────▶ firing ◀───────────┐
//	   ▲                     │                          │   │    found    │
//	   │      not found      │              not found   │   │ no data     │
//	   └─────────────────────┘         for keep_firing  │   ▼             │
//	                                                    │ stale ──────────┘
//	                          resolved ◀────────────────┴───┘ not found
//
// A rule that fails, or that has no data to judge by, changes nothing but that a firing alert
// becomes stale: only a look at data resolves an alert. People are told of firing (and again each
// `repeat`), and those who were told are told of the resolve. All of it is in the store, so that a
// restart at any moment is of no consequence.
//
// A new kind of rule is a file rule_<block>.go with its configuration and its judge, and a line in
// [RuleConfig] and its blocks.
package alerts
