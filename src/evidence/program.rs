//! What the controller gave a step to run, as far as it is under the signature: one digest over a canonical form.
//!
//! The entrypoint makes it of its flags before it puts anything into them, the verifier of the task in the status. Image,
//! environment and working directory are not in it.

use super::sha256;
use crate::tekton::canonical::{CanonicalObject, array, string};

/// What a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program<'a> {
    /// What is started.
    pub start: Start<'a>,
    /// What it is started with, behind the script or the first part of the command.
    pub arguments: Vec<&'a str>,
    /// Whether the steps after it run although it fails (`onError: continue`).
    pub continues: bool,
    /// How long it may run, nanoseconds; 0: for ever.
    pub timeout: i64,
    /// What must hold for it to run.
    pub when: Vec<When<'a>>,
}

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// A script, by the SHA-256 of the file that Tekton writes: with its first line, which may be Tekton's.
    Script([u8; 32]),
    /// The first part of the command.
    Command(&'a str),
}

/// One when expression; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When<'a> {
    /// A CEL expression.
    pub cel: &'a str,
    /// What is looked for.
    pub input: &'a str,
    /// `in` or `notin`.
    pub operator: &'a str,
    /// Where it is looked for.
    pub values: Vec<&'a str>,
}

/// Whether a file of `/tekton/scripts` is a step's script by its name: `script-<step>-<five random characters>` (Tekton
/// `pkg/pod/script.go`, `pkg/names/generate.go`). It says nothing about what runs.
pub fn is_script_name(name: &str) -> bool {
    let parts = name.strip_prefix("script-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(step, random)| {
        !step.is_empty()
            && step.bytes().all(|b| b.is_ascii_digit())
            && random.len() == 5
            && random.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

impl Program<'_> {
    /// The canonical form: JSON as RFC 8785 writes it. Every member is there but `script`, which only a script has, and
    /// `command`, which only what is none has. `timeout` is a text, as nanoseconds may be more than a JSON number holds.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        let text = |out: &mut String, text: &&str| string(out, text);
        let mut program = CanonicalObject::begin(&mut out);
        array(program.member("arguments"), &self.arguments, text);
        if let Start::Command(command) = self.start {
            string(program.member("command"), command);
        }
        string(program.member("onError"), if self.continues { "continue" } else { "stopAndFail" });
        if let Start::Script(digest) = &self.start {
            string(program.member("script"), &x509::text::hex(digest));
        }
        string(program.member("timeout"), &self.timeout.to_string());
        array(program.member("when"), &self.when, |out, when| {
            let mut expression = CanonicalObject::begin(out);
            string(expression.member("cel"), when.cel);
            string(expression.member("input"), when.input);
            string(expression.member("operator"), when.operator);
            array(expression.member("values"), &when.values, text);
            expression.end();
        });
        program.end();
        out
    }

    /// What is signed: SHA-256 of [`Program::canonical`].
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.canonical().as_bytes())
    }
}
