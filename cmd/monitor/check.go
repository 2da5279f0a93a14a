package main

import (
	"fmt"

	"github.com/anthropic-monitor/monitor/internal/alerts"
)

type checkCmd struct{}

// Run reads the configuration and says that it is fine, and what in it may surprise; problems are the error of reading it.
func (checkCmd) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	alerts.Notes(config.Rules, func(path, format string, args ...any) {
		fmt.Fprintf(a.stdout, "note: rules%s: %s\n", path, fmt.Sprintf(format, args...))
	})
	_, err = fmt.Fprintf(a.stdout, "%s: ok\n", config.source())
	return err
}
