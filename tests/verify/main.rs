//! What `verify` says of TaskRuns and PipelineRuns.

#![cfg(feature = "cli")]

mod advisories;
mod attested_pipelines;
mod authorities;
mod chain;
mod chains;
mod cli;
mod corpus_limbo;
mod corpus_wycheproof;
mod cut_and_paste;
mod files_only;
mod forgeries;
mod gate;
mod honest;
mod image;
mod one_run;
#[path = "../support/one_step.rs"]
mod one_step;
mod partial;
mod path;
mod people;
mod pipelines;
#[path = "../pki/mod.rs"]
mod pki;
mod policy;
mod program;
mod properties;
mod readers;
mod reports;
mod retries;
mod scale;
mod shards;
mod signing_time;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod taskrun;
mod tep0089;
mod time;
mod time_openssl;
#[path = "../support/token.rs"]
mod token;
#[path = "../support/tsa.rs"]
mod tsa;
mod unsuitable;
mod v1beta1;
mod yaml;
