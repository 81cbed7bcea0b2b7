// Command tekton-verify runs Tekton's own VerifyTaskRunResults over the termination messages of steps: over one (-message), or
// over many, again and again, to say at which rate it does that (-messages).
//
// It asks the Workload API at SOCKET for the trust bundle, as Tekton's controller would, and exits 0 only if Tekton accepts.
// With -serve it is a Workload API itself.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

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
	messages := flag.String("messages", "", `file with lines of {"name": …, "message": …}: all of them are verified`)
	rounds := flag.Int("rounds", 1, "how often -messages are verified")
	serve := flag.String("serve", "", "be the Workload API at this socket: with -svid, -key and -authority, until stdin ends")
	svid := flag.String("svid", "", "DER of the SVID that is served")
	key := flag.String("key", "", "PKCS#8 DER of its key")
	authority := flag.String("authority", "", "DER of the authority that is served")
	flag.Parse()
	var err error
	switch {
	case *serve != "":
		err = serveWorkloadAPI(*serve, *trustDomain, *svid, *key, *authority)
	case *messages != "":
		err = verifyAll(*socket, *trustDomain, *namespace, *messages, *rounds)
	default:
		err = verifyOne(*socket, *trustDomain, *namespace, *name, *message)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	if *message != "" {
		fmt.Println("accepted")
	}
}

// client gives Tekton's own, which its constructor keeps private: it is reached the way Tekton's controller reaches it.
func client(socket, trustDomain string) (context.Context, spire.ControllerAPIClient) {
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
	return ctx, client
}

func verify(ctx context.Context, client spire.ControllerAPIClient, namespace, name, message string) error {
	results, err := termination.ParseMessage(zap.NewNop().Sugar(), message)
	if err != nil {
		return err
	}
	taskRun := &v1beta1.TaskRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	return client.VerifyTaskRunResults(ctx, results, taskRun)
}

func verifyOne(socket, trustDomain, namespace, name, message string) error {
	raw, err := os.ReadFile(message)
	if err != nil {
		return err
	}
	ctx, client := client(socket, trustDomain)
	return verify(ctx, client, namespace, name, string(raw))
}

// verifyAll prints how many messages were verified, and the seconds of CPU time and of wall time that took.
func verifyAll(socket, trustDomain, namespace, file string, rounds int) error {
	type line struct{ Name, Message string }
	opened, err := os.Open(file)
	if err != nil {
		return err
	}
	defer opened.Close()
	var lines []line
	scanner := bufio.NewScanner(opened)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var one line
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			return err
		}
		lines = append(lines, one)
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	ctx, client := client(socket, trustDomain)
	// The first one connects.
	if err := verify(ctx, client, namespace, lines[0].Name, lines[0].Message); err != nil {
		return err
	}
	cpu, wall := cpuTime(), time.Now()
	for range rounds {
		for _, one := range lines {
			if err := verify(ctx, client, namespace, one.Name, one.Message); err != nil {
				return fmt.Errorf("%s: %w", one.Name, err)
			}
		}
	}
	fmt.Println(rounds*len(lines), (cpuTime() - cpu).Seconds(), time.Since(wall).Seconds())
	return nil
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
