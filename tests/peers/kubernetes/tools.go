//go:build tools

package main

import (
	_ "go.etcd.io/etcd/server/v3" // keeps the programs in the module graph
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
