package storage

import (
	"iter"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// SeriesCache holds the ids of series and what they stand for. A large organization has tens of
// thousands of series made of few different texts, so each text is held once and a series is a list
// of numbers. The zero value is empty. It is not safe for concurrent use.
type SeriesCache struct {
	numbers map[string]uint32
	texts   []string
	ids     map[symbols]int64
	series  map[int64]symbols
}

// symbols are dimensions by the numbers of their texts, in the order of [spend.Dimensions].
type symbols [10]uint32

// texts are the dimensions in that order.
func texts(d *spend.Dims) [len(symbols{})]*string {
	return [...]*string{
		&d.WorkspaceID, &d.APIKeyID, &d.Model, &d.ServiceTier, &d.ContextWindow, &d.InferenceGeo, &d.Speed, &d.Product,
		&d.CostType, &d.TokenType,
	}
}

// Add remembers a series.
func (c *SeriesCache) Add(id int64, d *spend.Dims) {
	if c.ids == nil {
		c.numbers, c.ids, c.series = map[string]uint32{}, map[symbols]int64{}, map[int64]symbols{}
	}
	var s symbols
	for i, text := range texts(d) {
		n, known := c.numbers[*text]
		if !known {
			n = uint32(len(c.texts))
			c.numbers[*text] = n
			c.texts = append(c.texts, *text)
		}
		s[i] = n
	}
	c.ids[s], c.series[id] = id, s
}

// ID is the id of the series, if it is known.
func (c *SeriesCache) ID(d *spend.Dims) (id int64, known bool) {
	var s symbols
	for i, text := range texts(d) {
		if s[i], known = c.numbers[*text]; !known {
			return 0, false
		}
	}
	id, known = c.ids[s]
	return id, known
}

// Dims is what the series stands for, if it is known.
func (c *SeriesCache) Dims(id int64) (d spend.Dims, known bool) {
	s, known := c.series[id]
	if known {
		for i, text := range texts(&d) {
			*text = c.texts[s[i]]
		}
	}
	return d, known
}

// All lists the series in no order.
func (c *SeriesCache) All() iter.Seq2[int64, spend.Dims] {
	return func(yield func(int64, spend.Dims) bool) {
		for id := range c.series {
			if d, _ := c.Dims(id); !yield(id, d) {
				return
			}
		}
	}
}
