// external-dns' own webhook server in front of its own PowerDNS provider: a real plug-in for the test of ours.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/provider/pdns"
	"sigs.k8s.io/external-dns/provider/webhook/api"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8888", "where to serve the protocol")
	server := flag.String("pdns-server", "", "PowerDNS' API, as in http://127.0.0.1:8081; its key is in PDNS_API_KEY")
	domains := flag.String("domains", "", "the zones, with commas")
	flag.Parse()

	cfg := externaldns.NewConfig()
	cfg.PDNSServer, cfg.PDNSServerID, cfg.PDNSAPIKey = *server, "localhost", os.Getenv("PDNS_API_KEY")
	provider, err := pdns.New(context.Background(), cfg, endpoint.NewDomainFilter(strings.Split(*domains, ",")))
	if err != nil {
		log.Fatal(err)
	}
	const patience = 10 * time.Second
	api.StartHTTPApi(provider, nil, patience, patience, *listen)
}
