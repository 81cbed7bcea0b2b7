// programs makes of each TaskRun on standard input (JSON lines: {"name","taskRun","stepActions"}) what Tekton's controller makes of
// it: the task in the status and the containers of the pod, after the kubelet has put variables in.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	tektonfake "github.com/tektoncd/pipeline/pkg/client/clientset/versioned/fake"
	"github.com/tektoncd/pipeline/pkg/pod"
	"github.com/tektoncd/pipeline/pkg/reconciler/taskrun/resources"
	"github.com/tektoncd/pipeline/pkg/workspace"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
)

type kind struct {
	Name        string               `json:"name"`
	TaskRun     v1.TaskRun           `json:"taskRun"`
	StepActions []v1beta1.StepAction `json:"stepActions,omitempty"`
}

type container struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	Args    []string `json:"args"`
}

type made struct {
	Name    string       `json:"name"`
	Params  v1.Params    `json:"params,omitempty"`
	Spec    *v1.TaskSpec `json:"taskSpec"`
	Steps   []container  `json:"steps"`
	Scripts string       `json:"placeScripts"`
}

func build(k kind) (*made, error) {
	ctx := context.Background()
	cfg := config.FromContextOrDefaults(ctx)
	flags := *cfg.FeatureFlags
	flags.EnableAPIFields = "alpha"
	flags.EnforceNonfalsifiability = "spire"
	flags.EnableCELInWhenExpression = true
	flags.EnableStepActions = true
	flags.EnableParamEnum = true
	flags.EnableArtifacts = true
	cfg.FeatureFlags = &flags
	ctx = config.ToContext(ctx, cfg)
	tr := &k.TaskRun
	tr.Namespace, tr.Spec.ServiceAccountName = "default", "default"
	tr.UID = "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70"
	tr.SetDefaults(ctx)
	if err := tr.Validate(ctx); err != nil {
		return nil, err
	}
	kube := kubefake.NewSimpleClientset(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "default"}})
	objects := []runtime.Object{}
	for i := range k.StepActions {
		k.StepActions[i].Namespace = "default"
		objects = append(objects, &k.StepActions[i])
	}
	tekton := tektonfake.NewSimpleClientset(objects...)
	spec := tr.Spec.TaskSpec.DeepCopy()
	spec.SetDefaults(ctx)
	steps, err := resources.GetStepActionsData(ctx, *spec, tr, tekton, kube, nil)
	if err != nil {
		return nil, err
	}
	spec.Steps = steps
	// pkg/reconciler/taskrun/taskrun.go, reconcile and applyParamsContextsResultsAndWorkspaces
	resources.ApplyParametersToWorkspaceBindings(spec, tr)
	volumes := workspace.CreateVolumes(tr.Spec.Workspaces)
	apply := func(spec *v1.TaskSpec) *v1.TaskSpec {
		ts := resources.ApplyParameters(spec, tr, spec.Params...)
		ts = resources.ApplyContexts(ts, "the-task", tr)
		ts = resources.ApplyResults(ts)
		ts = resources.ApplyArtifacts(ts)
		ts = resources.ApplyStepExitCodePath(ts)
		return resources.ApplyWorkspaces(ctx, ts, ts.Workspaces, tr.Spec.Workspaces, volumes)
	}
	ts := apply(spec)
	// Each later reconcile does it again, to the task in the status.
	status := apply(apply(ts.DeepCopy()))
	if err := v1.ValidateUsageOfDeclaredParameters(ctx, ts.Steps, ts.Params); err != nil {
		return nil, err
	}
	if err := ts.Validate(ctx); err != nil {
		return nil, err
	}
	// createPod
	ts, err = workspace.Apply(ctx, *ts.DeepCopy(), tr.Spec.Workspaces, volumes)
	if err != nil {
		return nil, err
	}
	ts = resources.ApplyCredentialsPath(ts, pipeline.CredsDir)
	cache, err := pod.NewEntrypointCache(kube)
	if err != nil {
		return nil, err
	}
	builder := pod.Builder{
		Images:     pipeline.Images{EntrypointImage: "e", NopImage: "n", ShellImage: "s", ShellImageWin: "w", WorkingDirInitImage: "d", SidecarLogResultsImage: "l"},
		KubeClient: kube, EntrypointCache: cache,
	}
	p, err := builder.Build(ctx, tr, *ts)
	if err != nil {
		return nil, err
	}
	out := &made{Name: k.Name, Params: tr.Spec.Params, Spec: status}
	for _, c := range p.Spec.InitContainers {
		if c.Name == "place-scripts" {
			out.Scripts = c.Args[1]
		}
	}
	for _, c := range p.Spec.Containers {
		if !pod.IsContainerStep(c.Name) {
			continue
		}
		env := map[string]string{}
		for _, e := range c.Env {
			env[e.Name] = e.Value
		}
		expanded := container{Name: c.Name, Command: c.Command}
		for _, arg := range c.Args {
			expanded.Args = append(expanded.Args, expand(arg, env))
		}
		out.Steps = append(out.Steps, expanded)
	}
	return out, nil
}

// expand is what the kubelet does to arguments (k8s.io/kubernetes third_party/forked/golang/expansion).
func expand(in string, env map[string]string) string {
	out := ""
	for i := 0; i < len(in); i++ {
		if in[i] != '$' || i+1 == len(in) {
			out += in[i : i+1]
			continue
		}
		switch in[i+1] {
		case '$':
			out, i = out+"$", i+1
		case '(':
			end := i + 2
			for end < len(in) && in[end] != ')' {
				end++
			}
			if end == len(in) {
				out, i = out+"$(", i+1
				continue
			}
			if value, ok := env[in[i+2:end]]; ok {
				out += value
			} else {
				out += in[i : end+1]
			}
			i = end
		default:
			out, i = out+"$"+string(rune(in[i+1])), i+1
		}
	}
	return out
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var k kind
		if err := json.Unmarshal(in.Bytes(), &k); err != nil {
			fmt.Fprintln(os.Stderr, string(in.Bytes()), err)
			os.Exit(1)
		}
		m, err := build(k)
		if err != nil {
			fmt.Fprintln(os.Stderr, k.Name, err)
			continue
		}
		line, _ := json.Marshal(m)
		fmt.Println(string(line))
	}
}
