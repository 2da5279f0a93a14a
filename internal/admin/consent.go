package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/config"
)

// ErrDeclined says that whoever was asked did not want it.
var ErrDeclined = errors.New("nothing was done")

// fewNames is how many names are typed out one by one. Beyond it the organization's name stands for all.
const fewNames = 3

// Consent is how a plan is agreed to: by somebody at a terminal, or beforehand on the command line. What
// cannot be undone needs its name typed out either way.
type Consent struct {
	Yes      bool     // agreed beforehand
	Confirm  []string // names typed out beforehand
	Terminal bool     // somebody can be asked
	In       io.Reader
	Out      io.Writer // for the questions
}

// Ask returns nil if the plan may be carried out. A [UsageError] says what to add to the command line;
// [ErrDeclined] that the answer was no. A plan without anything to do is not asked about.
func (c Consent) Ask(ctx context.Context, organization string, p Plan) error {
	steps := p.Open()
	if len(steps) == 0 {
		return nil
	}
	names := c.wanted(organization, steps)
	switch {
	case c.Yes && len(names) > 0:
		var flags []string
		for _, n := range names {
			flags = append(flags, "--confirm "+config.ShellWord(n))
		}
		return usage("this cannot be undone: beside --yes it needs %s", strings.Join(flags, " "))
	case c.Yes:
		return nil
	case !c.Terminal:
		return usage("there is no terminal to ask on: look at the plan with --dry-run, then run it with --yes")
	}
	answers := readLines(c.In)
	for _, n := range names {
		fmt.Fprintf(c.Out, "This cannot be undone. Type %q to go on: ", n)
		line, err := answers.next(ctx)
		if err != nil {
			return err
		}
		if line != strings.TrimSpace(n) {
			return fmt.Errorf("%q is not %q: %w", line, n, ErrDeclined)
		}
	}
	if len(names) > 0 && !slices.ContainsFunc(steps, func(s Step) bool { return s.Confirm == "" }) {
		return nil
	}
	fmt.Fprintf(c.Out, "Make %s in %q? [y/N] ", count(len(steps), "change"), organization)
	line, err := answers.next(ctx)
	if err != nil {
		return err
	}
	if line = strings.ToLower(line); line != "y" && line != "yes" {
		return ErrDeclined
	}
	return nil
}

// wanted lists the names that still have to be typed out.
func (c Consent) wanted(organization string, steps []Step) []string {
	var names []string
	for _, s := range steps {
		if s.Confirm != "" {
			names = append(names, s.Confirm)
		}
	}
	if len(names) > fewNames {
		names = []string{organization}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool {
		return slices.Contains(c.Confirm, n) || slices.Contains(c.Confirm, organization)
	})
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lines are read beside the caller, who may be interrupted while nobody types. Reading a terminal cannot
// be called off: the reader ends with the input, or with the process.
type lines chan string

func readLines(in io.Reader) lines {
	ls := make(lines)
	go func() {
		defer close(ls)
		for scan := bufio.NewScanner(in); scan.Scan(); {
			ls <- strings.TrimSpace(scan.Text())
		}
	}()
	return ls
}

func (ls lines) next(ctx context.Context) (string, error) {
	select {
	case line, ok := <-ls:
		if !ok {
			return "", ErrDeclined
		}
		return line, nil
	case <-ctx.Done():
		return "", ErrDeclined
	}
}
