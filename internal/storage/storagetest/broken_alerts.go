package storagetest

import (
	"context"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Alerts fails on demand.
func (b *Broken) Alerts(ctx context.Context, organization string) ([]storage.AlertRecord, error) {
	if err := b.fails("Alerts"); err != nil {
		return nil, err
	}
	return b.Store.Alerts(ctx, organization)
}

// EvaluatedAt fails on demand.
func (b *Broken) EvaluatedAt(ctx context.Context, organization string) (time.Time, error) {
	if err := b.fails("EvaluatedAt"); err != nil {
		return time.Time{}, err
	}
	return b.Store.EvaluatedAt(ctx, organization)
}

// AlertHistory fails on demand.
func (b *Broken) AlertHistory(ctx context.Context, organization string, w spend.Window, limit int) ([]storage.AlertChange, error) {
	if err := b.fails("AlertHistory"); err != nil {
		return nil, err
	}
	return b.Store.AlertHistory(ctx, organization, w, limit)
}

// BudgetMarks fails on demand.
func (b *Broken) BudgetMarks(ctx context.Context, organization string) ([]storage.BudgetMark, error) {
	if err := b.fails("BudgetMarks"); err != nil {
		return nil, err
	}
	return b.Store.BudgetMarks(ctx, organization)
}

// Budgets fails on demand.
func (b *Broken) Budgets(ctx context.Context, organization string) ([]storage.Budget, error) {
	if err := b.fails("Budgets"); err != nil {
		return nil, err
	}
	return b.Store.Budgets(ctx, organization)
}

// RuleStates fails on demand.
func (b *Broken) RuleStates(ctx context.Context, organization string) ([]storage.RuleState, error) {
	if err := b.fails("RuleStates"); err != nil {
		return nil, err
	}
	return b.Store.RuleStates(ctx, organization)
}

// Outbox fails on demand.
func (b *Broken) Outbox(ctx context.Context, organization string) ([]storage.Outgoing, error) {
	if err := b.fails("Outbox"); err != nil {
		return nil, err
	}
	return b.Store.Outbox(ctx, organization)
}

// Deliveries fails on demand.
func (b *Broken) Deliveries(ctx context.Context, organization string, limit int) ([]storage.Delivery, error) {
	if err := b.fails("Deliveries"); err != nil {
		return nil, err
	}
	return b.Store.Deliveries(ctx, organization, limit)
}

// Receipts fails on demand.
func (b *Broken) Receipts(ctx context.Context, organization string) ([]storage.Receipt, error) {
	if err := b.fails("Receipts"); err != nil {
		return nil, err
	}
	return b.Store.Receipts(ctx, organization)
}

// Silences fails on demand.
func (b *Broken) Silences(ctx context.Context, after time.Time) ([]storage.Silence, error) {
	if err := b.fails("Silences"); err != nil {
		return nil, err
	}
	return b.Store.Silences(ctx, after)
}

// SaveSilence fails on demand.
func (b *Broken) SaveSilence(ctx context.Context, s storage.Silence) error {
	if err := b.fails("SaveSilence"); err != nil {
		return err
	}
	return b.Store.SaveSilence(ctx, s)
}

// EndSilence fails on demand.
func (b *Broken) EndSilence(ctx context.Context, id string, now time.Time) error {
	if err := b.fails("EndSilence"); err != nil {
		return err
	}
	return b.Store.EndSilence(ctx, id, now)
}

// SaveEvaluation fails on demand.
func (o brokenOwner) SaveEvaluation(ctx context.Context, e storage.Evaluation) error {
	if err := o.b.fails("SaveEvaluation"); err != nil {
		return err
	}
	return o.Owner.SaveEvaluation(ctx, e)
}

// Claim fails on demand.
func (o brokenOwner) Claim(ctx context.Context, seqs []int64, now, until time.Time) ([]int64, error) {
	if err := o.b.fails("Claim"); err != nil {
		return nil, err
	}
	return o.Owner.Claim(ctx, seqs, now, until)
}

// FinishDelivery fails on demand.
func (o brokenOwner) FinishDelivery(ctx context.Context, d storage.Delivery) error {
	if err := o.b.fails("FinishDelivery"); err != nil {
		return err
	}
	return o.Owner.FinishDelivery(ctx, d)
}
