package postgres

import (
	"syscall"
	"time"
)

// tcpUserTimeout is the socket option TCP_USER_TIMEOUT, which package syscall lacks.
const tcpUserTimeout = 18

// giveUpAfter has the kernel break a connection whose sent data is not acknowledged for that long;
// keepalives alone do not while data is in flight.
func giveUpAfter(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		control := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds()))
		})
		if control != nil {
			return control
		}
		return err
	}
}
