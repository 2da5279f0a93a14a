package sim

import (
	"math/bits"
	"time"
)

// What a stream counts; the first five are tokens.
const (
	uncached = iota
	cacheRead
	write5m
	write1h
	output
	searches
	units // code execution or session time, in units of three minutes (see price.go)
	requests
	metrics
)

type counts [metrics]int64

func (c *counts) add(d counts) {
	for i := range c {
		c[i] += d[i]
	}
}

func (c counts) tokens() int64 {
	return c[uncached] + c[cacheRead] + c[write5m] + c[write1h] + c[output]
}

// Kinds of streams. Only tokens are in the usage reports; all three are in the bill.
const (
	tokenStream = iota
	codeStream
	sessionStream
)

// stream is one caller with one model and so on. Times are hours since 1970, UTC.
type stream struct {
	dims
	use
	id       uint64
	kind     int
	from, to int64  // hours of use, [from, to)
	off      []span // hours without use in between, because the key was switched off
	spikes   []spike
	revise   bool
}

// dims are the values reports group by, by real id; "" where the caller has none.
type dims struct {
	workspace, key, model, tier, context, geo, speed, product string
	account, service                                          string // an OAuth user, a federated service account
	actor                                                     *actor
	agent, deployment, environment, session                   string
}

// use is how much: requests in a thousand busy hours, and what one request takes on average.
type use struct {
	rate   int64
	mean   [searches]int64
	search int64 // web searches in a thousand requests
	shape  *shape
	always bool // at least one request each hour
	long   bool // prompts above the model's price step, which no report shows
}

// shape is a week's rhythm in thousandths of the busiest hour.
type shape struct {
	day  [24]int64
	week [7]int64 // from Sunday
}

type span struct{ from, to int64 }

type spike struct {
	span
	factor int64
}

const forever = int64(1) << 40

// view is what a report knows: nothing later than asOf; of a minute younger than the delay a part that
// grows; and revisions made up to known.
type view struct {
	asOf, known time.Time
	delay       time.Duration
}

func hourOf(t time.Time) int64    { return t.Unix() / 3600 }
func timeOf(hour int64) time.Time { return time.Unix(hour*3600, 0).UTC() }

// hourly is everything a stream uses in an hour, once known revisions are made.
func (s *stream) hourly(hour int64, known time.Time) counts {
	var c counts
	if hour < s.from || hour >= s.to {
		return c
	}
	for _, o := range s.off {
		if hour >= o.from && hour < o.to {
			return c
		}
	}
	x := mix(s.id ^ uint64(hour)*0x9e3779b97f4a7c15)
	noise := 600 + int64(x%801)
	day := hour / 24
	weekday := (day + 4) % 7 // 1970 began on a Thursday
	v := s.rate * s.shape.day[hour%24] * s.shape.week[weekday] * noise
	r := v / 1e12
	if int64(mix(x)%1e12) < v%1e12 {
		r++
	}
	for _, p := range s.spikes {
		if hour >= p.from && hour < p.to {
			r = max(r, s.rate*noise/1e6*p.factor)
		}
	}
	if r == 0 && s.always {
		r = 1
	}
	if r == 0 {
		return c
	}
	c[requests] = r
	for i, mean := range s.mean {
		c[i] = r * mean * (800 + int64(x>>(8+8*i))&0xff*400/255) / 1000
	}
	c[searches] = (r*s.search + int64(x>>48)%1000) / 1000
	if s.kind != tokenStream {
		c[units] = 2*r + int64(x>>40)%(4*r+1)
	}
	if s.revise {
		s.correct(&c, day, known)
	}
	return c
}

// correct applies a late revision: about one day in sixty of a stream changes by a few per cent, one
// to ten days later, and never after the 7th of the next month.
func (s *stream) correct(c *counts, day int64, known time.Time) {
	y := mix(s.id ^ uint64(day)*0xc2b2ae3d27d4eb4f)
	if y%60 != 0 {
		return
	}
	end := timeOf((day + 1) * 24)
	at := end.Add(time.Duration(24+(y>>8)%216) * time.Hour)
	begun := timeOf(day * 24)
	last := time.Date(begun.Year(), begun.Month()+1, 7, 0, 0, 0, 0, time.UTC)
	if at.After(last) {
		at = last
	}
	if known.Before(at) {
		return
	}
	permille := int64((y>>20)%50) - 20
	if permille >= 0 {
		permille++
	}
	for i := range c {
		c[i] += c[i] * permille / 1000
	}
	c[requests] = max(c[requests], 1)
}

// between is what the view shows of a stream's use in [from, to), both on a whole minute, seconds since
// 1970. It calls each once per hour with use, in order; a price may change between two hours.
func (s *stream) between(from, to int64, v view, each func(hour int64, c counts)) {
	first, last := max(from/3600, s.from), min((to+3599)/3600, s.to, (v.asOf.Unix()+3599)/3600)
	for hour := first; hour < last; hour++ {
		all := s.hourly(hour, v.known)
		if all[requests] == 0 {
			continue
		}
		a, b := max(from-hour*3600, 0), min(to-hour*3600, 3600)
		c := s.visible(hour, all, a, b, v)
		if c[requests] > 0 {
			each(hour, c)
		}
	}
}

func (s *stream) total(from, to int64, v view) (sum counts) {
	s.between(from, to, v, func(_ int64, c counts) { sum.add(c) })
	return sum
}

// visible is the part of an hour's use in its seconds [a, b) that the view shows. An hour's requests
// stand in a row, a minute is a stretch of that row, and tokens follow the requests: what is shown of
// a minute is a beginning of its stretch, so it only ever grows, up to what the minute has.
func (s *stream) visible(hour int64, all counts, a, b int64, v view) counts {
	age := v.asOf.Unix() - hour*3600 // seconds of the hour that have passed
	settled := min(max((age-int64(v.delay/time.Second))/60, 0), 60) * 60
	if settled >= b {
		if a == 0 && b == 3600 {
			return all
		}
		return stretch(all, s.until(hour, all, a), s.until(hour, all, b))
	}
	var c counts
	if settled > a {
		c.add(stretch(all, s.until(hour, all, a), s.until(hour, all, settled)))
	}
	whole := int64(v.delay/time.Second) + 60
	for m := max(a, settled); m < b && m < age; m += 60 {
		begin := s.until(hour, all, m)
		here := s.until(hour, all, min(m+60, age)) - begin
		c.add(stretch(all, begin, begin+here*min(age-m, whole)/whole))
	}
	return c
}

// until is how many of the hour's requests come before a second of it. Minutes are unequal: each of
// their borders is moved by up to half a minute.
func (s *stream) until(hour int64, all counts, second int64) int64 {
	border := func(minute int64) int64 {
		if minute%60 == 0 {
			return minute * 1000
		}
		return minute*1000 + int64(mix(s.id^uint64(hour*64+minute)*0xff51afd7ed558ccd)%500)
	}
	at := border(second / 60)
	if rest := second % 60; rest != 0 {
		at += (border(second/60+1) - at) * rest / 60
	}
	return mulDiv(all[requests], at, 60000)
}

// stretch is what the requests [from, to) of the hour used.
func stretch(all counts, from, to int64) (c counts) {
	for i, n := range all {
		c[i] = mulDiv(n, to, all[requests]) - mulDiv(n, from, all[requests])
	}
	return c
}

// mulDiv is a*b/c without overflow in between; all are positive and the result fits.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}

// mix is the finalizer of splitmix64: a well-spread hash of 64 bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hash spreads a text.
func hash(seed uint64, text string) uint64 {
	h := mix(seed)
	for i := range len(text) {
		h = mix(h ^ uint64(text[i]))
	}
	return h
}
