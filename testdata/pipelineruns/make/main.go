// What Tekton's controller makes of $(tasks.…) in pipelines, of matrices and of names: one JSON object a line, from a fixed seed.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun/resources"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/selection"
	"knative.dev/pkg/apis"
)

func taskRun(name string, results ...v1.TaskRunResult) *v1.TaskRun {
	run := &v1.TaskRun{ObjectMeta: metav1.ObjectMeta{Name: name}}
	run.Status.SetCondition(&apis.Condition{Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded"})
	run.Status.Results = results
	return run
}

func result(name string, value v1.ResultValue) v1.TaskRunResult {
	return v1.TaskRunResult{Name: name, Type: v1.ResultsType(value.Type), Value: value}
}

// Task a has results of every type, task m is a matrix whose second run lacks one of its results.
func state() resources.PipelineRunState {
	list := func(items ...string) v1.ResultValue {
		return v1.ResultValue{Type: v1.ParamTypeArray, ArrayVal: append([]string{}, items...)}
	}
	a := taskRun("run-a",
		result("s", *v1.NewStructuredValues("text")),
		result("d", *v1.NewStructuredValues("$(tasks.a.results.s)")),
		result("l", list("x", "y")),
		result("one", list("x")),
		result("none", list()),
		result("o", *v1.NewObject(map[string]string{"k": "v", "n": "$(tasks.a.results.s)"})),
	)
	matrix := &v1.Matrix{Params: v1.Params{{Name: "p", Value: list("1", "2")}}}
	return resources.PipelineRunState{
		{PipelineTask: &v1.PipelineTask{Name: "a"}, TaskRunNames: []string{"run-a"}, TaskRuns: []*v1.TaskRun{a}},
		{PipelineTask: &v1.PipelineTask{Name: "m", Matrix: matrix}, TaskRunNames: []string{"run-m-0", "run-m-1"}, TaskRuns: []*v1.TaskRun{
			taskRun("run-m-0", result("r", *v1.NewStructuredValues("m0")), result("q", *v1.NewStructuredValues("q0"))),
			taskRun("run-m-1", result("r", *v1.NewStructuredValues("m1"))),
		}},
	}
}

var texts = []string{
	"$(tasks.a.results.s)", "$(tasks.a.results.d)", "$(tasks.a.results.l)", "$(tasks.a.results.l[*])", "$(tasks.a.results.l[0])",
	"$(tasks.a.results.l[1])", "$(tasks.a.results.l[2])", "$(tasks.a.results.one[*])", "$(tasks.a.results.none[*])", "$(tasks.a.results.o)",
	"$(tasks.a.results.o[*])", "$(tasks.a.results.o.k)", "$(tasks.a.results.o.n)", "$(tasks.a.results.o.z)", "$(tasks.m.results.r[*])",
	"$(tasks.m.results.r)", "$(tasks.m.results.r[1])", "$(tasks.m.results.q[*])", "$(tasks.a.results.s[*])", "$(tasks.a.results.s[0])",
	"$(tasks.a.results['s'])", "$(tasks.a.results.missing)", "$(tasks.b.results.s)", "plain", "", "$", "$(", ")", "$(date)", "$$", " ",
}

func text(r *rand.Rand) string {
	made := ""
	for range 1 + r.Intn(3)*r.Intn(2) {
		made += texts[r.Intn(len(texts))]
	}
	return made
}

func value(r *rand.Rand) v1.ParamValue {
	switch r.Intn(4) {
	case 0:
		items := []string{}
		for range r.Intn(4) {
			items = append(items, text(r))
		}
		return v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: items}
	case 1:
		return *v1.NewObject(map[string]string{"k": text(r), "l": text(r)})
	default:
		return *v1.NewStructuredValues(text(r))
	}
}

func emit(kind string, given, made any) {
	line, err := json.Marshal(map[string]any{"kind": kind, "given": given, "made": made})
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stdout, string(line))
}

// apply gives the task as its runs are made, or nil if the controller makes none.
func apply(task *v1.PipelineTask) *v1.PipelineTask {
	all := state()
	target := resources.PipelineRunState{{PipelineTask: task}}
	refs, _, err := resources.ResolveResultRefs(all, target)
	if err != nil {
		return nil
	}
	resources.ApplyTaskResults(target, refs)
	return target[0].PipelineTask
}

func main() {
	r := rand.New(rand.NewSource(20261129))
	for range 400 {
		given := value(r)
		made := apply(&v1.PipelineTask{Name: "t", Params: v1.Params{{Name: "p", Value: given}}})
		if made == nil {
			emit("param", given, nil)
			continue
		}
		emit("param", given, made.Params[0].Value)
	}
	for range 400 {
		when := v1.WhenExpressions{}
		for range 1 + r.Intn(2) {
			operator := []selection.Operator{selection.In, selection.NotIn}[r.Intn(2)]
			values := []string{}
			for range 1 + r.Intn(2) {
				values = append(values, []string{text(r), "text", "x", "v", "m0"}[r.Intn(5)])
			}
			input := []string{text(r), "text", "x"}[r.Intn(3)]
			when = append(when, v1.WhenExpression{Input: input, Operator: operator, Values: values})
		}
		given, _ := json.Marshal(when)
		made := apply(&v1.PipelineTask{Name: "t", When: when})
		if made == nil {
			emit("when", json.RawMessage(given), nil)
			continue
		}
		emit("when", json.RawMessage(given), made.When.AllowsExecution(nil))
	}
	for range 400 {
		given := value(r)
		results := []v1.PipelineResult{{Name: "r", Value: given}}
		encoded, _ := json.Marshal(given)
		status := map[string]string{"tasks.a.status": "Succeeded", "tasks.m.status": "Succeeded"}
		all := state()
		// The results of a matrix are put together when somebody asks for them.
		_, _, _ = resources.ResolveResultRefs(all, resources.PipelineRunState{{PipelineTask: &v1.PipelineTask{
			Name: "t", Params: v1.Params{{Name: "p", Value: *v1.NewStructuredValues("$(tasks.m.results.r[*])")}}}}})
		made, err := func() (made []v1.PipelineRunResult, err error) {
			defer func() {
				if recover() != nil {
					err = fmt.Errorf("it panics")
				}
			}()
			return resources.ApplyTaskResultsToPipelineResults(results, all.GetTaskRunsResults(), nil, status)
		}()
		switch {
		case err != nil:
			emit("result", json.RawMessage(encoded), map[string]any{"error": true})
		case len(made) == 0:
			emit("result", json.RawMessage(encoded), nil)
		default:
			emit("result", json.RawMessage(encoded), made[0].Value)
		}
	}
	for range 200 {
		matrix := v1.Matrix{}
		for i := range r.Intn(4) {
			items := []string{}
			for j := range r.Intn(4) {
				items = append(items, fmt.Sprint(j))
			}
			matrix.Params = append(matrix.Params, v1.Param{Name: string(rune('d' - i)), Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: items}})
		}
		for range r.Intn(3) {
			include := v1.IncludeParams{}
			for range 1 + r.Intn(2) {
				name := string(rune('b' + r.Intn(4)))
				include.Params = append(include.Params, v1.Param{Name: name, Value: *v1.NewStructuredValues(fmt.Sprint(r.Intn(4)))})
			}
			matrix.Include = append(matrix.Include, include)
		}
		given, _ := json.Marshal(matrix)
		emit("matrix", json.RawMessage(given), matrix.FanOut())
		emit("count", json.RawMessage(given), matrix.CountCombinations())
	}
	for range 200 {
		name := func() string {
			made := ""
			for range 1 + r.Intn(70) {
				made += string("abcdefghij0123456789--"[r.Intn(22)])
			}
			return "p" + made + "z"
		}
		run, task, count := name(), name(), []int{1, 1, 2, 12}[r.Intn(4)]
		if len(task) > 63 {
			task = task[:62] + "z"
		}
		emit("names", []any{run, task, count}, resources.GetNamesOfTaskRuns(nil, task, run, count))
	}
	conditions(r)
	contexts(r)
}

// conditions: what the status says of when expressions, and what those in CEL come to.
func conditions(r *rand.Rand) {
	for range 300 {
		when := v1.WhenExpressions{{Input: text(r), Operator: selection.In, Values: []string{text(r), text(r)}[:1+r.Intn(2)]}}
		given, _ := json.Marshal(when)
		if made := apply(&v1.PipelineTask{Name: "t", When: when}); made != nil {
			emit("stated", json.RawMessage(given), made.When)
		}
	}
	for range 300 {
		quoted := func() string { return "'" + texts[r.Intn(23)] + "'" }
		cel := []string{quoted() + " == " + quoted(), quoted() + ".startsWith('t')", "size(" + quoted() + ") > 2", quoted(),
			quoted() + " in ['text', 'x', 'm0']", quoted() + " != '' && " + quoted() + " == 'x'"}[r.Intn(6)]
		when := v1.WhenExpressions{{CEL: cel}}
		if r.Intn(3) == 0 {
			when = append(when, v1.WhenExpression{Input: text(r), Operator: selection.NotIn, Values: []string{"text"}})
		}
		given, _ := json.Marshal(when)
		made := apply(&v1.PipelineTask{Name: "t", When: when})
		if made == nil {
			emit("when", json.RawMessage(given), nil)
			continue
		}
		emit("stated", json.RawMessage(given), made.When)
		task := resources.ResolvedPipelineTask{PipelineTask: made}
		if err := task.EvaluateCEL(); err != nil {
			emit("when", json.RawMessage(given), nil)
			continue
		}
		emit("when", json.RawMessage(given), made.When.AllowsExecution(task.EvaluatedCEL))
	}
}

// contexts: parameters in which the controller puts the number of retries and of a matrix' runs.
func contexts(r *rand.Rand) {
	texts := []string{"$(context.pipelineTask.retries)", "$(tasks.m.matrix.length)", "$(tasks.m.matrix.r.length)", "$(tasks.m.matrix.q.length)",
		"$(tasks.m.matrix.none.length)", "$(tasks.a.matrix.length)", "$(tasks.a.matrix.s.length)", "$(tasks.b.matrix.length)", "$(tasks.m.matrix.r.length.x)", "plain", "", "$"}
	for range 400 {
		params := v1.Params{}
		for i := range 1 + r.Intn(2) {
			value := ""
			for range 1 + r.Intn(3) {
				value += texts[r.Intn(len(texts))]
			}
			params = append(params, v1.Param{Name: fmt.Sprint("p", i), Value: *v1.NewStructuredValues(value)})
		}
		task := &v1.PipelineTask{Name: "t", Retries: r.Intn(3), Params: params, RunAfter: []string{"a", "m"}}
		given, _ := json.Marshal(task)
		facts := &resources.PipelineRunFacts{State: state()}
		status := v1.PipelineRunStatus{}
		status.PipelineSpec = &v1.PipelineSpec{}
		for _, task := range facts.State {
			status.PipelineSpec.Tasks = append(status.PipelineSpec.Tasks, *task.PipelineTask)
		}
		emit("context", json.RawMessage(given), resources.ApplyPipelineTaskContexts(task, status, facts).Params)
	}
}
