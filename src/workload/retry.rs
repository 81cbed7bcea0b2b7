//! When to ask again. A registration takes seconds to reach the agent, in bad times minutes, and until then the agent
//! refuses; so everything is asked again except what can never succeed.

use std::time::Duration;

use tonic::Code;

/// No attempt is given longer. Shorter deadlines would do harm: on Kubernetes the agent itself asks the kubelet for up
/// to 30 s within one call, and starts anew when the call is given up.
pub const ATTEMPT_DEADLINE: Duration = Duration::from_secs(35);

const FIRST_MIN_MS: u64 = 250;
const FIRST_MAX_MS: u64 = 500;
const CAP: Duration = Duration::from_secs(2);
const SLOW_CAP: Duration = Duration::from_secs(30);
const WATCHED_MIN_MS: u64 = 2000;
const WATCHED_MAX_MS: u64 = 2500;
const WATCHED_CAP: Duration = Duration::from_secs(10);

/// The pauses between attempts: 250 to 500 ms, then each 1.5 times as long, up to 2 s, all but the first ±20 %.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// Starts anew.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next pause, while somebody waits for the identity. `random` is any number, evenly spread.
    pub fn next(&mut self, random: u64) -> Duration {
        self.step(random, (FIRST_MIN_MS, FIRST_MAX_MS), CAP)
    }

    /// The next pause while nobody waits: as [`Backoff::next`], but up to 30 s. A registration is then noticed after half
    /// as much time again as it has taken to come.
    pub fn next_unhurried(&mut self, random: u64) -> Duration {
        self.step(random, (FIRST_MIN_MS, FIRST_MAX_MS), SLOW_CAP)
    }

    /// The next pause while the agent pushes what changes: 2 to 2.5 s, then each 1.5 times as long, up to 10 s. The agent has
    /// attested the caller when the stream was opened; what it did not know about it then, a new stream may tell.
    pub fn next_watched(&mut self, random: u64) -> Duration {
        self.step(random, (WATCHED_MIN_MS, WATCHED_MAX_MS), WATCHED_CAP)
    }

    fn step(&mut self, random: u64, (min, max): (u64, u64), cap: Duration) -> Duration {
        let (base, pause) = match self.last {
            None => {
                let first = Duration::from_millis(min + random % (max - min + 1));
                (first, first)
            }
            Some(last) => {
                let base = (last * 3 / 2).min(cap);
                // 80 to 120 hundredths.
                let hundredths = 80 + u32::try_from(random % 41).unwrap_or(20);
                (base, base * hundredths / 100)
            }
        };
        self.last = Some(base);
        pause
    }
}

/// Whether a status says that asking again is pointless (SPIFFE Workload API 6.2: InvalidArgument; gRPC: Unimplemented).
/// All others are worth another attempt: a restarted agent shows as Unknown, a missing entry as PermissionDenied.
pub fn is_final(code: Code) -> bool {
    matches!(code, Code::InvalidArgument | Code::Unimplemented)
}

/// How long one attempt may take when this much time is left (`None`: no limit).
pub fn attempt_deadline(remaining: Option<Duration>) -> Duration {
    remaining.map_or(ATTEMPT_DEADLINE, |remaining| remaining.min(ATTEMPT_DEADLINE))
}
