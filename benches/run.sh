#!/usr/bin/env bash
# Times one step whose command is /bin/true under two entrypoints, side by side in one run:
#
#   benches/run.sh TEKTON OURS [RUNS]
#
# The two take turns, so that whatever else the machine does meets both. Each run is a step as in a pod: it waits for a
# file that is there, runs the command, writes the termination message, the exit code and the post file. /tekton is private to this
# script (a mount namespace), so nothing of the host is touched.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: benches/run.sh TEKTON OURS [RUNS]" >&2; exit 64; }
tekton=$(realpath "$1") ours=$(realpath "$2") runs=${3:-300}
for program in "$tekton" "$ours"; do
	[ -x "$program" ] || { echo "$program is not there: make peers entrypoint" >&2; exit 1; }
done
command -v python3 >/dev/null || { echo "benches/run.sh measures with python3, which is not installed" >&2; exit 1; }
python=$(python3 -c 'import sys; print(sys.executable)')

pod=$(mktemp -d)
trap 'rm -rf "$pod"' EXIT
mkdir -p "$pod/root" "$pod/tekton"/{run/0,steps,results,downward,artifacts}
echo READY >"$pod/tekton/downward/ready"
ln -s /tekton/run/0/status "$pod/tekton/steps/step-bench"
ln -s /tekton/run/0/status "$pod/tekton/steps/0"
cat >"$pod/tekton/measure.py" <<'PYTHON'
import os, subprocess, sys, time

runs, programs = int(sys.argv[1]), {"tekton": sys.argv[2], "svidence": sys.argv[3]}
arguments = ["-wait_file", "/tekton/downward/ready", "-wait_file_content", "-post_file", "/tekton/run/0/out",
             "-termination_path", "/tekton/termination", "-step_metadata_dir", "/tekton/run/0/status",
             "-entrypoint", "/bin/true", "--"]
times = {name: [] for name in programs}
for i in range(runs + 5):
    for name, program in programs.items():
        for left in ("/tekton/run/0/out", "/tekton/termination"):
            if os.path.exists(left):
                os.remove(left)
        start = time.perf_counter()
        ended = subprocess.run([program] + arguments, stdin=subprocess.DEVNULL, capture_output=True)
        took = time.perf_counter() - start
        if ended.returncode != 0 or not os.path.exists("/tekton/run/0/out"):
            sys.exit(f"{program} did not run the step (exit {ended.returncode}): {ended.stderr.decode()}")
        if i >= 5:  # the first ones fill the page cache
            times[name].append(took * 1000)

def at(name, part):
    return sorted(times[name])[min(int(runs * part), runs - 1)]

print(f"one step running /bin/true, {runs} runs each")
print(f"{'':10}{'median':>10}{'p99':>10}")
for name in programs:
    print(f"{name:10}{at(name, 0.5):7.2f} ms{at(name, 0.99):7.2f} ms")
print(f"{'ratio':10}{at('tekton', 0.5) / at('svidence', 0.5):9.2f}x{at('tekton', 0.99) / at('svidence', 0.99):9.2f}x")
PYTHON

namespace=(unshare --mount)
[ "$(id -u)" = 0 ] || namespace=(unshare --map-root-user --mount)
# The host's folders one by one below a new root, and /tekton beside them.
"${namespace[@]}" -- bash -euc '
	pod=$1; shift
	mount -t tmpfs none "$pod/root"
	for entry in /*; do
		if [ -L "$entry" ]; then cp -P "$entry" "$pod/root$entry"
		elif [ -d "$entry" ] && [ "$entry" != /tekton ]; then mkdir "$pod/root$entry"; mount --rbind "$entry" "$pod/root$entry"
		fi
	done
	mkdir "$pod/root/tekton"
	mount --bind "$pod/tekton" "$pod/root/tekton"
	exec chroot "$pod/root" "$@"
' bash "$pod" "$python" /tekton/measure.py "$runs" "$tekton" "$ours"
