//! Other readers of YAML and JSON, which read documents in bulk: `tests/peers/tekton/reader` (Go) and `tests/peers/reader.py`.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// Documents that are asked at a time.
const AT_A_TIME: usize = 500;

/// A program that reads documents.
pub struct Reader {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Reader {
    /// `sigs.k8s.io/yaml`, `encoding/json` and Tekton's types: the peer `tekton-reader`.
    pub fn go(peer: &Path) -> Self {
        Self::start(&mut Command::new(peer))
    }

    /// PyYAML; `None` where it is not installed.
    pub fn python() -> Option<Self> {
        let mut has = Command::new("python3");
        let has = has.args(["-c", "import yaml"]).stderr(Stdio::null()).status();
        if !has.is_ok_and(|status| status.success()) {
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/reader.py");
        Some(Self::start(Command::new("python3").arg(script)))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    /// How it reads each text as `what`: `yaml`, `json`, `taskrun`, `taskrun-json`; `write` makes YAML of JSON, `v1beta1` what a run
    /// of v1 is in that version.
    pub fn answers<T: AsRef<[u8]> + Sync>(&mut self, what: &str, texts: &[T]) -> Vec<Result<Value, String>> {
        let mut answers = Vec::with_capacity(texts.len());
        for texts in texts.chunks(AT_A_TIME) {
            let (to, from) = (&mut self.to, &mut self.from);
            thread::scope(|scope| {
                scope.spawn(move || {
                    for text in texts {
                        let asked = json!({"as": what, "text": STANDARD.encode(text)});
                        writeln!(to, "{asked}").unwrap();
                    }
                    writeln!(to).unwrap();
                    to.flush().unwrap();
                });
                for _ in texts {
                    let mut line = String::new();
                    from.read_line(&mut line).unwrap();
                    let mut answer: Value =
                        serde_json::from_str(&line).expect("an answer for every document");
                    answers.push(match answer.get("error").and_then(Value::as_str) {
                        Some(error) => Err(error.to_owned()),
                        None => Ok(answer.get_mut("value").map(Value::take).unwrap_or_default()),
                    });
                }
            });
        }
        answers
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
