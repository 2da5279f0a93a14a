package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path"
)

// table serves what the function returns as JSON or, with format=csv, as the CSV that the command line
// prints. Errors are JSON in both.
func (s *server) table(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := r.URL.Query()
		format, given := values["format"]
		values.Del("format")
		asked := r.Clone(r.Context())
		asked.URL.RawQuery = values.Encode()
		if !given || len(format) == 1 && format[0] == "json" {
			s.api(f).ServeHTTP(w, asked)
			return
		}
		refuse := func(err error) {
			s.api(func(*http.Request) (any, error) { return nil, err }).ServeHTTP(w, r)
		}
		if len(format) > 1 || format[0] != "csv" {
			refuse(problem{http.StatusBadRequest, fmt.Sprintf("unknown format %q (json or csv)", format)})
			return
		}
		v, err := f(asked)
		if err != nil {
			refuse(err)
			return
		}
		rows, ok := v.(interface{ WriteCSV(io.Writer) error })
		if !ok {
			refuse(problem{http.StatusBadRequest, "there is no CSV of this, only JSON"})
			return
		}
		var b bytes.Buffer
		if err := rows.WriteCSV(&b); err != nil {
			refuse(err)
			return
		}
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", path.Base(r.URL.Path)+".csv"))
		_, _ = w.Write(b.Bytes()) // the client may be gone
	})
}
