#!/usr/bin/env bash
# Builds the real peers that the tests run against, from their published Go modules, into the folder named by the first
# argument: spire-server, spire-agent, tekton-entrypoint, tekton-sidecarlogresults, tekton-verify, tekton-when, tekton-reader,
# results-api, kube-apiserver and etcd; and Tekton's definitions of TaskRuns and PipelineRuns. Does nothing when they are there already.
set -euo pipefail

SPIRE=v1.15.3
TEKTON=v1.15.0
RESULTS=v0.20.0
KUBERNETES=v1.34.2

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
stamp=$(cd "$here" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-16)
[ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ] && exit 0
echo "building SPIRE $SPIRE, Tekton $TEKTON, Tekton Results $RESULTS and Kubernetes $KUBERNETES for the tests: once, takes minutes" >&2

work=$(mktemp -d)
trap 'rm -rf "$work" "$out/cache"' EXIT
# Whatever was compiled takes some 6 GB, and a machine that is used once has no use for it.
if [ "${CI:-}" = true ]; then export GOCACHE="$out/cache"; fi

# prepare FOLDER MODULE VERSION SUM MODSUM: a module of our own with exactly the dependency versions that MODULE pins.
# (`go install MODULE@VERSION` needs a version list that not every module proxy serves, and refuses `replace`.)
prepare() {
	cp -r "$here/$1" "$work/$1"
	cd "$work/$1"
	source=$(cd / && go mod download -json "$2@$3" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	sed 's/^module .*/module peers/' "$source/go.mod" >go.mod
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
install -m 644 "$source/config/300-crds/300-taskrun.yaml" "$out/tekton-taskrun.yaml"
install -m 644 "$source/config/300-crds/300-pipelinerun.yaml" "$out/tekton-pipelinerun.yaml"

prepare results github.com/tektoncd/results $RESULTS \
	h1:lbMX48YblsMA7EYlSq59ACFsdfgb6TLvXP5YO0hw9EU= h1:4jCXQ4JDSNaNMioqEGs5/XBQjsVIKPE7ejrbQfcb0rw=
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/results-api" github.com/tektoncd/results/cmd/api

# Its own go.mod has these modules in folders that are not published with it: v1.34.2 of Kubernetes is v0.34.2 of each.
prepare kubernetes k8s.io/kubernetes $KUBERNETES \
	h1:WQdDvYJazkmkwSncgNwGvVtaCt4TYXIU3wSMRgvp3MI= h1:m6pZk6a179pRo2wsTiCPORJ86iOEQmfIzUvtyEF8BwA=
sed -i -E "s#^(\s+k8s.io/[a-z-]+) => \./staging/.*#\1 => \1 v0${KUBERNETES#v1}#" go.mod
# Of these its go.sum has no sums, nor of what etcd alone needs.
cat more.sum >>go.sum
version=
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	version+=" -X $package.gitVersion=$KUBERNETES -X $package.gitMajor=1 -X $package.gitMinor=34"
done
CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w$version" -o "$out/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags '-s -w' -o "$out/etcd" go.etcd.io/etcd/server/v3

echo "$stamp" >"$out/stamp"
