// Package dashboards makes the Grafana dashboards that are committed in grafana/dashboards. Nothing of
// it is in the monitor: its test writes the files (-update) and fails where they differ.
//
// A dashboard is a function that lists rows of panels (spend.go, usage.go, keys.go, budgets.go,
// health.go from Prometheus, explorer.go from PostgreSQL). What all have in common stands once in
// kit.go (dashboards, variables, links) and panel.go (kinds of panels). To add a panel, add it to a row;
// to add a dashboard, add it to [All]. Its queries are run by a test of cmd/monitor.
package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// All returns the dashboards by the name of their file, without its ending.
func All() map[string]*Dashboard {
	return map[string]*Dashboard{
		"spend-overview":       spendOverview(),
		"usage-and-cache":      usageAndCache(),
		"keys-and-access":      keysAndAccess(),
		"budgets-and-forecast": budgetsAndForecast(),
		"monitor-health":       monitorHealth(),
		"spend-explorer":       spendExplorer(),
	}
}

// JSON is the dashboard as Grafana imports it.
func (d *Dashboard) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // queries compare
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", d.UID, err)
	}
	return b.Bytes(), nil
}
