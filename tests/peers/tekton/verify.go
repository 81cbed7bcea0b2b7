// Command tekton-verify runs Tekton's own VerifyTaskRunResults over the termination message of one step.
//
// It asks the Workload API at SOCKET for the trust bundle, as Tekton's controller would, and exits 0 only if Tekton accepts.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"github.com/tektoncd/pipeline/pkg/spire"
	spireconfig "github.com/tektoncd/pipeline/pkg/spire/config"
	"github.com/tektoncd/pipeline/pkg/termination"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"knative.dev/pkg/injection"
)

func main() {
	socket := flag.String("socket", "", "Workload API address")
	trustDomain := flag.String("trust-domain", "example.org", "trust domain")
	namespace := flag.String("namespace", "default", "namespace of the TaskRun")
	name := flag.String("name", "", "name of the TaskRun")
	message := flag.String("message", "", "file with the termination message")
	flag.Parse()
	if err := verify(*socket, *trustDomain, *namespace, *name, *message); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}

func verify(socket, trustDomain, namespace, name, message string) error {
	raw, err := os.ReadFile(message)
	if err != nil {
		return err
	}
	results, err := termination.ParseMessage(zap.NewNop().Sugar(), string(raw))
	if err != nil {
		return err
	}
	// The client's constructor is private to Tekton: it is reached the way Tekton's controller reaches it.
	ctx := context.Background()
	for _, register := range injection.Default.GetClients() {
		ctx = register(ctx, &rest.Config{})
	}
	client := spire.GetControllerAPIClient(ctx)
	client.SetConfig(spireconfig.SpireConfig{
		TrustDomain:     trustDomain,
		SocketPath:      socket,
		ServerAddr:      "127.0.0.1:1",
		NodeAliasPrefix: "/tekton-node/",
	})
	taskRun := &v1beta1.TaskRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	return client.VerifyTaskRunResults(ctx, results, taskRun)
}
