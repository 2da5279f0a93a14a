package adminapi

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Post and Outside ask the SDK for what the transport must refuse.
func (c *Client) Post(ctx context.Context, path string) error {
	return c.sdk.Execute(ctx, http.MethodPost, path, map[string]string{"name": "x"}, nil)
}

func (c *Client) Outside(ctx context.Context, path string) error {
	return c.sdk.Execute(ctx, http.MethodGet, path, nil, nil)
}

// DecodeUsage decodes one page of the usage report, grouped as Usage groups it.
func DecodeUsage(body []byte, w spend.Window, g spend.Grain) ([]spend.Usage, error) {
	return DecodeUsageFrom(bytes.NewReader(body), w, g)
}

// DecodeUsageFrom does so from a reader.
func DecodeUsageFrom(body io.Reader, w spend.Window, g spend.Grain) ([]spend.Usage, error) {
	by := grouping{by: []string{byWorkspace, byKey, "model", "service_tier", "context_window", "inference_geo", bySpeed}, nullWorkspace: "default"}
	return decode(body, report[spend.Usage]{window: w, grain: g, place: placeUsage, merge: mergeUsage, element: usageElement(by)})
}

// DecodeCosts decodes one page of the cost report.
func DecodeCosts(body []byte, w spend.Window) ([]spend.Cost, error) {
	by := grouping{by: []string{byWorkspace, "description"}, nullWorkspace: "default"}
	return decode(bytes.NewReader(body), report[spend.Cost]{window: w, grain: spend.Day, place: placeCost, merge: mergeCost, element: costElement(by)})
}

// DecodeAnalyticsUsage decodes one page of analytics/usage.
func DecodeAnalyticsUsage(body []byte, w spend.Window) ([]spend.Usage, error) {
	by := grouping{by: []string{byWorkspace, byKey, "model", "service_tier", "product"}}
	return decode(bytes.NewReader(body), report[spend.Usage]{window: w, grain: spend.Hour, place: placeUsage, merge: mergeUsage, element: analyticsUsageElement(by)})
}

// DecodeAnalyticsCosts decodes one page of analytics/cost.
func DecodeAnalyticsCosts(body []byte, w spend.Window) ([]spend.Cost, error) {
	by := grouping{by: []string{byWorkspace, byKey, "model", "service_tier", "product", "cost_type", "token_type"}}
	return decode(bytes.NewReader(body), report[spend.Cost]{window: w, grain: spend.Hour, place: placeCost, merge: mergeCost, element: analyticsCostElement(by)})
}

// DecodeClaudeCode decodes one page of the Claude Code report.
func DecodeClaudeCode(body []byte, w spend.Window) ([]spend.ClaudeCode, error) {
	return decode(bytes.NewReader(body), report[spend.ClaudeCode]{window: w, grain: spend.Day, element: claudeCodeElement})
}

func decode[T any](body io.Reader, r report[T]) ([]T, error) {
	g := newGathering(r)
	w := newWalker(body)
	if _, err := decodePage(w, func() error { return r.element(w, g) }); err != nil {
		return nil, err
	}
	return g.rows, nil
}

// Send asks the writer's SDK for a request that its methods do not make.
func (w *Writer) Send(ctx context.Context, method, path string) error {
	return w.api.sdk.Execute(ctx, method, path, nil, nil)
}
