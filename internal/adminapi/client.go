// Package adminapi is Anthropic's Admin API in our words: it asks for reports and lists and
// returns them as values of package spend. It is the only package that knows the API's paths and
// JSON names, and the only one that imports the official SDK.
//
// Lists (keys, workspaces, members, limits, …) go through the SDK's types. The reports are decoded
// here: the SDK does not have the older ones, and holds a whole page in memory where a stream will
// do (report.go pages, walk.go decodes, one file per report says what is asked and what it means).
//
// A [Client] only reads. Its transport refuses every method but GET, every path outside
// /v1/organizations and every redirect. What changes an organization is a type of its own, [Writer]
// (admin.go), which the commands of an administrator use and nothing else does.
//
// Nulls end here: who asks knows what it grouped by, so a null workspace of the older reports
// becomes the default workspace and a null key becomes [spend.NoKey]. New fields and new values
// are carried through; an answer of another shape than documented is an error and gives no rows.
//
// A new report is a file with its parameters, the struct of its rows and the translation; a new
// list is a method in inventory.go.
package adminapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

const (
	defaultBaseURL   = "https://api.anthropic.com"
	defaultUserAgent = "anthropic-monitor (https://github.com/anthropic-monitor/monitor)"

	// The older reports are documented for this version; lists and analytics go with the SDK's.
	reportVersion = "2023-06-01"
)

// What one exchange may take. The retries of an exchange end after maxElapsed, whatever was left
// to try; a longer Retry-After than maxWait is left to the caller, who has other work meanwhile.
const (
	maxTries    = 4
	maxElapsed  = 2 * time.Minute
	maxWait     = 20 * time.Second
	listTimeout = time.Minute
	pageTimeout = 3 * time.Minute
	listLimit   = 64 << 20
	pageLimit   = 1 << 30
)

// ErrNoKey is wrapped by errors of requests that were not made because the credential could not be
// had. The cause is beside it.
var ErrNoKey = errors.New("admin key")

// Options are what a client needs. Key is required.
type Options struct {
	// BaseURL is where the API is; empty means https://api.anthropic.com.
	BaseURL string
	// Key returns the credential: an Admin API key, or an OAuth access token. It is called before
	// each request and should be quick; renew is true once after the API refused the last one.
	Key func(ctx context.Context, renew bool) (string, error)
	// HTTP sends the requests; nil means a client of our own. Its redirects are switched off.
	HTTP *http.Client
	// UserAgent says who asks; empty means the project's name.
	UserAgent string
	// Log gets a line per request at debug level; nil means none.
	Log *slog.Logger
	// Limiter bounds the request rate; nil means 60 a minute with a burst of 30 for paging.
	Limiter *rate.Limiter
}

// Client reads the Admin API. It is safe for concurrent use.
type Client struct {
	sdk      services
	key      func(ctx context.Context, renew bool) (string, error)
	log      *slog.Logger
	limiter  *rate.Limiter
	metrics  metrics
	requests atomic.Int64
	skew     atomic.Int64 // nanoseconds; 0 while not known
	// Unix time until which usage is asked for without speed, because its beta was refused.
	withoutSpeed atomic.Int64
}

// New returns a client. It makes no request.
func New(o Options) (*Client, error) { return newClient(o, readOnlyClient) }

// newClient is a client whose requests go through what guard makes of o.HTTP.
func newClient(o Options, guard func(*http.Client, *url.URL, *atomic.Int64) *http.Client) (*Client, error) {
	if o.Key == nil {
		return nil, errors.New("admin api: no source for the key")
	}
	if o.BaseURL == "" {
		o.BaseURL = defaultBaseURL
	}
	base, err := url.Parse(o.BaseURL)
	switch {
	case err != nil:
		return nil, errors.New("admin api: the base URL cannot be parsed")
	case base.Scheme != "https" && base.Scheme != "http", base.Host == "":
		return nil, errors.New("admin api: the base URL must begin with https:// and a host")
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		return nil, errors.New("admin api: the base URL must not hold a user, a query or a fragment")
	}
	base.Path = strings.TrimSuffix(base.Path, "/") + "/"
	if o.UserAgent == "" {
		o.UserAgent = defaultUserAgent
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Limiter == nil {
		o.Limiter = rate.NewLimiter(rate.Every(time.Second), 30)
	}
	c := &Client{
		key:     o.Key,
		log:     o.Log.With("component", "adminapi"),
		limiter: o.Limiter,
		metrics: newMetrics(),
	}
	c.sdk = newServices(
		option.WithoutEnvironmentDefaults(),
		option.WithBaseURL(base.String()),
		option.WithHTTPClient(guard(o.HTTP, base, &c.skew)),
		option.WithMaxRetries(0),
		option.WithHeader("User-Agent", o.UserAgent),
	)
	return c, nil
}

// services are the parts of the SDK that are used. The SDK's own Client is a field of nothing, since all
// that the fields of a type lead to stays in the program with all its methods: it grew by a sixth.
type services struct {
	Organization anthropic.OrganizationService
	SpendLimits  anthropic.BetaOrganizationSpendLimitService
	// Execute sends any request.
	Execute func(ctx context.Context, method, path string, params, res any, opts ...option.RequestOption) error
}

func newServices(opts ...option.RequestOption) services {
	c := anthropic.NewClient(opts...)
	return services{c.Organization, c.Beta.Organization.SpendLimits, c.Execute}
}

// Metrics are the client's own counters, for a Prometheus registry.
func (c *Client) Metrics() []prometheus.Collector {
	return []prometheus.Collector{c.metrics.requests, c.metrics.duration}
}

// Skew is how far this machine's clock is ahead of the API's, by the date of the newest answer,
// which is exact to a second; false before the first one.
func (c *Client) Skew() (time.Duration, bool) {
	skew := time.Duration(c.skew.Load())
	return skew, skew != 0
}

// Requests is how many requests were sent so far, retries included.
func (c *Client) Requests() int64 { return c.requests.Load() }

// call is what an exchange needs to know about its request.
type call struct {
	endpoint string // as errors, logs and metrics name it; holds no ids
	timeout  time.Duration
	limit    int64 // of the body, in bytes
}

func listCall(endpoint string) call { return call{endpoint, listTimeout, listLimit} }
func pageCall(endpoint string) call { return call{endpoint, pageTimeout, pageLimit} }

// exchange sends a request and reads its answer by way of do, and does both again when either
// fails in a way that may pass. do must start from nothing each time.
func (c *Client) exchange(ctx context.Context, k call, do func(context.Context, ...option.RequestOption) error) error {
	renewed := false
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = time.Second, 10*time.Second, 2
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.attempt(ctx, k, false, do)
		var e *Error
		if errors.As(err, &e) && e.Kind == KindAuthentication && !renewed {
			renewed = true
			err = c.attempt(ctx, k, true, do)
		}
		return struct{}{}, retryable(err)
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(maxElapsed))
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	default:
		return fmt.Errorf("%s: %w", k.endpoint, err)
	}
}

// retryable marks the error for the retry loop: to be tried again at its pace, after the time the
// API asked for, or not at all. A 429 without Retry-After is the tier's monthly cap: waiting for
// it is not a matter of seconds.
func retryable(err error) error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e), !e.Temporary(), e.restart,
		e.RetryAfter > maxWait, e.Kind == KindRateLimit && e.RetryAfter == 0:
		return backoff.Permanent(err)
	case e.RetryAfter > 0:
		return errors.Join(err, &backoff.RetryAfterError{Duration: e.RetryAfter})
	default:
		return err
	}
}

// attempt is one exchange without retries.
func (c *Client) attempt(ctx context.Context, k call, renew bool, do func(context.Context, ...option.RequestOption) error) error {
	key, err := c.key(ctx, renew)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	if key == "" {
		return errors.New("the admin key is empty")
	}
	if err := c.limiter.Wait(ctx); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w before the next request is allowed", context.DeadlineExceeded)
		}
		return fmt.Errorf("request rate: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()

	a := answer{call: k}
	start := time.Now()
	err = do(limited, credential(key), option.WithMiddleware(a.receive))
	took := time.Since(start)

	err = a.problem(ctx, key, err)
	if !a.sent {
		return err
	}
	c.requests.Add(1)
	c.metrics.observe(k.endpoint, a.status, took)
	c.log.DebugContext(ctx, "admin api request", "endpoint", k.endpoint, "status", a.status, "took", took,
		"request_id", a.requestID, "err", err)
	return err
}

// credential sends the key the way its kind wants: OAuth access tokens as a bearer, keys as such.
func credential(key string) option.RequestOption {
	if strings.HasPrefix(key, "sk-ant-oat") {
		return option.WithHeader("Authorization", "Bearer "+key)
	}
	return option.WithHeader("X-Api-Key", key)
}
