// reader reads documents as kubectl and controllers do: YAML with sigs.k8s.io/yaml, JSON with encoding/json, and either as
// Tekton's own TaskRun type. It reads one JSON object per line, {"as": "yaml"|"json"|"taskrun"|"taskrun-json"|"v1beta1"|"write",
// "text": base64}, and writes one per line: {"value": ...} or {"error": "..."}. "write" takes JSON and answers the YAML that kubectl would
// print; "v1beta1" takes a run of tekton.dev/v1 as JSON and answers what Tekton's webhook gives to whoever asks for it in v1beta1.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"
)

type request struct {
	As   string `json:"as"`
	Text []byte `json:"text"`
}

type answer struct {
	Value json.RawMessage `json:"value,omitempty"`
	Error *string         `json:"error,omitempty"`
}

// canonical is a document with its members in order, each once, and its numbers as they stand in it.
func canonical(document []byte) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return marshal(value)
}

func marshal(value any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(out.Bytes()), err
}

// older is what both types of v1beta1 are.
type older interface {
	apis.Convertible
	runtime.Object
}

func inV1beta1(text []byte) (json.RawMessage, error) {
	var named metav1.TypeMeta
	if err := json.Unmarshal(text, &named); err != nil {
		return nil, err
	}
	var from apis.Convertible
	var to older
	switch named {
	case metav1.TypeMeta{Kind: "TaskRun", APIVersion: "tekton.dev/v1"}:
		from, to = &v1.TaskRun{}, &v1beta1.TaskRun{}
	case metav1.TypeMeta{Kind: "PipelineRun", APIVersion: "tekton.dev/v1"}:
		from, to = &v1.PipelineRun{}, &v1beta1.PipelineRun{}
	default:
		return nil, fmt.Errorf("%+v is not a run of tekton.dev/v1", named)
	}
	if err := json.Unmarshal(text, from); err != nil {
		return nil, err
	}
	if err := to.ConvertFrom(context.Background(), from); err != nil {
		return nil, err
	}
	to.GetObjectKind().SetGroupVersionKind(v1beta1.SchemeGroupVersion.WithKind(named.Kind))
	return marshal(to)
}

func read(asked request) (value json.RawMessage, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	switch asked.As {
	case "yaml":
		document, err := yaml.YAMLToJSON(asked.Text)
		if err != nil {
			return nil, err
		}
		return canonical(document)
	case "json":
		return canonical(asked.Text)
	case "taskrun":
		var object v1.TaskRun
		if err := yaml.Unmarshal(asked.Text, &object); err != nil {
			return nil, err
		}
		return marshal(object)
	case "taskrun-json":
		var object v1.TaskRun
		if err := json.Unmarshal(asked.Text, &object); err != nil {
			return nil, err
		}
		return marshal(object)
	case "v1beta1":
		return inV1beta1(asked.Text)
	case "write":
		document, err := yaml.JSONToYAML(asked.Text)
		if err != nil {
			return nil, err
		}
		return marshal(string(document))
	}
	return nil, fmt.Errorf("what is %q?", asked.As)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<30)
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		// An empty line asks for what was answered so far.
		if len(lines.Bytes()) == 0 {
			out.Flush()
			continue
		}
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		var said answer
		value, err := read(asked)
		if err != nil {
			text := err.Error()
			said.Error = &text
		} else {
			said.Value = value
		}
		if err := encoder.Encode(said); err != nil {
			panic(err)
		}
	}
	out.Flush()
}
