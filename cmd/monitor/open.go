package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/postgres"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

// openStore opens the database that the configuration names.
func openStore(ctx context.Context, a *app, config *Config) (storage.Store, error) {
	log := a.log.With("component", "storage")
	if config.Storage.Postgres != nil {
		url, err := config.Storage.Postgres.URL.Value(ctx, false)
		if err != nil {
			return nil, usageError{fmt.Errorf("storage.postgres.url: %w", err)}
		}
		return postgres.Open(ctx, url, log)
	}
	return sqlite.Open(ctx, config.Storage.SQLite.Path, log)
}

// open reads the configuration and opens its database; the caller closes it.
func open(a *app) (*Config, storage.Store, error) {
	config, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	store, err := openStore(a.ctx, a, config)
	return config, store, err
}

// withStore runs f with the configuration and its store.
func withStore(a *app, f func(*Config, storage.Store) error) error {
	config, store, err := open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	return f(config, store)
}

// openStoreEventually keeps trying while the database is away: the daemon outlives its database.
// What a retry cannot help (a newer schema, a file that is no database) is returned at once.
func openStoreEventually(ctx context.Context, a *app, config *Config, waiting func(reason string)) (storage.Store, error) {
	return backoff.Retry(ctx, func() (storage.Store, error) {
		store, err := openStore(ctx, a, config)
		if err != nil && !errors.Is(err, storage.ErrUnavailable) {
			return nil, backoff.Permanent(err)
		}
		if err != nil {
			waiting(err.Error())
			a.log.Warn("database not reachable, trying again", "err", err)
		}
		return store, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: time.Second, Multiplier: 2, MaxInterval: 15 * time.Second,
	}), backoff.WithMaxElapsedTime(0))
}
