//go:build tools

// Package peers keeps the two programs in the module graph.
package peers

import (
	_ "github.com/spiffe/spire/cmd/spire-agent"
	_ "github.com/spiffe/spire/cmd/spire-server"
)
