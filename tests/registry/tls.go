package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// TLS is the files of a certificate authority of a test's own and what it has
// signed: the server's certificate for loopback and further hosts, and one for a client.
type TLS struct {
	CA                    string
	ServerCert, ServerKey string
	ClientCert, ClientKey string
	AskClients            bool // only clients with a certificate of the CA may come in
}

// NewTLS makes them in dir.
func NewTLS(dir string, hosts ...string) (*TLS, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	t := &TLS{CA: at("ca.crt"), ServerCert: at("server.crt"), ServerKey: at("server.key"), ClientCert: at("client.cert"), ClientKey: at("client.key")}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, err := sign(ca, ca, nil, t.CA, "")
	if err != nil {
		return nil, err
	}
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "registry"}, DNSNames: append([]string{"localhost"}, hosts...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if _, err := sign(server, ca, caKey, t.ServerCert, t.ServerKey); err != nil {
		return nil, err
	}
	client := &x509.Certificate{Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	_, err = sign(client, ca, caKey, t.ClientCert, t.ClientKey)
	return t, err
}

// sign makes a key and a certificate for it; without a signer it signs itself.
func sign(cert, parent *x509.Certificate, signer *ecdsa.PrivateKey, certFile, keyFile string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if signer == nil {
		signer = key
	}
	if cert.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return nil, err
	}
	cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	if err := writePEM(certFile, "CERTIFICATE", der); err != nil || keyFile == "" {
		return key, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(keyFile, "PRIVATE KEY", raw)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// get asks whether a registry answers; t may be nil.
func (t *TLS) get(addr string) (*http.Response, error) {
	if t == nil {
		return http.Get("http://" + addr + "/v2/")
	}
	client, err := t.Client()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	return client.Get("https://" + addr + "/v2/")
}

// Client is an HTTP client that trusts the authority and has its certificate; of a nil TLS, the default one.
func (t *TLS) Client() (*http.Client, error) {
	if t == nil {
		return http.DefaultClient, nil
	}
	ca, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	own, err := tls.LoadX509KeyPair(t.ClientCert, t.ClientKey)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{own}}}}, nil
}
