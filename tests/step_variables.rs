//! A namespace of many services gives a step tens of thousands of variables: what that costs grows with their number, and no faster.

mod support;

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use support::step::{OURS, finish};

/// Processor time of a step with so many variables.
fn cpu_time(variables: usize) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    // Without a root of its own, which a shell makes that is quadratic itself.
    let mut command = Command::new(OURS);
    for (flag, file) in
        [("-post_file", "out"), ("-termination_path", "end"), ("-step_metadata_dir", "status")]
    {
        command.arg(flag).arg(folder.path().join(file));
    }
    command.args(["-entrypoint=/bin/true", "--", "$(steps.x.results.y)"]);
    command.envs((0..variables).map(|i| (format!("A_SERVICE_{i:05}_PORT_80_TCP_ADDR"), "10.96.17.42")));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        (usage.user_time() + usage.system_time()).num_microseconds()
    };
    let before = used();
    let ran = finish(command.spawn().unwrap());
    assert_eq!(ran.status, "exit 0", "{}", ran.stderr);
    Duration::from_micros(u64::try_from(used() - before).unwrap())
}

#[test]
fn the_cost_of_variables_is_linear() {
    let least = |variables| (0..5).map(|_| cpu_time(variables)).min().unwrap();
    let (once, twice) = (least(12_000), least(24_000));
    // Quadratic it was nearly four times as much.
    assert!(twice < once * 3, "12,000 variables: {once:?}, 24,000: {twice:?}");
}
