// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const certificateLife = 365 * 24 * time.Hour // longer than any lab runs

// TLS has a server speak TLS, with certificates of a CA of its own.
type TLS struct {
	// Mutual asks a certificate of that CA of clients too.
	Mutual bool
}

// TLSFiles are the paths of what one end of a TLS connection needs, in PEM.
type TLSFiles struct {
	CA, Cert, Key string
}

// writeTLS makes a CA, a certificate for a server on loopback and one for its
// clients, and writes them into dir. The key of the CA is forgotten.
func writeTLS(dir string) (server, client TLSFiles, err error) {
	ca, err := newAuthority(dir)
	if err != nil {
		return server, client, err
	}
	// Members of a cluster are each other's clients.
	server, err = ca.issue("server", x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return server, client, err
	}
	client, err = ca.issue("client", x509.ExtKeyUsageClientAuth)
	return server, client, err
}

type authority struct {
	dir, file string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of a CA: %w", err)
	}
	a := &authority{dir: dir, file: filepath.Join(dir, "ca.pem"), cert: certificate("lab CA"), key: key}
	a.cert.IsCA, a.cert.KeyUsage = true, x509.KeyUsageCertSign
	return a, a.sign(a.file, a.cert, &key.PublicKey)
}

// issue writes <name>.pem and <name>-key.pem.
func (a *authority) issue(name string, usage ...x509.ExtKeyUsage) (TLSFiles, error) {
	files := TLSFiles{CA: a.file, Cert: filepath.Join(a.dir, name+".pem"), Key: filepath.Join(a.dir, name+"-key.pem")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return files, fmt.Errorf("make the key of a %s: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return files, fmt.Errorf("make the key of a %s: %w", name, err)
	}
	if err := writePEM(files.Key, "PRIVATE KEY", der); err != nil {
		return files, err
	}
	cert := certificate("lab " + name)
	cert.ExtKeyUsage, cert.KeyUsage = usage, x509.KeyUsageDigitalSignature
	cert.IPAddresses, cert.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
	return files, a.sign(files.Cert, cert, &key.PublicKey)
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(certificateLife),
		BasicConstraintsValid: true,
	}
}

// sign writes the certificate of a public key.
func (a *authority) sign(file string, cert *x509.Certificate, public *ecdsa.PublicKey) error {
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, public, a.key)
	if err != nil {
		return fmt.Errorf("sign %s: %w", file, err)
	}
	return writePEM(file, "CERTIFICATE", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// probe is like probeClient for a server that speaks TLS.
func (f TLSFiles) probe() (*http.Client, error) {
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	config.RootCAs.AppendCertsFromPEM(ca)
	return &http.Client{
		Timeout:   probeClient.Timeout,
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config},
	}, nil
}
