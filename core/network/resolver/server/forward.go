package server

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/semaphore"

	"github.com/nacre-sh/nacre/core/network/resolver"
)

const (
	// upstreamTimeout is how long one server may take; docker's.
	upstreamTimeout = 4 * time.Second
	// maxForwards bounds the questions that wait for other servers, of all containers.
	maxForwards = 1024
)

// forwarder asks other servers about names that are not ours.
type forwarder struct{ slots *semaphore.Weighted }

func newForwarder() *forwarder { return &forwarder{semaphore.NewWeighted(maxForwards)} }

// ask returns the first server's answer that is one; SERVFAIL without any. A
// container without a way out gets NXDOMAIN: for it there are no other names.
func (f *forwarder) ask(c *client, q *dns.Msg, isTCP bool) *dns.Msg {
	servers := c.registration().Servers
	if len(servers) == 0 {
		m := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
		m.RecursionAvailable = true
		return m
	}
	if !f.slots.TryAcquire(1) {
		return new(dns.Msg).SetRcode(q, dns.RcodeRefused)
	}
	defer f.slots.Release(1)
	proto := "udp"
	if isTCP {
		proto = "tcp"
	}
	var last *dns.Msg
	for _, s := range servers {
		m, err := f.askOne(c, q, proto, s)
		if err != nil {
			continue
		}
		if m.Rcode != dns.RcodeServerFailure && m.Rcode != dns.RcodeRefused {
			return m
		}
		last = m // another one may know better
	}
	if last != nil {
		return last
	}
	return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
}

func (f *forwarder) askOne(c *client, q *dns.Msg, proto string, s resolver.Server) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(context.Background(), upstreamTimeout)
	defer cancel()
	conn, err := c.dial(ctx, proto, s)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	server := &dns.Conn{Conn: conn, UDPSize: dns.MaxMsgSize}
	if err := server.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		m, err := server.ReadMsg()
		if err != nil {
			return nil, err
		}
		if m.Id == q.Id && len(m.Question) == 1 && sameQuestion(m.Question[0], q.Question[0]) {
			return m, nil
		}
		if proto == "tcp" {
			return nil, errors.New("an answer to another question")
		}
	}
}

// sameQuestion guards against answers that were meant for others, or invented.
func sameQuestion(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && dns.CanonicalName(a.Name) == dns.CanonicalName(b.Name)
}
