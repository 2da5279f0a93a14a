package adminapi

import (
	"context"
	"strconv"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/pagination"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/respjson"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// RateLimits lists the organization's rate limits, one by one.
func (c *Client) RateLimits(ctx context.Context) ([]spend.RateLimit, error) {
	groups, err := listByToken(ctx, c, "rate_limits",
		func(ctx context.Context, page param.Opt[string], opts ...option.RequestOption) (*pagination.PageCursor[anthropic.OrganizationRateLimit], error) {
			return c.sdk.Organization.RateLimits.List(ctx, anthropic.OrganizationRateLimitListParams{
				Limit: param.NewOpt[int64](perPage), Page: page,
			}, opts...)
		},
		func(l *anthropic.OrganizationRateLimit, v *fields) (string, []spend.RateLimit) {
			g := rateLimitGroup(v, l.Group.ID, l.Group.Type, l.Group.DisplayName, l.JSON.Group, l.JSON.ExtraFields)
			g.GroupID = orElse(g.GroupID, orElse(l.ID, g.name(l.Models)))
			v.need("limits", l.JSON.Limits)
			var rs []spend.RateLimit
			for i, x := range l.Limits {
				rs = append(rs, g.limit(v, i, l.Models, x.Type, x.Value, x.JSON.Type, x.JSON.Value))
			}
			return l.ID, rs
		})
	return flatten(groups), err
}

// WorkspaceRateLimits lists the limits that the workspace has of its own. For what is missing the
// organization's hold.
func (c *Client) WorkspaceRateLimits(ctx context.Context, workspaceID string) ([]spend.RateLimit, error) {
	groups, err := listByToken(ctx, c, "workspaces/rate_limits",
		func(ctx context.Context, page param.Opt[string], opts ...option.RequestOption) (*pagination.PageCursor[anthropic.WorkspaceRateLimit], error) {
			return c.sdk.Organization.Workspaces.RateLimits.List(ctx, workspaceID, anthropic.OrganizationWorkspaceRateLimitListParams{
				IncludeInherited: param.NewOpt(false), Limit: param.NewOpt[int64](perPage), Page: page,
			}, opts...)
		},
		func(l *anthropic.WorkspaceRateLimit, v *fields) (string, []spend.RateLimit) {
			g := rateLimitGroup(v, l.Group.ID, l.Group.Type, l.Group.DisplayName, l.JSON.Group, l.JSON.ExtraFields)
			g.GroupID, g.WorkspaceID = orElse(g.GroupID, orElse(l.RateLimitID, g.name(l.Models))), workspaceID
			v.need("limits", l.JSON.Limits)
			var rs []spend.RateLimit
			for i, x := range l.Limits {
				if x.Source.Type != "organization" {
					rs = append(rs, g.limit(v, i, l.Models, x.Type, x.Value, x.JSON.Type, x.JSON.Value))
				}
			}
			return l.RateLimitID, rs
		})
	return flatten(groups), err
}

// limitGroup is what the limits of one group have in common.
type limitGroup spend.RateLimit

// rateLimitGroup reads the group, which older bodies name by its type only.
func rateLimitGroup(v *fields, id, kind, name string, group respjson.Field, extra map[string]respjson.Field) limitGroup {
	if old, ok := extra["group_type"]; ok && kind == "" {
		kind = v.string("group_type", old)
	}
	if kind == "" {
		v.need("group", group)
		v.fail("group.type", "is missing")
	}
	return limitGroup{GroupID: id, GroupType: kind, Group: name}
}

// name stands for the id in older bodies, which have none.
func (g limitGroup) name(models []string) string {
	if len(models) == 0 {
		return g.GroupType
	}
	return g.GroupType + ":" + models[0]
}

func (g limitGroup) limit(v *fields, i int, models []string, limiter string, value int64, hasLimiter, hasValue respjson.Field) spend.RateLimit {
	at := "limits[" + strconv.Itoa(i) + "]."
	v.need(at+"type", hasLimiter)
	v.need(at+"value", hasValue)
	r := spend.RateLimit(g)
	r.Models, r.Limiter, r.Value = models, limiter, value
	return r
}

func flatten[T any](groups [][]T) []T {
	if groups == nil {
		return nil
	}
	all := []T{}
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// SpendLimits lists the spend limits. For most organizations of the Console this is not open yet:
// the error is then an [Error] that is Refused.
func (c *Client) SpendLimits(ctx context.Context) ([]spend.SpendLimit, error) {
	return listByToken(ctx, c, "spend_limits",
		func(ctx context.Context, page param.Opt[string], opts ...option.RequestOption) (*pagination.PageCursor[anthropic.BetaSpendLimit], error) {
			return c.sdk.SpendLimits.List(ctx, anthropic.BetaOrganizationSpendLimitListParams{
				Limit: param.NewOpt[int64](100), Page: page, // the most is not documented
			}, opts...)
		},
		func(l *anthropic.BetaSpendLimit, v *fields) (string, spend.SpendLimit) {
			v.need("id", l.JSON.ID)
			v.need("scope", l.JSON.Scope)
			s := spend.SpendLimit{
				ID: l.ID, Scope: l.Scope.Type, Period: string(l.Period), Enabled: l.IsEnabled,
				ScopeID: orElse(l.Scope.WorkspaceID, orElse(l.Scope.UserID,
					orElse(l.Scope.RBACGroupID, orElse(l.Scope.SeatTier, l.Scope.Service)))),
			}
			if l.JSON.Amount.Raw() == respjson.Null {
				s.Unlimited = true
				return l.ID, s
			}
			v.need("amount", l.JSON.Amount)
			if l.Currency != "USD" {
				v.fail("currency", "is "+strconv.Quote(l.Currency)+", only USD is understood")
			}
			amount, err := spend.ParseCents(l.Amount)
			if err != nil {
				v.fail("amount", err.Error())
			}
			s.Amount = amount
			return l.ID, s
		})
}
