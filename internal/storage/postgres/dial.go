package postgres

import (
	"context"
	"net"
	"strings"
	"time"
)

// vanished is how long a host may be silent before its connections count as dead.
const vanished = 25 * time.Second

// dial connects so that a server that has vanished is noticed after 25 s: 10 s of silence, then
// three unanswered probes 5 s apart.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	if strings.HasPrefix(network, "tcp") {
		d.Control = giveUpAfter(vanished)
	}
	return d.DialContext(ctx, network, address)
}
