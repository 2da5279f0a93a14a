package sim

import "slices"

// cursorPage is a page of style A: between ids, in both directions.
type cursorPage[T any] struct {
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// cursors pages through all by the id of an element; every other parameter must have been read.
func cursors[T any](c *call, all []T, id func(T) string) (any, error) {
	q := c.query
	limit := q.number("limit", 20, 1000)
	after, before := q.text("after_id"), q.text("before_id")
	if after != "" && before != "" {
		q.fail(invalid("after_id and before_id cannot both be given"))
	}
	from, to := 0, len(all)
	for _, cursor := range []string{after, before} {
		if cursor == "" {
			continue
		}
		at := slices.IndexFunc(all, func(v T) bool { return id(v) == cursor })
		if at < 0 {
			q.fail(invalid("cursor: no such object in this list: %q", cursor))
		} else if cursor == after {
			from = at + 1
		} else {
			to = at
		}
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	var page cursorPage[T]
	if before != "" {
		from = max(to-limit, 0)
		page.HasMore = from > 0
	} else {
		if c.fault.Fault == DuplicatePage && after != "" {
			from = max(from-limit, 0)
		}
		to = min(from+limit, to)
		page.HasMore = to < len(all)
	}
	page.Data = append([]T{}, all[from:to]...)
	if len(page.Data) > 0 {
		first, last := id(page.Data[0]), id(page.Data[len(page.Data)-1])
		page.FirstID, page.LastID = &first, &last
	}
	return page, nil
}

// tokenPage is a page of style B.
type tokenPage[T any] struct {
	Data     []T     `json:"data"`
	NextPage *string `json:"next_page"`
}

// tokens pages through all and then leaves out what show refuses, so that a page may be empty while
// more follow, as documented. Without a limit everything is on one page.
func tokens[T any](c *call, all []T, show func(T) bool) (any, error) {
	q := c.query
	limit := q.number("limit", len(all)+1, 1000)
	at, paged := q.position(c.salt)
	if err := q.done(); err != nil {
		return nil, err
	}
	from := min(int(at[0]), len(all))
	if c.fault.Fault == DuplicatePage && paged {
		from = max(from-limit, 0)
	}
	to := min(from+limit, len(all))
	page := tokenPage[T]{Data: []T{}}
	for _, v := range all[from:to] {
		if show(v) {
			page.Data = append(page.Data, v)
		}
	}
	if to < len(all) {
		next := q.token(c.salt, position{int64(to)})
		page.NextPage = &next
	}
	return page, nil
}
