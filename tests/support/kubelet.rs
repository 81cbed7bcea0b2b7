//! What a kubelet makes of a pod: its volumes, its init containers in order, then all its containers at once, each with a root, a host
//! name and a PID namespace of its own, and each termination message cut to what the API server gets to see.
//!
//! Images are not there: containers have the host's programs, and in `/ko-app` those of the run. A container without a command, whose
//! image would bring it, is counted but not run.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;

use super::{
    private::{As, Mount, PrivateRoot},
    step::{Ran, end},
};

/// What stands where the images of a pod have it.
#[derive(Clone, Debug)]
pub struct Images {
    /// `/ko-app/entrypoint`.
    pub entrypoint: PathBuf,
    /// `/ko-app/sidecarlogresults`, if it was built.
    pub sidecar_log_results: Option<PathBuf>,
    /// The socket that the CSI driver of SPIFFE puts into its volume.
    pub workload_api: Option<PathBuf>,
}

/// The sidecar that prints the results (`results-from: sidecar-logs`) and ends when the steps have.
pub const RESULTS_SIDECAR: &str = "sidecar-tekton-log-results";

/// Stands in for Tekton's `workingdirinit`, which makes the folders it is given.
const WORKING_DIR_INIT: &str = "#!/bin/sh\nexec mkdir -p \"$@\"\n";

/// The folders of a container that are its own and not the host's.
const OWN: [&str; 9] =
    ["tekton", "ko-app", "workspace", "spiffe-workload-api", "tmp", "var", "run", "home", "root"];

/// How a container ended.
#[derive(Clone, Debug)]
pub struct Container {
    pub name: String,
    /// As the kubelet reports it.
    pub exit_code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The termination message as the container wrote it.
    pub written: Vec<u8>,
    /// What is kept of it.
    pub message: Vec<u8>,
    pub started: OffsetDateTime,
    pub finished: OffsetDateTime,
}

/// A pod that ran to its end.
#[derive(Debug)]
pub struct PodRun {
    /// The containers that ran to their end by themselves, in the order of the pod.
    pub containers: Vec<Container>,
    /// The folders of its `emptyDir`s.
    volumes: Vec<PathBuf>,
    _folder: TempDir,
}

impl PodRun {
    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| container.name.starts_with("step-"))
    }

    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// Every file of the pod's `emptyDir`s by its path from the volume's name on: mode and content, or target.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for volume in &self.volumes {
            list(volume, &format!("{}/", volume.file_name().unwrap().display()), &mut files);
        }
        files
    }
}

fn list(folder: &Path, below: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = format!("{below}{}", entry.file_name().display());
        let found = entry.metadata().unwrap();
        let mode = found.permissions().mode();
        if found.is_symlink() {
            files.insert(path, format!("-> {}", fs::read_link(entry.path()).unwrap().display()));
        } else if found.is_dir() {
            list(&entry.path(), &format!("{path}/"), files);
        } else if path.starts_with("tekton-internal-bin/") {
            // Not to be read by all, and not the same program in two runs.
            files.insert(path, format!("{mode:o}"));
        } else {
            let content = fs::read(entry.path()).unwrap();
            files.insert(path, format!("{mode:o} {:?}", String::from_utf8_lossy(&content)));
        }
    }
}

/// A pod while it runs.
struct Sandbox<'a> {
    pod: &'a Value,
    images: &'a Images,
    folder: TempDir,
}

/// Runs a pod to the end of its steps; what of its other containers still runs then is ended, as Tekton's controller has it.
pub fn run(pod: &Value, images: &Images) -> PodRun {
    // Short, since the path of a socket has 107 bytes at most.
    let folder = tempfile::Builder::new().prefix("kubelet-").tempdir().unwrap();
    let sandbox = Sandbox { pod, images, folder };
    for volume in items(&pod["spec"], "volumes") {
        sandbox.lay_out(volume);
    }
    let limit = (12288 / containers(pod)).min(4096);
    for container in items(&pod["spec"], "initContainers") {
        let name = text(container, "name");
        let ran =
            end(sandbox.start(container)).unwrap_or_else(|stderr| panic!("{name} does not end: {stderr}"));
        assert_eq!(ran.status, "exit 0", "{name}: {}", ran.stderr);
    }
    let mut running = Vec::new();
    for container in
        items(&pod["spec"], "containers").iter().filter(|container| !container["command"].is_null())
    {
        running.push((container, OffsetDateTime::now_utc(), sandbox.start(container)));
    }
    sandbox.annotate("metadata.annotations['tekton.dev/ready']", "READY");
    // A sidecar ends by itself only if it is there to collect results.
    let (own_end, sidecars): (Vec<_>, Vec<_>) = running.into_iter().partition(|(container, ..)| {
        text(container, "name").starts_with("step-") || text(container, "name") == RESULTS_SIDECAR
    });
    let containers = thread::scope(|scope| {
        let ends: Vec<_> = own_end
            .into_iter()
            .map(|(container, started, child)| {
                let sandbox = &sandbox;
                scope.spawn(move || sandbox.ended(container, started, child, limit))
            })
            .collect();
        ends.into_iter().map(|end| end.join().unwrap()).collect()
    });
    for (_, _, mut child) in sidecars {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let volumes = items(&pod["spec"], "volumes").iter().filter(|volume| volume.get("emptyDir").is_some());
    let volumes = volumes.map(|volume| sandbox.volume(text(volume, "name"))).collect();
    PodRun { containers, volumes, _folder: sandbox.folder }
}

/// How many containers a pod has, init containers too.
pub fn containers(pod: &Value) -> usize {
    items(&pod["spec"], "initContainers").len() + items(&pod["spec"], "containers").len()
}

impl Sandbox<'_> {
    /// Where the kubelet has a volume: the paths of a pod's mounts tell its UID.
    fn volume(&self, name: &str) -> PathBuf {
        let uid = self.pod["metadata"]["uid"].as_str().unwrap_or("00000000-0000-4000-8000-000000000000");
        self.folder.path().join("pods").join(uid).join("volumes").join(name)
    }

    fn lay_out(&self, volume: &Value) {
        let name = text(volume, "name");
        let place = self.volume(name);
        fs::create_dir_all(&place).unwrap();
        let kind = volume.as_object().unwrap().keys().find(|key| *key != "name").unwrap();
        match kind.as_str() {
            "emptyDir" => fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap(),
            "downwardAPI" => {
                let files = items(&volume["downwardAPI"], "items").iter();
                project(&place, &files.map(|item| (text(item, "path"), "")).collect::<Vec<_>>());
            }
            "secret" => match text(&volume["secret"], "secretName") {
                "git-basic" => project(&place, &[("username", "user"), ("password", "pass")]),
                "regcred" => project(
                    &place,
                    &[(".dockerconfigjson", r#"{"auths":{"registry.example.org":{"auth":"dXNlcjpwYXNz"}}}"#)],
                ),
                other => panic!("no content for the secret {other}"),
            },
            "projected" => project(
                &place,
                &[
                    ("token", "token"),
                    ("ca.crt", "certificate"),
                    ("namespace", text(&self.pod["metadata"], "namespace")),
                ],
            ),
            // The driver's socket is mounted by itself.
            "csi" => {}
            other => panic!("volume {name}: {other} is not modelled"),
        }
    }

    /// Gives an annotation to the files of downward volumes that show it.
    fn annotate(&self, field: &str, value: &str) {
        for volume in items(&self.pod["spec"], "volumes") {
            let files: Vec<_> = items(&volume["downwardAPI"], "items")
                .iter()
                .map(|item| {
                    (
                        text(item, "path"),
                        if text(&item["fieldRef"], "fieldPath") == field { value } else { "" },
                    )
                })
                .collect();
            if !files.is_empty() {
                project(&self.volume(text(volume, "name")), &files);
            }
        }
    }

    fn start(&self, container: &Value) -> Child {
        let name = text(container, "name");
        let own = self.folder.path().join("containers").join(name);
        let root = own.join("root");
        for folder in OWN {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let message = own.join("termination-message");
        fs::write(&message, "").unwrap();
        let stand_in = own.join("workingdirinit");
        fs::write(&stand_in, WORKING_DIR_INIT).unwrap();
        fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
        let mut mounts = vec![
            mount(&self.images.entrypoint, "/ko-app/entrypoint", true),
            mount(&stand_in, "/ko-app/workingdirinit", true),
        ];
        if let Some(program) = &self.images.sidecar_log_results {
            mounts.push(mount(program, "/ko-app/sidecarlogresults", true));
        }
        // Below `/dev`, where nothing of this is written to, stands the host's.
        if text(container, "terminationMessagePath").starts_with("/tekton/") {
            mounts.push(mount(&message, text(container, "terminationMessagePath"), false));
        }
        let mut volumes: Vec<&Value> = items(container, "volumeMounts").iter().collect();
        volumes.sort_by_key(|volume| text(volume, "mountPath"));
        for volume in volumes {
            let (target, read_only) = (text(volume, "mountPath"), volume["readOnly"].as_bool() == Some(true));
            let source = self.volume(text(volume, "name"));
            let mut volumes = items(&self.pod["spec"], "volumes").iter();
            if volumes.any(|one| one["name"] == volume["name"] && one.get("csi").is_some()) {
                let socket = self.images.workload_api.as_ref();
                mounts.extend(
                    socket.map(|socket| mount(socket, &format!("{target}/spire-agent.sock"), read_only)),
                );
                continue;
            }
            // Inside another volume its place is made there.
            let outer = mounts.iter().rev().find(|outer| target.starts_with(&format!("{}/", outer.target)));
            if let Some(outer) = outer.filter(|outer| outer.source.is_dir()) {
                fs::create_dir_all(outer.source.join(&target[outer.target.len() + 1..])).unwrap();
            }
            mounts.push(mount(&source, target, read_only));
        }
        let arguments: Vec<&str> = ["command", "args"]
            .iter()
            .flat_map(|part| items(container, part))
            .map(|arg| arg.as_str().unwrap())
            .collect();
        let root = PrivateRoot::new(&root, &mounts).hostname(text(&self.pod["metadata"], "name"));
        let directory = container["workingDir"].as_str().unwrap_or("/");
        let mut command = root.command(directory, Path::new(arguments[0]), &arguments[1..], As::First);
        self.environment(container, &mut command);
        command.spawn().unwrap()
    }

    fn environment(&self, container: &Value, command: &mut Command) {
        command.env_clear().env("HOME", "/tekton/home");
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(
            items(container, "env").iter().map(|variable| (text(variable, "name"), text(variable, "value"))),
        );
    }

    fn ended(&self, container: &Value, started: OffsetDateTime, child: Child, limit: usize) -> Container {
        let name = text(container, "name");
        let hangs = |stderr| Ran { status: "still running after 20 s".into(), stdout: Vec::new(), stderr };
        let ran = end(child).unwrap_or_else(hangs);
        let exit_code = ran.status.strip_prefix("exit ").and_then(|code| code.parse().ok());
        let written =
            fs::read(self.folder.path().join("containers").join(name).join("termination-message")).unwrap();
        Container {
            name: name.to_owned(),
            exit_code: exit_code.unwrap_or_else(|| panic!("{name}: {}: {}", ran.status, ran.stderr)),
            stdout: String::from_utf8_lossy(&ran.stdout).into_owned(),
            stderr: ran.stderr,
            message: written[..written.len().min(limit)].to_vec(),
            written,
            started,
            finished: OffsetDateTime::now_utc(),
        }
    }
}

fn mount(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount { source: source.to_owned(), target: target.to_owned(), read_only }
}

/// Writes files as the kubelet does: into a new folder, to which the link `..data` is turned at one stroke.
fn project(place: &Path, files: &[(&str, &str)]) {
    let version = format!("..{}", fs::read_dir(place).unwrap().count());
    fs::create_dir(place.join(&version)).unwrap();
    for (name, content) in files {
        fs::write(place.join(&version).join(name), content).unwrap();
        let link = place.join(name);
        if link.symlink_metadata().is_err() {
            symlink(format!("..data/{name}"), link).unwrap();
        }
    }
    symlink(&version, place.join("..data_tmp")).unwrap();
    fs::rename(place.join("..data_tmp"), place.join("..data")).unwrap();
}

fn items<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}
