// when evaluates CEL expressions exactly as Tekton's entrypoint does for a step's `when` (pkg/entrypoint
// allowExec): an environment of cel.NewEnv() and nothing else. It reads one JSON string per line and writes one JSON
// object per line: {"value": true|false} or {"error": "..."}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/cel-go/cel"
)

type answer struct {
	Value *bool   `json:"value,omitempty"`
	Error *string `json:"error,omitempty"`
}

func evaluate(expression string) (bool, error) {
	env, err := cel.NewEnv()
	if err != nil {
		return false, err
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return false, issues.Err()
	}
	program, err := env.Program(ast)
	if err != nil {
		return false, err
	}
	out, _, err := program.Eval(map[string]interface{}{})
	if err != nil {
		return false, err
	}
	value, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the CEL expression %s is not evaluated to a boolean", expression)
	}
	return value, nil
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	decoder, encoder := json.NewDecoder(lines), json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for {
		var expression string
		if err := decoder.Decode(&expression); err != nil {
			return
		}
		var said answer
		if value, err := evaluate(expression); err != nil {
			text := err.Error()
			said.Error = &text
		} else {
			said.Value = &value
		}
		if err := encoder.Encode(said); err != nil {
			panic(err)
		}
	}
}
