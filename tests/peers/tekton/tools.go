//go:build tools

package main

import _ "github.com/tektoncd/pipeline/cmd/entrypoint" // keeps the program in the module graph
