package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// validity of every certificate. The node is made anew long before.
const validity = 365 * 24 * time.Hour

// authority signs the certificates of one node. Its key is never written
// where only the certificate is asked for.
type authority struct {
	node        *Node
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// identity is a client's or server's name in its certificate.
type identity struct {
	file, name, group string
	addresses         []string
	names             []string
}

func (n *Node) certificate(name string) string { return n.path("pki", name+".crt") }
func (n *Node) key(name string) string         { return n.path("pki", name+".key") }

// issueCertificates makes a new authority, all certificates and kubeconfigs.
func (n *Node) issueCertificates() error {
	if err := os.MkdirAll(n.path("pki"), 0o700); err != nil {
		return err
	}
	signer, err := newAuthority(n)
	if err != nil {
		return fmt.Errorf("make the certificate authority: %w", err)
	}
	identities := []identity{
		{
			file: "apiserver", name: "kube-apiserver",
			addresses: []string{"127.0.0.1", Address, apiService, linkAddress},
			names: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			},
		},
		{file: "admin", name: "kubernetes-admin", group: "system:masters"},
		{file: "kubelet", name: "system:node:" + Name, group: "system:nodes"},
		{file: "controller-manager", name: "system:kube-controller-manager"},
		{file: "scheduler", name: "system:kube-scheduler"},
		{file: "proxy", name: "system:kube-proxy"},
		{file: "aggregator", name: "aggregator"},
		// A name of its own: in the audit log its writes are not the administrator's.
		{file: "provisioner", name: "storage-provisioner", group: "system:masters"},
	}
	for _, identity := range identities {
		if err := signer.issue(identity); err != nil {
			return fmt.Errorf("issue the certificate %s: %w", identity.file, err)
		}
	}
	if err := n.serviceAccountKeys(); err != nil {
		return fmt.Errorf("make the keys for service accounts: %w", err)
	}
	for _, part := range []string{"admin", "kubelet", "controller-manager", "scheduler", "proxy", "provisioner"} {
		if err := signer.kubeconfig(part, n.path("pki", part+".kubeconfig"), "https://127.0.0.1:6443"); err != nil {
			return err
		}
	}
	return signer.kubeconfig("admin", n.Kubeconfig(), Server)
}

func newAuthority(n *Node) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := unsigned("learningplatform-node")
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	signer := &authority{node: n, certificate: certificate, key: key, pem: encode("CERTIFICATE", der)}
	if err := os.WriteFile(n.certificate("ca"), signer.pem, 0o644); err != nil {
		return nil, err
	}
	return signer, writeKey(n.key("ca"), key)
}

func unsigned(name string) *x509.Certificate {
	// 127 bits: unique without keeping a count, and below the 20 octets that
	// RFC 5280 allows.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		serial = big.NewInt(time.Now().UnixNano())
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // for a clock that is set back
		NotAfter:     now.Add(validity),
	}
}

func (a *authority) issue(who identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := unsigned(who.name)
	if who.group != "" {
		template.Subject.Organization = []string{who.group}
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(who.names) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.DNSNames = who.names
	}
	for _, address := range who.addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.node.certificate(who.file), encode("CERTIFICATE", der), 0o644); err != nil {
		return err
	}
	return writeKey(a.node.key(who.file), key)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, encode("EC PRIVATE KEY", der), 0o600)
}

func (n *Node) serviceAccountKeys() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.path("pki", "sa.pub"), encode("PUBLIC KEY", public), 0o644); err != nil {
		return err
	}
	private := encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	return os.WriteFile(n.key("sa"), private, 0o600)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (a *authority) kubeconfig(who, file, server string) error {
	certificate, err := os.ReadFile(a.node.certificate(who))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(a.node.key(who))
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: %[1]s
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
contexts:
- name: %[1]s
  context:
    cluster: %[1]s
    user: %[4]s
users:
- name: %[4]s
  user:
    client-certificate-data: %[5]s
    client-key-data: %[6]s
`, Name, server, text(a.pem), who, text(certificate), text(key))
	return os.WriteFile(file, []byte(content), 0o600)
}
