package sim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
)

type transport struct{ org *Org }

// RoundTrip runs the handler beside the caller, so that a long answer streams as over a connection.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	in := r.WithContext(ctx) // a copy: the caller's is not ours to change
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := t.org.faults.refuseConnection(); err != nil {
		return nil, err
	}
	body, pipe := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: pipe, started: make(chan int, 1)}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		defer func() {
			cut := recover()
			if cut != nil && cut != http.ErrAbortHandler {
				panic(cut)
			}
			if cut == nil {
				w.WriteHeader(http.StatusOK)
				pipe.Close()
				return
			}
			// That panic is how net/http's handlers cut a connection, before or in the answer.
			w.start(0)
			pipe.CloseWithError(io.ErrUnexpectedEOF)
		}()
		t.org.ServeHTTP(w, in)
	}()
	select {
	case <-ctx.Done():
		body.CloseWithError(ctx.Err())
		<-stop // the handler reads the request, which the caller may reuse after we return
		return nil, ctx.Err()
	case status := <-w.started:
		if status == 0 {
			return nil, io.EOF
		}
		cancel := contextAfter(r, body)
		return &http.Response{
			Status: fmt.Sprint(status, " ", http.StatusText(status)), StatusCode: status,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: w.sent, Body: &pipeBody{PipeReader: body, release: cancel},
			ContentLength: -1, Request: r,
		}, nil
	}
}

// pipeWriter is the handler's side of an answer that is read while it is written.
type pipeWriter struct {
	header, sent http.Header
	pipe         *io.PipeWriter
	started      chan int
	once         sync.Once
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.start(status)
}

// start hands the answer over; status 0 says that there is none.
func (w *pipeWriter) start(status int) {
	w.once.Do(func() {
		w.sent = w.header.Clone()
		w.started <- status
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// pipeBody is the caller's side.
type pipeBody struct {
	*io.PipeReader
	release func() bool
}

func (b *pipeBody) Close() error {
	b.release()
	return b.PipeReader.Close()
}

// contextAfter ends the body when the request's context ends, as a real transport does.
func contextAfter(r *http.Request, body *io.PipeReader) (stop func() bool) {
	return context.AfterFunc(r.Context(), func() { body.CloseWithError(r.Context().Err()) })
}
