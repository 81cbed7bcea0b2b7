//! Chains' formats, as far as they differ in what they keep of a run.

use std::fmt;

/// One of Chains' formats (`artifacts.taskrun.format`, `artifacts.pipelinerun.format`), of a TaskRun or a PipelineRun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainsFormat {
    /// `in-toto`, which is also called `slsa/v1`, of a TaskRun: SLSA 0.2, without any result.
    TaskRunInToto,
    /// `slsa/v2alpha3` of a TaskRun.
    TaskRunV2alpha3,
    /// `slsa/v2alpha4` of a TaskRun.
    TaskRunV2alpha4,
    /// One of those two, without any result that would tell which.
    TaskRunSlsa1,
    /// `in-toto` of a PipelineRun: SLSA 0.2, with the results of every task.
    PipelineRunInToto,
    /// `slsa/v2alpha3` or `slsa/v2alpha4` of a PipelineRun: only its own results.
    PipelineRunSlsa1,
    /// `slsa/v2alpha4` of a PipelineRun, with deep inspection: the results of its TaskRuns, too.
    PipelineRunDeep,
    /// Either of them with the build type slsa-tekton: its TaskRuns as a whole.
    PipelineRunTekton,
}

impl fmt::Display for ChainsFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TaskRunInToto => "in-toto (slsa/v1) of a TaskRun",
            Self::TaskRunV2alpha3 => "slsa/v2alpha3 of a TaskRun",
            Self::TaskRunV2alpha4 => "slsa/v2alpha4 of a TaskRun",
            Self::TaskRunSlsa1 => "slsa/v2alpha3 or slsa/v2alpha4 of a TaskRun",
            Self::PipelineRunInToto => "in-toto (slsa/v1) of a PipelineRun",
            Self::PipelineRunSlsa1 => "slsa/v2alpha3 or slsa/v2alpha4 of a PipelineRun",
            Self::PipelineRunDeep => "slsa/v2alpha4 of a PipelineRun with deep inspection",
            Self::PipelineRunTekton => "slsa-tekton of a PipelineRun",
        })
    }
}

impl ChainsFormat {
    /// What of Chains' configuration (ConfigMap `chains-config`) keeps what this format leaves out.
    pub(super) fn keeps_more(self) -> &'static str {
        match self {
            Self::PipelineRunTekton => "its PipelineRun ran no TaskRun",
            Self::PipelineRunSlsa1 | Self::PipelineRunDeep | Self::PipelineRunInToto => {
                "builddefinition.buildtype: https://tekton.dev/chains/v2/slsa-tekton keeps the TaskRuns whole, and \
                 artifacts.pipelinerun.enable-deep-inspection: \"true\" with slsa/v2alpha4 their results. With its TaskRuns, or \
                 attestations of them in slsa/v2alpha3, beside it, and --namespace and --pipelinerun where it does not say which one \
                 it is, it is held against them"
            }
            _ => {
                "artifacts.taskrun.format: slsa/v2alpha3 keeps the results, and an attestation of its PipelineRun has them, too"
            }
        }
    }
}
