package node

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// client asks the API server as the administrator, from the host.
func (n *Node) client() (*http.Client, error) {
	certificate, err := tls.LoadX509KeyPair(n.certificate("admin"), n.key("admin"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(n.certificate("ca"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("the node's authority is not a certificate")
	}
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			// Never through a proxy: the address is on this machine.
			Proxy:           nil,
			TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: roots},
		},
	}, nil
}

func get(client *http.Client, path string) ([]byte, error) {
	response, err := client.Get(Server + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %.300s", path, response.Status, body)
	}
	return body, nil
}

// apiReady says whether the API server serves.
func apiReady(client *http.Client) error {
	_, err := get(client, "/readyz")
	return err
}

// nodeReady says whether the kubelet has the node Ready.
func nodeReady(client *http.Client) error {
	body, err := get(client, "/api/v1/nodes/"+Name)
	if err != nil {
		return err
	}
	var object struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return err
	}
	for _, condition := range object.Status.Conditions {
		if condition.Type == "Ready" {
			if condition.Status == "True" {
				return nil
			}
			return fmt.Errorf("the node is not Ready: %s", condition.Message)
		}
	}
	return errors.New("the kubelet has not reported yet")
}

// metricsReady says whether pod metrics, which the HPA reads, are served.
func metricsReady(client *http.Client) error {
	_, err := get(client, "/apis/metrics.k8s.io/v1beta1")
	return err
}
