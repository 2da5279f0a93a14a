package storage

import "fmt"

// About says what the database is.
type About struct {
	Kind string // SQLite or PostgreSQL, with its version
	Size int64  // bytes on disk
}

// Bytes writes the size for people.
func (a About) Bytes() string {
	v, unit := float64(a.Size), "bytes"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, next
	}
	if unit == "bytes" {
		return fmt.Sprintf("%d bytes", a.Size)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}
