package sim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// wholeAnswer keeps an answer in memory, for the faults that change it.
type wholeAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *wholeAnswer) Header() http.Header         { return w.header }
func (w *wholeAnswer) Write(p []byte) (int, error) { return w.body.Write(p) }
func (w *wholeAnswer) WriteHeader(status int)      { w.status = status }

// rewrite is how the faults that change an answer send it; nil for the others.
func (r Rule) rewrite() func(*wholeAnswer, http.ResponseWriter) {
	switch r.Fault {
	case CutBody:
		return sendHalf
	case Unknown:
		return rewriting(addUnknown)
	case MissingAmount:
		return rewriting(func(o map[string]any) { delete(o, "amount") })
	case WrongType:
		return rewriting(changeTypes)
	default:
		return nil
	}
}

func sendHalf(whole *wholeAnswer, w http.ResponseWriter) {
	w.Header().Set("content-length", strconv.Itoa(whole.body.Len()))
	if whole.status != 0 {
		w.WriteHeader(whole.status)
	}
	_, _ = w.Write(whole.body.Bytes()[:whole.body.Len()/2])
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// rewriting sends the answer with every object in it changed.
func rewriting(change func(map[string]any)) func(*wholeAnswer, http.ResponseWriter) {
	return func(whole *wholeAnswer, w http.ResponseWriter) {
		d := json.NewDecoder(&whole.body)
		d.UseNumber()
		var value any
		if err := d.Decode(&value); err != nil {
			panic(err) // we wrote it
		}
		each(value, change)
		if whole.status != 0 {
			w.WriteHeader(whole.status)
		}
		_ = json.NewEncoder(w).Encode(value) // the reader has gone
	}
}

func each(value any, change func(map[string]any)) {
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			each(inner, change)
		}
		change(v)
	case []any:
		for _, inner := range v {
			each(inner, change)
		}
	}
}

// enumerations are the fields whose values may grow under one version of the API. Distinct values stay
// distinct, so that rows do.
var enumerations = []string{"role", "status", "workspace_role", "service_tier", "context_window", "inference_geo",
	"speed", "cost_type", "token_type", "product", "actor_type", "customer_type", "terminal_type"}

func addUnknown(o map[string]any) {
	for name, v := range o {
		if text, ok := v.(string); ok && slices.Contains(enumerations, name) {
			o[name] = "future_" + text
		}
	}
	o["future_field"] = map[string]any{"value": 1}
}

func changeTypes(o map[string]any) {
	for name, v := range o {
		switch name {
		case "amount":
			o[name] = map[string]any{"value": v, "currency": "USD"}
		case "output_tokens", "requests":
			o[name] = "many"
		case "created_at", "added_at", "invited_at":
			o[name] = json.Number("12345")
		}
	}
}
