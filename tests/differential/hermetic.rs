//! Steps in namespaces of their own (docs/tekton-contract.md 3.7).

use crate::case::{Case, case, shell};

pub(crate) fn cases() -> Vec<Case> {
    let hermetic = |name: &str, value: &str, script: &str, flags: &[&str]| {
        shell(&format!("hermetic: {name}"), script, flags).env("TEKTON_HERMETIC", value)
    };
    // Its first process, and the interfaces of its network.
    let look = "[ $$ = 1 ] && echo first; id -u; umask; wc -l </proc/thread-self/net/dev";
    vec![
        hermetic("yes", "1", look, &[]).shows(if nix::unistd::geteuid().is_root() {
            "first\n0\n0022\n3"
        } else {
            "not permitted"
        }),
        hermetic("with an empty name of a resource", "1", look, &[]).env("TEKTON_RESOURCE_NAME", ""),
        hermetic("with the name of a resource", "1", look, &[])
            .env("TEKTON_RESOURCE_NAME", "x")
            .shows("0\n0022"),
        hermetic("not by true", "true", look, &[]).shows("0\n0022"),
        hermetic("not by nothing", "", look, &[]).shows("0\n0022"),
        hermetic("a failure", "1", "exit 5", &[]),
        hermetic("a failure that is passed over", "1", "exit 5", &["-on_error=continue"]),
        hermetic("a timeout", "1", "exec sleep 10", &["-timeout=300ms"]),
        hermetic("results", "1", "printf v >/tekton/results/foo", &["-results=foo"]),
        case("hermetic: not found", &["-entrypoint=/no/such"]).env("TEKTON_HERMETIC", "1"),
    ]
}
