package adminapi

import (
	"net/url"
	"strconv"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// bucketReport is the part that the older reports have in common: data is a list of buckets, each
// with its results, and a page is a number of buckets.
func bucketReport[T any](endpoint string, q Query) report[T] {
	width, perPage := "1d", 31
	switch q.Grain {
	case spend.Minute:
		width, perPage = "1m", 1440
	case spend.Hour:
		width, perPage = "1h", 168
	}
	return report[T]{
		call: pageCall(endpoint), path: "v1/organizations/" + endpoint, window: q.Window, grain: q.Grain,
		options: []option.RequestOption{option.WithHeader("anthropic-version", reportVersion)},
		query: url.Values{
			"starting_at":  {q.Window.Start.UTC().Format(time.RFC3339)},
			"ending_at":    {q.Window.End.UTC().Format(time.RFC3339)},
			"bucket_width": {width},
			"limit":        {strconv.Itoa(perPage)},
		},
		pages: int(q.Window.Duration()/q.Grain.Duration()) + 10,
	}
}

// bucketElement reads a bucket; row reads one of its results and is given the list's walker.
func bucketElement[T any](row func(*walker, *gathering[T]) error) func(*walker, *gathering[T]) error {
	return func(w *walker, g *gathering[T]) error {
		var bucket spend.Window
		var results bool
		from := len(g.rows)
		err := w.object(func(name []byte) (err error) {
			switch string(name) {
			case "starting_at":
				bucket.Start, err = w.time()
			case "ending_at":
				bucket.End, err = w.time()
			case "results":
				results = true
				err = w.array(func() error { return row(w, g) })
			default:
				err = w.skip()
			}
			return err
		})
		if err != nil {
			return err
		}
		if !results {
			return w.wrong("results", "is missing")
		}
		if field, problem := g.check(bucket); problem != "" {
			return w.wrong(field, problem)
		}
		if !bucket.Start.After(g.last) || g.settle(from, bucket) {
			e := w.wrong("starting_at", "is not after the bucket before: "+bucket.String())
			e.repeated = true
			return e
		}
		g.last = bucket.Start
		return nil
	}
}
