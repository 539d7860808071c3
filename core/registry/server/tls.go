package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/distribution/reference"
)

var repositoryName = reference.NameRegexp

// ownYears is how long a certificate of our own is valid.
const ownYears = 10

func (o *Options) tlsConfig(addr net.Addr) (*tls.Config, error) {
	if o.TLSCert == "" {
		if err := o.ownCertificate(addr); err != nil {
			return nil, err
		}
	}
	cert, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
	if err != nil {
		return nil, invalid("read the certificate: %s", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil
}

// ownCertificate makes a certificate that vouches for itself, once per folder.
// Clients take it as their authority: it is what they put into certs.d.
func (o *Options) ownCertificate(addr net.Addr) error {
	dir := filepath.Join(o.Data, "tls")
	o.TLSCert, o.TLSKey = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "server.key")
	_, errCert := os.Stat(o.TLSCert)
	_, errKey := os.Stat(o.TLSKey)
	if errCert == nil && errKey == nil {
		return nil
	}
	if err := errors.Join(errCert, errKey); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the registry's certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert, err := selfSigned(addr)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the registry's certificate: %w", err)
	}
	// The key first: a certificate without one would be taken for a pair.
	if err := keep(o.TLSKey, "PRIVATE KEY", rawKey, 0o600); err != nil {
		return err
	}
	return keep(o.TLSCert, "CERTIFICATE", der, 0o644)
}

func selfSigned(addr net.Addr) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "nacre registry"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(ownYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if name, err := os.Hostname(); err == nil {
		cert.DNSNames = append(cert.DNSNames, name)
	}
	if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() {
		cert.IPAddresses = append(cert.IPAddresses, tcp.IP)
		return cert, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() {
			cert.IPAddresses = append(cert.IPAddresses, ip.IP)
		}
	}
	return cert, nil
}

// keep writes a file at once or not at all.
func keep(path, kind string, der []byte, mode fs.FileMode) error {
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

func stdLog(w io.Writer) *log.Logger {
	if w == nil {
		w = io.Discard
	}
	return log.New(w, "", log.LstdFlags)
}
