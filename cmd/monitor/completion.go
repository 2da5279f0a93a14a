package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

// Help says what to do with it.
func (completionCmd) Help() string {
	return "bash: monitor completion bash > ~/.local/share/bash-completion/completions/monitor\n\n" +
		"zsh: monitor completion zsh > a file named _monitor in a directory of $fpath\n\n" +
		"fish: monitor completion fish > ~/.config/fish/completions/monitor.fish"
}

// Run writes a script that completes commands, flags and their values in the shell.
func (c completionCmd) Run(a *app) error {
	model, err := commandModel()
	if err != nil {
		return err
	}
	write := map[string]func(io.Writer, *kong.Node){"bash": completeBash, "zsh": completeZsh, "fish": completeFish}[c.Shell]
	var text strings.Builder
	write(&text, model)
	_, err = io.WriteString(a.stdout, text.String())
	return err
}

// commandModel is the command line as the parser sees it.
func commandModel() (*kong.Node, error) {
	parser, err := newParser(&cli{}, io.Discard, io.Discard, func(int) {})
	if err != nil {
		return nil, err
	}
	return parser.Model.Node, nil
}

// words is the node's command, for example "monitor admin keys".
func words(n *kong.Node) string {
	if n.Parent == nil {
		return n.Name
	}
	return words(n.Parent) + " " + n.Name
}

// eachCommand calls f for the program and each command that is not hidden.
func eachCommand(n *kong.Node, f func(*kong.Node)) {
	f(n)
	for _, c := range n.Children {
		if !c.Hidden {
			eachCommand(c, f)
		}
	}
}

// flagsOf lists all flags that may stand behind a command.
func flagsOf(n *kong.Node) (flags []*kong.Flag) {
	for _, group := range n.AllFlags(true) {
		flags = append(flags, group...)
	}
	return flags
}

// spellings are the ways to write a flag.
func spellings(f *kong.Flag) []string {
	var out []string
	if f.Short != 0 {
		out = append(out, "-"+string(f.Short))
	}
	out = append(out, "--"+f.Name)
	if f.Tag != nil && f.Tag.Negatable != "" {
		out = append(out, "--no-"+f.Name)
	}
	return out
}

// takesValue reports whether a value follows the flag.
func takesValue(f *kong.Flag) bool { return !f.IsBool() && !f.IsCounter() }

// choices are the values that a flag or an argument can have; nil: anything.
func choices(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	var out []string
	for _, e := range v.EnumSlice() {
		if e != "" {
			out = append(out, e)
		}
	}
	return out
}

// argumentChoices are those of a command's first argument.
func argumentChoices(n *kong.Node) []string {
	if len(n.Positional) == 0 {
		return nil
	}
	return choices(n.Positional[0])
}

// isFile reports whether the flag's value is the name of a file.
func isFile(f *kong.Flag) bool { return f.PlaceHolder == "FILE" }

func children(n *kong.Node) (names []string) {
	for _, c := range n.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

// quoted puts the text into single quotes, as all three shells read it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// completeBash writes for bash 3.2 and newer, without the package bash-completion.
func completeBash(w io.Writer, model *kong.Node) {
	var commands, values, offers strings.Builder
	eachCommand(model, func(n *kong.Node) {
		if n.Parent != nil {
			fmt.Fprintf(&commands, "\t\t%q) command=%q ;;\n", words(n.Parent)+" "+n.Name, words(n))
		}
		var all []string
		for _, f := range flagsOf(n) {
			all = append(all, spellings(f)...)
			if !takesValue(f) {
				continue
			}
			for _, s := range spellings(f) {
				switch {
				case choices(f.Value) != nil:
					fmt.Fprintf(&values, "\t%q) offer=%q ;;\n", words(n)+" "+s, strings.Join(choices(f.Value), " "))
				case isFile(f):
					fmt.Fprintf(&values, "\t%q) offer=FILE ;;\n", words(n)+" "+s)
				default:
					fmt.Fprintf(&values, "\t%q) offer=NOTHING ;;\n", words(n)+" "+s)
				}
			}
		}
		fmt.Fprintf(&offers, "\t\t%q) offer=%q flags=%q ;;\n", words(n),
			strings.Join(append(children(n), argumentChoices(n)...), " "), strings.Join(all, " "))
	})
	fmt.Fprintf(w, `# bash completion for monitor; made by: monitor completion bash

# What may follow the flag of the command: values, FILE, NOTHING; empty if it is no flag with a value.
_monitor_value() {
	offer=
	case $1 in
%[2]s	esac
}

_monitor() {
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=monitor word offer flags i
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		_monitor_value "$command $word"
		if [ -n "$offer" ]; then # its value is no command
			((i++))
			[ "${COMP_WORDS[i]}" != = ] || ((i++))
			continue
		fi
		case "$command $word" in
%[1]s		esac
	done
	[ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}
	[ "$current" != = ] || current=
	_monitor_value "$command $before"
	case $offer in
	FILE)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$current"))
		return
		;;
	NOTHING) return ;;
	'')
		case $command in
%[3]s		esac
		case $current in
		-*) offer=$flags ;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$offer" -- "$current"))
}

complete -F _monitor monitor
`, commands.String(), values.String(), offers.String())
}

// completeZsh writes a function for each command.
func completeZsh(w io.Writer, model *kong.Node) {
	fmt.Fprint(w, "#compdef monitor\n# zsh completion for monitor; made by: monitor completion zsh\n")
	eachCommand(model, func(n *kong.Node) {
		fmt.Fprintf(w, "\n%s() {\n", zshName(n))
		if len(n.Children) > 0 {
			fmt.Fprint(w, "\tlocal context state state_descr line\n\ttypeset -A opt_args\n")
		}
		fmt.Fprint(w, "\t_arguments -s")
		if len(n.Children) > 0 {
			fmt.Fprint(w, " -C")
		}
		for _, f := range flagsOf(n) {
			fmt.Fprintf(w, " \\\n\t\t%s", zshFlag(f))
		}
		if len(n.Children) == 0 {
			for i, p := range n.Positional {
				place := fmt.Sprint(i + 1)
				if p.IsCumulative() {
					place = "*"
				}
				action := ""
				if c := choices(p); c != nil {
					action = "(" + strings.Join(c, " ") + ")"
				}
				fmt.Fprintf(w, " \\\n\t\t%s", quoted(place+":"+zshText(p.Name)+":"+action))
			}
			fmt.Fprint(w, "\n}\n")
			return
		}
		fmt.Fprint(w, " \\\n\t\t'1: :->command' \\\n\t\t'*:: :->arguments'\n\tcase $state in\n\tcommand)\n\t\tlocal -a commands=(")
		for _, c := range n.Children {
			if !c.Hidden {
				fmt.Fprintf(w, "\n\t\t\t%s", quoted(c.Name+":"+c.Help))
			}
		}
		fmt.Fprint(w, "\n\t\t)\n\t\t_describe -t commands command commands\n\t\t;;\n\targuments)\n\t\tcase $line[1] in\n")
		for _, c := range n.Children {
			if !c.Hidden {
				fmt.Fprintf(w, "\t\t%s) %s ;;\n", c.Name, zshName(c))
			}
		}
		fmt.Fprint(w, "\t\tesac\n\t\t;;\n\tesac\n}\n")
	})
	fmt.Fprint(w, "\nif [ \"$funcstack[1]\" = _monitor ]; then\n\t_monitor \"$@\"\nelse\n\tcompdef _monitor monitor\nfi\n")
}

func zshName(n *kong.Node) string {
	return "_" + strings.ReplaceAll(strings.ReplaceAll(words(n), " ", "_"), "-", "_")
}

// zshFlag is a flag as _arguments wants it.
func zshFlag(f *kong.Flag) string {
	value := ""
	if takesValue(f) {
		value = ":" + zshText(strings.ToLower(f.FormatPlaceHolder())) + ":"
		switch {
		case choices(f.Value) != nil:
			value = ":" + zshText(f.Name) + ":(" + strings.Join(choices(f.Value), " ") + ")"
		case isFile(f):
			value = ":file:_files"
		}
	}
	var out []string
	for _, s := range spellings(f) {
		again := ""
		if f.IsCumulative() {
			again = "*"
		}
		spelled := s
		if takesValue(f) && strings.HasPrefix(s, "--") {
			spelled += "=" // or a word of its own
		}
		out = append(out, quoted(again+spelled+"["+zshText(f.Help)+"]"+value))
	}
	return strings.Join(out, " ")
}

// zshText escapes what _arguments reads in a description.
func zshText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(s)
}

// completeFish writes a line for each command and each of its flags.
func completeFish(w io.Writer, model *kong.Node) {
	var values, commands, lines strings.Builder
	eachCommand(model, func(n *kong.Node) {
		if n.Parent != nil {
			fmt.Fprintf(&commands, "\t\t\tcase %s\n\t\t\t\tset command %s\n", quoted(words(n.Parent)+" "+n.Name), quoted(words(n)))
		}
		at := quoted("test (__monitor_command) = " + `"` + words(n) + `"`)
		for _, c := range n.Children {
			if !c.Hidden {
				fmt.Fprintf(&lines, "complete -c monitor -n %s -a %s -d %s\n", at, c.Name, fishText(c.Help))
			}
		}
		if c := argumentChoices(n); c != nil {
			fmt.Fprintf(&lines, "complete -c monitor -n %s -a %s\n", at, quoted(strings.Join(c, " ")))
		}
		for _, f := range flagsOf(n) {
			line := "complete -c monitor -n " + at + " -l " + f.Name
			if f.Short != 0 {
				line += " -s " + string(f.Short)
			}
			switch {
			case !takesValue(f):
			case choices(f.Value) != nil:
				line += " -x -a " + quoted(strings.Join(choices(f.Value), " "))
			case isFile(f):
				line += " -r -F"
			default:
				line += " -x"
			}
			fmt.Fprintf(&lines, "%s -d %s\n", line, fishText(f.Help))
			if takesValue(f) {
				for _, s := range spellings(f) {
					fmt.Fprintf(&values, " %s", quoted(words(n)+" "+s))
				}
			}
		}
	})
	fmt.Fprintf(w, `# fish completion for monitor; made by: monitor completion fish

# The command that was written so far.
function __monitor_command
	set -l command monitor
	set -l value 0
	for word in (commandline -opc)[2..-1]
		if test $value = 1
			set value 0
			continue
		end
		switch "$command $word"
			case%s
				set value 1
%s		end
	end
	echo $command
end

complete -c monitor -f
%s`, values.String(), commands.String(), lines.String())
}

func fishText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
