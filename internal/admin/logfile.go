package admin

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Who makes a change.
type Who struct{ User, SudoUser, Host string }

// Whoever is the user of the operating system who runs this process, and who they were before sudo.
func Whoever(getenv func(string) string) Who {
	w := Who{User: "uid " + strconv.Itoa(os.Getuid()), SudoUser: getenv("SUDO_USER"), Host: "unknown"}
	if u, err := user.Current(); err == nil && u.Username != "" {
		w.User = u.Username
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		w.Host = host
	}
	return w
}

// LogFile is a file with the admin log as JSON lines: one when a change begins, one when it has ended, with
// the same id. A nil LogFile is none.
type LogFile struct {
	file *os.File
	disk bool // a file on a disk, not a pipe or a device
}

// OpenLogFile opens the file for appending and makes it where it does not exist, readable by its owner.
func OpenLogFile(path string) (*LogFile, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("admin.log_file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("admin.log_file: %w", err)
	}
	return &LogFile{file: f, disk: info.Mode().IsRegular()}, nil
}

// Close closes the file.
func (l *LogFile) Close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// logLine is an entry in the file. Names are those of the view admin_log.
type logLine struct {
	Time         time.Time         `json:"time"`
	ID           int64             `json:"id"`
	Organization string            `json:"organization"`
	User         string            `json:"os_user"`
	SudoUser     string            `json:"sudo_user,omitempty"`
	Host         string            `json:"host"`
	Action       string            `json:"action"`
	TargetID     string            `json:"target_id"`
	Target       string            `json:"target"`
	Arguments    map[string]string `json:"arguments,omitempty"`
	Outcome      string            `json:"outcome"`
	TookMS       int64             `json:"took_ms,omitempty"`
	RequestID    string            `json:"request_id,omitempty"`
	Error        string            `json:"error,omitempty"`
}

// write appends a line and has it reach the disk.
func (l *LogFile) write(organization string, e storage.AdminEntry) error {
	if l == nil {
		return nil
	}
	b, err := json.Marshal(logLine{
		Time: e.StartedAt.UTC().Truncate(time.Millisecond), ID: e.ID, Organization: organization, User: e.User, SudoUser: e.SudoUser, Host: e.Host,
		Action: e.Action, TargetID: e.TargetID, Target: e.TargetName, Arguments: e.Arguments,
		Outcome: e.Outcome, TookMS: e.Took.Milliseconds(), RequestID: e.RequestID, Error: e.Error,
	})
	if err == nil {
		_, err = l.file.Write(append(b, '\n')) // one call: lines of several processes do not mix
	}
	if err == nil && l.disk {
		err = l.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("admin.log_file: %w", err)
	}
	return nil
}
