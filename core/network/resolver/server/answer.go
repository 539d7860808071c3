package server

import (
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// ttl of our own answers, in seconds; docker's.
const ttl = 600

// ServeDNS answers one question of the container.
func (c *client) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	reply := c.answer(q)
	if reply == nil {
		_, isTCP := w.RemoteAddr().(*net.TCPAddr)
		reply = c.w.forward.ask(c, q, isTCP)
	}
	_ = w.WriteMsg(reply) // an asker that has gone needs no answer
}

// answer is our own answer, nil when others are to be asked.
func (c *client) answer(q *dns.Msg) *dns.Msg {
	if q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 {
		return new(dns.Msg).SetRcode(q, dns.RcodeNotImplemented)
	}
	question := q.Question[0]
	if question.Qclass != dns.ClassINET {
		return nil
	}
	switch question.Qtype {
	case dns.TypeA, dns.TypeAAAA:
		return c.answerAddress(q, question)
	case dns.TypePTR:
		return c.answerPointer(q, question)
	}
	if _, known := c.w.names.addresses(c.registration().Container, plain(question.Name)); known {
		return own(q) // the name exists, and has nothing of that type
	}
	return nil
}

func (c *client) answerAddress(q *dns.Msg, question dns.Question) *dns.Msg {
	found, known := c.w.names.addresses(c.registration().Container, plain(question.Name))
	if !known {
		return nil
	}
	m := own(q)
	for _, a := range found {
		header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: ttl}
		switch {
		case question.Qtype == dns.TypeA && a.Is4():
			m.Answer = append(m.Answer, &dns.A{Hdr: header, A: a.AsSlice()})
		case question.Qtype == dns.TypeAAAA && a.Is6():
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: header, AAAA: a.AsSlice()})
		}
	}
	return m
}

func (c *client) answerPointer(q *dns.Msg, question dns.Question) *dns.Msg {
	address, ok := reversed(strings.ToLower(question.Name))
	if !ok {
		return nil
	}
	host, known := c.w.names.hostOf(c.registration().Container, address)
	if !known {
		return nil
	}
	m := own(q)
	m.Answer = []dns.RR{&dns.PTR{Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: ttl}, Ptr: dns.Fqdn(host)}}
	return m
}

// own begins an answer of ours.
func own(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(dns.DefaultMsgSize, false)
	}
	return m
}

func plain(name string) string { return strings.TrimSuffix(name, ".") }

// reversed reads the address in the name of a PTR question.
func reversed(name string) (netip.Addr, bool) {
	if labels, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		parts := strings.Split(labels, ".")
		slices.Reverse(parts)
		a, err := netip.ParseAddr(strings.Join(parts, "."))
		return a, err == nil && a.Is4()
	}
	labels, ok := strings.CutSuffix(name, ".ip6.arpa.")
	parts := strings.Split(labels, ".")
	if !ok || len(parts) != 32 {
		return netip.Addr{}, false
	}
	slices.Reverse(parts)
	raw, err := hex.DecodeString(strings.Join(parts, ""))
	if err != nil || len(raw) != 16 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte(raw)), true
}
