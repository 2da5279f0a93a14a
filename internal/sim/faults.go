package sim

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Fault is a way in which an answer goes wrong.
type Fault int

// The faults there are.
const (
	RateLimited   Fault = iota + 1 // 429 with retry-after (Rule.RetryAfter)
	TierCap                        // 429 without retry-after: the usage tier's monthly cap
	Internal                       // 500
	Overloaded                     // 529
	Timeout                        // 504
	Unauthorized                   // 401
	Forbidden                      // 403
	CutBody                        // the connection ends half-way through the body
	Slow                           // no answer until the request's context ends
	DuplicatePage                  // a page token answers with the page before it once more
	Vanish                         // reports hold nothing, or nothing in [Rule.From, Rule.To)
	Unknown                        // an unknown field in every object, and unknown values of enumerations
	MissingAmount                  // amounts are absent
	WrongType                      // amounts are objects, counts are texts, times are numbers
	Down                           // no connection
)

// Rule arms a fault. It is data: a test says what goes wrong and how often.
type Rule struct {
	Fault      Fault
	Path       string        // only requests whose path has this suffix; empty: all
	Method     string        // only requests with this method; empty: all
	Times      int           // for so many requests; 0: until Disarm
	RetryAfter time.Duration // of RateLimited; default 1 second
	From, To   time.Time     // of Vanish; zero: everything
}

// Faults are the rules in force. The zero value is ready to use, and safe for concurrent use. A request
// meets the first rule that fits it; DuplicatePage fits only requests for a further page.
type Faults struct {
	mu    sync.Mutex
	rules []Rule
}

// Arm adds a rule behind those in force.
func (f *Faults) Arm(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, r)
}

// Disarm removes all rules with a fault, or all rules when none is given.
func (f *Faults) Disarm(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = slices.DeleteFunc(f.rules, func(r Rule) bool {
		return len(faults) == 0 || slices.Contains(faults, r.Fault)
	})
}

// next takes the rule that a request meets.
func (f *Faults) next(r *http.Request) Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := r.URL.Query()
	further := q.Has("page") || q.Has("after_id")
	for i, rule := range f.rules {
		if !strings.HasSuffix(r.URL.Path, rule.Path) || rule.Method != "" && rule.Method != r.Method ||
			rule.Fault == DuplicatePage && !further {
			continue
		}
		if rule.Times == 1 {
			f.rules = slices.Delete(f.rules, i, i+1)
		} else if rule.Times > 1 {
			f.rules[i].Times--
		}
		return rule
	}
	return Rule{}
}

// refuseConnection is what dialing says while the first fitting rule is Down. Only rules for all requests
// can be met before there is a connection.
func (f *Faults) refuseConnection() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.rules) == 0 || f.rules[0].Fault != Down || f.rules[0].Path != "" || f.rules[0].Method != "" {
		return nil
	}
	if f.rules[0].Times == 1 {
		f.rules = slices.Delete(f.rules, 0, 1)
	} else if f.rules[0].Times > 1 {
		f.rules[0].Times--
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// failure is the refusal of the faults that are one.
func (r Rule) failure(req *http.Request) error {
	switch r.Fault {
	case RateLimited:
		p := refuse(429, "This request would exceed your organization's rate limit.")
		p.retryAfter = strconv.Itoa(int(max(r.RetryAfter, time.Second) / time.Second))
		return p
	case TierCap:
		return refuse(429, "Your organization has reached the monthly limit of its usage tier.")
	case Internal:
		return refuse(500, "Internal server error")
	case Overloaded:
		return refuse(529, "Overloaded")
	case Timeout:
		return refuse(504, "Request timed out")
	case Unauthorized:
		return refuse(401, "API key is invalid")
	case Forbidden:
		return refuse(403, "Your API key does not have permission to use the specified resource.")
	case Slow:
		// A server notices that the caller has gone only once it has read the body.
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
		return errors.New("the caller has gone")
	default:
		return nil
	}
}

// vanished is whether a report hides what begins at a moment.
func (r Rule) vanished(at time.Time) bool {
	return r.Fault == Vanish && (r.From.IsZero() || !at.Before(r.From)) && (r.To.IsZero() || at.Before(r.To))
}
