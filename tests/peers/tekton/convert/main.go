// convert gives objects of tekton.dev/v1 as Tekton's own webhook gives them to whoever asks for tekton.dev/v1beta1
// (pkg/apis/pipeline/v1beta1, ConvertFrom). It reads one TaskRun or PipelineRun of v1 per line and writes what it becomes, in one line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
)

func convert(ctx context.Context, raw json.RawMessage) (any, error) {
	var kind struct{ Kind, APIVersion string }
	if err := json.Unmarshal(raw, &kind); err != nil {
		return nil, err
	}
	if kind.APIVersion != "tekton.dev/v1" {
		return nil, fmt.Errorf("%s is not tekton.dev/v1", kind.APIVersion)
	}
	switch kind.Kind {
	case "TaskRun":
		from, to := v1.TaskRun{}, v1beta1.TaskRun{}
		if err := json.Unmarshal(raw, &from); err != nil {
			return nil, err
		}
		err := to.ConvertFrom(ctx, &from)
		to.Kind, to.APIVersion = kind.Kind, "tekton.dev/v1beta1"
		return to, err
	case "PipelineRun":
		from, to := v1.PipelineRun{}, v1beta1.PipelineRun{}
		if err := json.Unmarshal(raw, &from); err != nil {
			return nil, err
		}
		err := to.ConvertFrom(ctx, &from)
		to.Kind, to.APIVersion = kind.Kind, "tekton.dev/v1beta1"
		return to, err
	}
	return nil, fmt.Errorf("%s is neither a TaskRun nor a PipelineRun", kind.Kind)
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	decoder, encoder := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20)), json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err == io.EOF {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "convert:", err)
			os.Exit(1)
		}
		converted, err := convert(context.Background(), raw)
		if err == nil {
			err = encoder.Encode(converted)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "convert:", err)
			os.Exit(1)
		}
	}
}
