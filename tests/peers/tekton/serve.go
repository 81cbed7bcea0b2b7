package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
)

// workloadAPI hands out one SVID and one bundle, which never change.
type workloadAPI struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	trustDomain          string
	svid, key, authority []byte
}

func (api *workloadAPI) FetchX509SVID(_ *workload.X509SVIDRequest, stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer) error {
	err := stream.Send(&workload.X509SVIDResponse{Svids: []*workload.X509SVID{{
		SpiffeId:    "spiffe://" + api.trustDomain + "/controller",
		X509Svid:    api.svid,
		X509SvidKey: api.key,
		Bundle:      api.authority,
	}}})
	return untilDone(stream.Context(), err)
}

func (api *workloadAPI) FetchX509Bundles(_ *workload.X509BundlesRequest, stream workload.SpiffeWorkloadAPI_FetchX509BundlesServer) error {
	bundles := map[string][]byte{"spiffe://" + api.trustDomain: api.authority}
	return untilDone(stream.Context(), stream.Send(&workload.X509BundlesResponse{Bundles: bundles}))
}

// untilDone keeps the stream open, as an agent does, until the client leaves.
func untilDone(ctx context.Context, err error) error {
	if err == nil {
		<-ctx.Done()
	}
	return err
}

func serveWorkloadAPI(socket, trustDomain, svid, key, authority string) error {
	api := &workloadAPI{trustDomain: trustDomain}
	for file, into := range map[string]*[]byte{svid: &api.svid, key: &api.key, authority: &api.authority} {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		*into = content
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, api)
	go server.Serve(listener)
	fmt.Println("serving")
	_, err = io.Copy(io.Discard, os.Stdin)
	server.Stop()
	return err
}
