package spend

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// fingerprint is a digest of what names an episode.
func fingerprint(organization, rule, subject string, firedAt time.Time) string {
	h := sha256.Sum256([]byte(strings.Join([]string{organization, rule, subject, firedAt.UTC().Format(time.RFC3339)}, "\x00")))
	return hex.EncodeToString(h[:8])
}
