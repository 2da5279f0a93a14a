package main

import (
	"fmt"
	"net"
)

// tellSystemd tells the service manager, where one waits for it (Type=notify), the state of this process.
func (a *app) tellSystemd(state string) {
	socket := a.getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if err := sendTo(socket, state); err != nil {
		a.log.Warn("the service manager was not told", "state", state, "err", err)
	}
}

func sendTo(socket, text string) error {
	conn, err := net.Dial("unixgram", socket) //nolint:noctx // a datagram socket of this machine: nothing to wait for
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprint(conn, text)
	return err
}
