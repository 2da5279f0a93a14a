package main

import (
	"fmt"
)

type checkCmd struct{}

// Run reads the configuration and says that it is fine; problems are the error of reading it.
func (checkCmd) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s: ok\n", config.source())
	return err
}
