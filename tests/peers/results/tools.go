//go:build tools

package main

import _ "github.com/tektoncd/results/cmd/api" // keeps the program in the module graph
