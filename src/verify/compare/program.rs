//! What each step was given to run, as the task in the status says it, against what the step signed.
//!
//! The rules are those by which Tekton's controller v1.15 makes a pod of a task (`pkg/pod/{pod,script,entrypoint}.go`,
//! `pkg/apis/pipeline/v1/merge.go`) and by which the kubelet puts variables into arguments (`k8s.io/kubernetes`
//! `third_party/forked/golang/expansion`). Where the object cannot say what the pod was given, it is not stated.

use std::borrow::Cow;

use go::duration;

use crate::{
    evidence::{
        program::{Program, Start, When, is_script_name},
        sha256,
    },
    tekton::taskrun::{DeclaredStep, DeclaredWhen, StepTemplate, TaskRun, TaskSpec},
    verify::{
        bind::{attempt::Attempt, declared_task::IN_STATUS},
        finding::Finding,
        findings::Findings,
        prove::step::ProvenStep,
        verdict::OtherProgram,
    },
};

/// What is put before a script that has no first line of its own (`pkg/pod/script.go`, `defaultScriptPreamble`).
const PREAMBLE: &str = "#!/bin/sh\nset -e\n";
/// Where scripts are in a pod.
const SCRIPTS: &str = "/tekton/scripts/";
/// Put in when the pod is made, and not in the status (`pkg/reconciler/taskrun/taskrun.go`, `createPod`).
const CREDENTIALS: (&str, &str) = ("$(credentials.path)", "/tekton/creds");

/// Whether what a step ran is under its signature, and in the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestedProgram {
    /// The task in the status says what the step signed.
    Program {
        /// SHA-256 of its script, if it is one.
        script: Option<[u8; 32]>,
    },
    /// The step signed it, and the object does not say it.
    NotStated,
    /// The evidence does not hold it.
    NotAttested,
}

impl AttestedProgram {
    /// As it is written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Program { .. } => "attested",
            Self::NotStated => "not stated",
            Self::NotAttested => "not attested",
        }
    }
}

/// What the task in the status says that a step runs.
struct Stated {
    digest: [u8; 32],
    script: Option<[u8; 32]>,
    /// Nothing that the object does not hold can have been put in.
    is_certain: bool,
    /// The controller makes pods of such steps.
    is_possible: bool,
}

/// For each of the proven steps what is attested of its program; and what contradicts what they signed.
pub(crate) fn compare(attempt: &Attempt<'_>) -> (Vec<AttestedProgram>, Findings) {
    let mut findings = Findings::default();
    let programs = attempt.proven.iter().map(|step| {
        let (attested, finding) = compare_step(attempt.task_run, step);
        finding.into_iter().for_each(|finding| findings.push(finding));
        attested
    });
    (programs.collect(), findings)
}

fn compare_step(task_run: &TaskRun, step: &ProvenStep) -> (AttestedProgram, Option<Finding>) {
    let Some(signed) = step.attestation.program else { return (AttestedProgram::NotAttested, None) };
    let place = step.attestation.place();
    match read_stated(task_run, place) {
        Some(stated) if stated.digest == signed && stated.is_possible => {
            (AttestedProgram::Program { script: stated.script }, None)
        }
        Some(stated) if stated.digest != signed && stated.is_certain => {
            let other =
                OtherProgram { signed, found: stated.digest, field: format!("{IN_STATUS}.steps[{place}]") };
            let finding = Finding::Program { step: step.name.clone(), other: Box::new(other) };
            (AttestedProgram::NotStated, Some(finding))
        }
        _ => (AttestedProgram::NotStated, None),
    }
}

/// SHA-256 of the script of the step at this place, as the task in the status says it.
pub(crate) fn script(task_run: &TaskRun, place: usize) -> Option<[u8; 32]> {
    read_stated(task_run, place)?.script
}

fn read_stated(task_run: &TaskRun, place: usize) -> Option<Stated> {
    let task = task_run.status.task_spec.as_ref()?;
    let step = task.steps.get(place)?;
    // A StepAction that was not resolved says nothing.
    if step.step_action.is_some() {
        return None;
    }
    let mut texts = Texts {
        task,
        step,
        // The controller puts parameters into what it has put them into already, after the pod is made.
        is_certain: !(task_run.spec.params.hold_reference() || task.params.0 || step.params.0),
    };
    let or_template =
        |own: &'_ [String], template: fn(&StepTemplate) -> &[String]| match (own, &task.step_template) {
            ([], Some(common)) => template(common).to_vec(),
            (own, _) => own.to_vec(),
        };
    let mut words = or_template(&step.args, |common| &common.args);
    let mut line = or_template(&step.command, |common| &common.command);
    let on_error = with_credentials(&step.on_error);
    // `pkg/pod/entrypoint.go`, and for both script and command `pkg/apis/pipeline/v1/container_validation.go`.
    let is_possible = matches!(on_error.as_ref(), "" | "continue" | "stopAndFail")
        && (step.script.is_empty() || line.is_empty());
    let (mut command, mut script) = (String::new(), None);
    if step.script.is_empty() {
        // Only the image says what its command is.
        if line.is_empty() {
            return None;
        }
        line.append(&mut words);
        words = line;
        command = texts.in_pod(&words.remove(0));
        // An empty word leads to the image's command; a script's name to a file.
        if command.is_empty() || command.strip_prefix(SCRIPTS).is_some_and(is_script_name) {
            return None;
        }
    } else {
        let text = with_credentials(&step.script);
        let trimmed = text.trim();
        // Nothing here runs on Windows.
        if trimmed.starts_with("#!win") {
            return None;
        }
        script = Some(match trimmed.starts_with("#!") {
            true => sha256(text.as_bytes()),
            false => sha256(format!("{PREAMBLE}{text}").as_bytes()),
        });
    }
    let words: Vec<String> = words.iter().map(|word| texts.in_pod(word)).collect();
    let expressions: Vec<DeclaredWhen> = step.when.iter().map(|when| texts.when_in_pod(when)).collect();
    let program = Program {
        start: script.map_or(Start::Command(&command), Start::Script),
        arguments: words.iter().map(String::as_str).collect(),
        continues: on_error == "continue",
        timeout: match &step.timeout {
            None => 0,
            Some(timeout) => duration::parse(timeout.as_bytes())?,
        },
        when: expressions.iter().map(as_when).collect(),
    };
    Some(Stated { digest: program.digest(), script, is_certain: texts.is_certain, is_possible })
}

fn as_when(when: &DeclaredWhen) -> When<'_> {
    When {
        cel: &when.cel,
        input: &when.input,
        operator: &when.operator,
        values: when.values.iter().map(String::as_str).collect(),
    }
}

fn with_credentials(text: &str) -> Cow<'_, str> {
    match text.contains(CREDENTIALS.0) {
        true => Cow::Owned(text.replace(CREDENTIALS.0, CREDENTIALS.1)),
        false => Cow::Borrowed(text),
    }
}

/// Turns texts of the task into what the container was given.
struct Texts<'a> {
    task: &'a TaskSpec,
    step: &'a DeclaredStep,
    is_certain: bool,
}

impl Texts<'_> {
    /// A word of a command, as the kubelet hands it over: `$$` is `$`, and `$(NAME)` a variable's value, if there is one.
    fn in_pod(&mut self, word: &str) -> String {
        let word = with_credentials(word);
        let mut out = String::with_capacity(word.len());
        let mut rest: &str = &word;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            out.push('$');
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                rest = after;
            } else if let Some(reference) = rest.strip_prefix('(') {
                match reference.split_once(')') {
                    Some((name, after)) => {
                        self.is_certain &= !self.may_be_variable(name);
                        out.push('(');
                        out.push_str(name);
                        out.push(')');
                        rest = after;
                    }
                    None => {
                        out.push('(');
                        rest = reference;
                    }
                }
            } else if let Some(next) = rest.chars().next() {
                // What the kubelet makes of a character of several bytes is not text.
                self.is_certain &= next.is_ascii();
                out.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        out.push_str(rest);
        out
    }

    /// The same for a when expression. All of them are one word, in JSON: a reference may begin in one text and end in another.
    fn when_in_pod(&mut self, when: &DeclaredWhen) -> DeclaredWhen {
        let mut text = |text: &String| {
            let open = text.rsplit_once("$(").is_some_and(|(_, rest)| !rest.contains(')'));
            self.is_certain &= !open;
            self.in_pod(text)
        };
        DeclaredWhen {
            cel: text(&when.cel),
            input: text(&when.input),
            operator: when.operator.clone(),
            values: when.values.iter().map(&mut text).collect(),
        }
    }

    /// Whether a container may have a variable of this name: the object does not hold those of the pod's template, of its
    /// services and of the cluster's defaults. Tekton's own references are none, unless somebody names one so.
    fn may_be_variable(&self, name: &str) -> bool {
        let template = self.task.step_template.as_ref();
        let mut named = self.step.env.iter().chain(template.into_iter().flat_map(|common| &common.env));
        let is_given_in_bulk =
            !self.step.env_from.is_empty() || template.is_some_and(|common| !common.env_from.is_empty());
        !name.starts_with("steps.") || is_given_in_bulk || named.any(|variable| variable.name == name)
    }
}
