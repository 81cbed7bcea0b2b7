//! Samples, and the table made of them.

/// What was measured, once or again and again, in one unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        let at = self.0.partition_point(|other| *other <= sample);
        self.0.insert(at, sample);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// Of fewer than 100 samples it is the largest.
    pub(crate) fn p99(&self) -> Option<f64> {
        self.quantile(0.99)
    }

    /// Nearest rank: a sample, nothing in between.
    fn quantile(&self, part: f64) -> Option<f64> {
        let rank = (self.0.len() as f64 * part).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Each sample less this.
    pub(crate) fn less(&self, amount: f64) -> Self {
        Self(self.0.iter().map(|sample| sample - amount).collect())
    }
}

impl From<f64> for Samples {
    fn from(only: f64) -> Self {
        Self(vec![only])
    }
}

/// What both programs were measured for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pair {
    pub(crate) tekton: Samples,
    pub(crate) ours: Samples,
}

impl Pair {
    pub(crate) fn push(&mut self, ours: bool, sample: f64) {
        if ours { &mut self.ours } else { &mut self.tekton }.push(sample);
    }
}

/// What is to be reached: at most this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) median: f64,
    pub(crate) p99: Option<f64>,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// `ms`, `MB`, or nothing for a number of which more is better.
    pub(crate) unit: &'static str,
    pub(crate) pair: Pair,
    pub(crate) target: Option<Target>,
    /// Where the time goes if the target is missed.
    pub(crate) reason: Option<&'static str>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, pair: Pair) -> Self {
        Self { what: what.into(), unit, pair, target: None, reason: None }
    }

    pub(crate) fn at_most(mut self, median: f64, p99: Option<f64>) -> Self {
        self.target = Some(Target { median, p99 });
        self
    }

    pub(crate) fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Decided by the samples as they are, not as they are printed.
    pub(crate) fn is_reached(&self) -> Option<bool> {
        let target = self.target?;
        let p99 = target.p99.is_none_or(|limit| self.pair.ours.p99().is_some_and(|p99| p99 <= limit));
        Some(p99 && self.pair.ours.median().is_some_and(|median| median <= target.median))
    }

    pub(crate) fn cells(&self) -> [String; 8] {
        let Pair { tekton, ours } = &self.pair;
        let p99 = |samples: &Samples| self.print(samples.p99().filter(|_| samples.count() > 1));
        let ratio = match (tekton.median(), ours.median()) {
            (Some(tekton), Some(ours)) if self.unit.is_empty() && tekton > 0.0 => {
                format!("{:.1}×", ours / tekton)
            }
            (Some(tekton), Some(ours)) if !self.unit.is_empty() && tekton > 0.0 && ours > 0.0 => {
                format!("{:.1}×", tekton / ours)
            }
            _ => "–".into(),
        };
        let target = self.target.map_or("–".into(), |target| match target.p99 {
            Some(p99) => format!("≤ {} / {} {}", target.median, p99, self.unit),
            None => format!("≤ {} {}", target.median, self.unit),
        });
        let reached = match self.is_reached() {
            None => "–",
            Some(true) => "yes",
            Some(false) => "**no**",
        };
        let what =
            if self.unit.is_empty() { self.what.clone() } else { format!("{}, {}", self.what, self.unit) };
        let medians = (self.print(tekton.median()), self.print(ours.median()));
        [what, medians.0, p99(tekton), medians.1, p99(ours), ratio, target, reached.into()]
    }

    fn print(&self, value: Option<f64>) -> String {
        match value {
            None => "–".into(),
            Some(value) if self.unit.is_empty() => format!("{value:.0}"),
            Some(value) if value.abs() < 10.0 => format!("{value:.2}"),
            Some(value) => format!("{value:.1}"),
        }
    }
}
