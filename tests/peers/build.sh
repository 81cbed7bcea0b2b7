#!/usr/bin/env bash
# Builds the real peers that the tests run against, from their published Go modules, into the folder named by the first
# argument: spire-server, spire-agent, tekton-entrypoint, tekton-sidecarlogresults, tekton-verify, tekton-when and tekton-reader. Does nothing
# when they are there already.
set -euo pipefail

SPIRE=v1.15.3
TEKTON=v1.15.0

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
stamp=$(cd "$here" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-16)
[ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ] && exit 0
echo "building SPIRE $SPIRE and Tekton $TEKTON for the tests: once, takes minutes" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# prepare FOLDER MODULE VERSION SUM MODSUM: a module of our own with exactly the dependency versions that MODULE pins.
# (`go install MODULE@VERSION` needs a version list that not every module proxy serves, and refuses `replace`.)
prepare() {
	cp -r "$here/$1" "$work/$1"
	cd "$work/$1"
	local source
	source=$(cd / && go mod download -json "$2@$3" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	sed '1s/.*/module peers/' "$source/go.mod" >go.mod
	go mod edit -require="$2@$3"
	{
		cat "$source/go.sum"
		printf '%s %s %s\n' "$2" "$3" "$4" "$2" "$3/go.mod" "$5"
	} >go.sum
}

# The EJBCA client is an upstream authority nobody uses here and some module proxies do not serve it: a stub stands in.
prepare spire github.com/spiffe/spire $SPIRE \
	h1:z1h9DOYWtPdPQiKL2F+BShzfTq0k235tdROg0WRo8S8= h1:la74DxcqcRc33ICmerqPN7K4g03DOqYydYe5bdAWkXo=
go mod edit -replace=github.com/Keyfactor/ejbca-go-client-sdk=./ejbca
CGO_ENABLED=1 go build -trimpath -ldflags '-s -w' -o "$out/" \
	github.com/spiffe/spire/cmd/spire-server github.com/spiffe/spire/cmd/spire-agent

prepare tekton github.com/tektoncd/pipeline $TEKTON \
	h1:ZGboFUaEdpYurZWqeGT5rn9e6qmomGL/gLSKhHp2vvQ= h1:HghtkZ1D9b91o0YiXABDUd+c2C6R4kbk+PumnHqs3Bk=
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/tekton-entrypoint" github.com/tektoncd/pipeline/cmd/entrypoint
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/tekton-sidecarlogresults" github.com/tektoncd/pipeline/cmd/sidecarlogresults
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/tekton-verify" .
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/tekton-when" ./when
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/tekton-reader" ./reader

echo "$stamp" >"$out/stamp"
