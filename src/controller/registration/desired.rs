//! Which entries a pod should have. A pod gets the identity of a TaskRun only if all that ties the two together agrees: anybody who may
//! create pods can write labels and owner references as they like.

use std::time::Duration;

use unixtime::UnixSeconds;
use x509::text::hex;

use crate::{
    controller::{
        config::{ALL_NODES, Attest, Configuration, ProgramDigest, Registration, Settings},
        objects::{ObjectMetadata, Owner, Pod, Progress, WatchedTaskRun},
        registration::entry::{ClusterTag, EntryId, Subject, WantedEntry},
    },
    evidence::attestation::step_name,
    tekton::image_id::ImageId,
    workload::id::{Attested, AttestedNameError, IdError, SpiffeId, TaskRunId, parse_uid},
};

/// How long entries stay after a TaskRun has ended while its pod has not: a step that is cancelled still signs.
const SIGNS_FOR: Duration = Duration::from_secs(30);
/// How long the server keeps an entry beyond the TaskRun's timeout. Entries are deleted by us; this is for those that a
/// controller that is gone for good has left.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Why a pod gets no identity although it has the label of a TaskRun's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationRefusal {
    /// No controller, or another one.
    #[error("it has the label tekton.dev/taskRun, but its controller is {found}, not a TaskRun of Tekton's")]
    NotOfTaskRun {
        /// What it is.
        found: String,
    },
    /// The TaskRun is not there.
    #[error("the TaskRun {name} that it says it belongs to is not in its namespace")]
    NoTaskRun {
        /// Its name.
        name: String,
    },
    /// There is one, but not the one that is meant.
    #[error(
        "it belongs to a TaskRun {name} with the UID {owner}, but the one in its namespace has the UID {found}"
    )]
    OtherTaskRun {
        /// The name of both.
        name: String,
        /// As its owner reference says.
        owner: String,
        /// As the TaskRun says.
        found: String,
    },
    /// A label that contradicts the owner reference.
    #[error("its label {label} is {found:?}, but the TaskRun that it belongs to has {expected:?}")]
    Label {
        /// Which.
        label: &'static str,
        /// What it says; empty if it is missing.
        found: String,
        /// What it must say.
        expected: String,
    },
    /// The TaskRun has another pod.
    #[error("the pod of the TaskRun {name} is {pod}")]
    OtherPod {
        /// The TaskRun.
        name: String,
        /// Its pod (`status.podName`).
        pod: String,
    },
    /// Nothing to register.
    #[error("it has no container of a step")]
    NoSteps,
    /// A UID that cannot be attested.
    #[error("the UID {uid:?} of {of} is not a UUID, so no certificate can name it")]
    Uid {
        /// Whose.
        of: &'static str,
        /// The UID.
        uid: String,
    },
    /// A name that cannot be part of an identity.
    #[error("{0}")]
    Identity(#[from] IdError),
    /// A name that cannot be attested.
    #[error("{0}")]
    RunName(#[from] AttestedNameError),
    /// An image that no certificate can name.
    #[error(
        "the kubelet says that its container {container} runs in the image {image_id:?}, which has no SHA-256 digest, so it cannot be attested; \
         svidence-attest: \"executable\" needs none"
    )]
    Image {
        /// The container.
        container: String,
        /// As the kubelet says.
        image_id: String,
    },
    /// A node whose agent cannot be named.
    #[error("the name of its node {reason}")]
    Node {
        /// Why.
        reason: String,
    },
}

/// What a pod should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    /// These entries, the node's alias first.
    Entries(Vec<WantedEntry>),
    /// These so far, the node's alias first: the kubelet has not said yet in which images the other steps run.
    SoFar(Vec<WantedEntry>),
    /// Nothing yet: it has no node, or the TaskRun does not name its pod.
    NotYet,
    /// Nothing any more.
    Nothing,
}

/// Which entries a pod should have at a time. `task_run` is the one that the pod's owner reference names, if it is there.
/// A refusal may pass: what is known of the TaskRun may be older than what is known of the pod.
pub fn entries(
    pod: &Pod,
    task_run: Option<&WatchedTaskRun>,
    configuration: &Configuration,
    tag: &ClusterTag,
    now: UnixSeconds,
) -> Result<Desired, RegistrationRefusal> {
    if pod.has_ended {
        return Ok(Desired::Nothing);
    }
    let (owner, task_run) = owned(pod, task_run)?;
    let expires_at = expires_at(task_run, pod.created);
    if is_over(task_run, expires_at, now) {
        return Ok(Desired::Nothing);
    }
    match (&task_run.pod, &pod.node) {
        (Some(name), _) if *name != pod.metadata.name => {
            Err(RegistrationRefusal::OtherPod { name: owner.name.clone(), pod: name.clone() })
        }
        (Some(_), Some(node)) => {
            let alias = alias(Some(node), configuration, tag)?;
            // An object has no such field, nor does spire-controller-manager delete what has expired.
            let is_object = configuration.settings.registration == Registration::ClusterStaticEntry;
            let kept_until = expires_at.filter(|_| !is_object);
            let mut entries = of_steps(pod, task_run, &alias.spiffe_id, kept_until, configuration, tag)?;
            entries.insert(0, alias);
            match configuration.settings.attest == Attest::Image && lacks_images(pod) {
                true => Ok(Desired::SoFar(entries)),
                false => Ok(Desired::Entries(entries)),
            }
        }
        _ => Ok(Desired::NotYet),
    }
}

/// The TaskRun that a pod belongs to by everything that says so.
fn owned<'a>(
    pod: &'a Pod,
    task_run: Option<&'a WatchedTaskRun>,
) -> Result<(&'a Owner, &'a WatchedTaskRun), RegistrationRefusal> {
    let owner = pod.owner.as_ref().filter(|owner| is_task_run(owner)).ok_or_else(|| {
        let found = pod.owner.as_ref().map(|owner| format!("the {} {}", owner.kind, owner.name));
        RegistrationRefusal::NotOfTaskRun { found: found.unwrap_or_else(|| "missing".to_owned()) }
    })?;
    let name = || owner.name.clone();
    let is_named = |task_run: &&WatchedTaskRun| {
        task_run.metadata.namespace == pod.metadata.namespace && task_run.metadata.name == owner.name
    };
    let task_run =
        task_run.filter(is_named).ok_or_else(|| RegistrationRefusal::NoTaskRun { name: name() })?;
    let uid = &task_run.metadata.uid;
    if *uid != owner.uid {
        return Err(RegistrationRefusal::OtherTaskRun {
            name: name(),
            owner: owner.uid.clone(),
            found: uid.clone(),
        });
    }
    for (label, found, expected) in [
        ("tekton.dev/taskRun", &pod.task_run, &owner.name),
        ("tekton.dev/taskRunUID", &pod.task_run_uid, uid),
    ] {
        if found.as_ref() != Some(expected) {
            let found = found.clone().unwrap_or_default();
            return Err(RegistrationRefusal::Label { label, found, expected: expected.clone() });
        }
    }
    Ok((owner, task_run))
}

/// Whether an owner is one of Tekton's TaskRuns.
pub fn is_task_run(owner: &Owner) -> bool {
    owner.kind == "TaskRun" && owner.api_version.starts_with("tekton.dev/")
}

/// Which entries a TaskRun should have at a time if it is registered by the owner reference of its pods. Whoever may create
/// pods can write that, and any node's agent may give the identity.
pub fn entries_by_owner(
    task_run: &WatchedTaskRun,
    configuration: &Configuration,
    tag: &ClusterTag,
    now: UnixSeconds,
) -> Result<Desired, RegistrationRefusal> {
    // A run that waits has not begun, and each attempt begins anew.
    let expires_at = expires_at(task_run, task_run.started);
    if is_over(task_run, expires_at, now) {
        return Ok(Desired::Nothing);
    }
    let ObjectMetadata { namespace, name, uid, .. } = &task_run.metadata;
    let run =
        parse_uid(uid).ok_or_else(|| RegistrationRefusal::Uid { of: "the TaskRun", uid: uid.clone() })?;
    let trust_domain = configuration.shared.trust_domain.clone();
    let alias = alias(None, configuration, tag)?;
    let entry = WantedEntry {
        id: tag.entry(&Subject::TaskRun(uid.clone()), "run"),
        spiffe_id: TaskRunId::new(trust_domain, namespace, name)?.spiffe_id().clone(),
        parent: alias.spiffe_id.clone(),
        selectors: vec![("k8s", format!("ns:{namespace}")), ("k8s", format!("pod-owner-uid:TaskRun:{uid}"))],
        dns_name: Some(Attested { uid: run, step: None, pin: None, image: None }.dns_name()?),
        svid_ttl: configuration.settings.svid_ttl,
        expires_at,
    };
    Ok(Desired::Entries(vec![alias, entry]))
}

/// When the entries of an attempt that began then expire; `None` if it may take as long as it likes, or has not begun.
fn expires_at(task_run: &WatchedTaskRun, begun: Option<UnixSeconds>) -> Option<UnixSeconds> {
    let (timeout, begun) = task_run.timeout.zip(begun)?;
    Some(begun + timeout + KEPT_FOR)
}

/// Whether a TaskRun needs no identity any more. An end in the future counts for no longer than the timeout.
fn is_over(task_run: &WatchedTaskRun, expires_at: Option<UnixSeconds>, now: UnixSeconds) -> bool {
    expires_at.is_some_and(|at| now >= at) || signs_no_more(task_run, now)
}

/// Whether a TaskRun has ended so long ago that none of its steps signs any more.
pub fn signs_no_more(task_run: &WatchedTaskRun, now: UnixSeconds) -> bool {
    match task_run.progress {
        Progress::Running => false,
        Progress::Ended(at) => at.is_none_or(|at| now >= at + SIGNS_FOR),
    }
}

/// The alias of a node's agent, whose own ID depends on how it was attested, or of those of all nodes.
fn alias(
    node: Option<&str>,
    configuration: &Configuration,
    tag: &ClusterTag,
) -> Result<WantedEntry, RegistrationRefusal> {
    let settings = &configuration.settings;
    let mut selectors = vec![("k8s_psat", format!("agent_ns:{}", settings.agent_namespace))];
    selectors.extend(node.map(|node| ("k8s_psat", format!("agent_node_name:{node}"))));
    let cluster = settings.agent_cluster.as_ref();
    selectors.extend(cluster.map(|cluster| ("k8s_psat", format!("cluster:{cluster}"))));
    let trust_domain = configuration.shared.trust_domain.clone();
    let server = SpiffeId::from_segments(trust_domain, &["spire", "server"]);
    Ok(WantedEntry {
        id: node.map_or_else(|| tag.all_nodes_entry(), |node| tag.node_entry(node)),
        spiffe_id: configuration
            .node_alias(tag.hint(), node.unwrap_or(ALL_NODES))
            .map_err(|reason| RegistrationRefusal::Node { reason })?,
        parent: server.map_err(|error| RegistrationRefusal::Node { reason: error.to_string() })?,
        selectors,
        dns_name: None,
        svid_ttl: Duration::ZERO,
        expires_at: None,
    })
}

/// The entries of the steps: what each selects is what its DNS name says, and nothing more.
fn of_steps(
    pod: &Pod,
    task_run: &WatchedTaskRun,
    parent: &SpiffeId,
    expires_at: Option<UnixSeconds>,
    configuration: &Configuration,
    tag: &ClusterTag,
) -> Result<Vec<WantedEntry>, RegistrationRefusal> {
    let (metadata, settings) = (&pod.metadata, &configuration.settings);
    let uuid =
        |of, uid: &str| parse_uid(uid).ok_or_else(|| RegistrationRefusal::Uid { of, uid: uid.to_owned() });
    let run = uuid("the TaskRun", &task_run.metadata.uid)?;
    uuid("the pod", &metadata.uid)?;
    let subject = Subject::Pod(metadata.uid.clone());
    let id = TaskRunId::new(
        configuration.shared.trust_domain.clone(),
        &metadata.namespace,
        &task_run.metadata.name,
    )?;
    let selectors = [
        ("k8s", format!("ns:{}", metadata.namespace)),
        ("k8s", format!("sa:{}", pod.service_account)),
        ("k8s", format!("pod-uid:{}", metadata.uid)),
    ];
    let entry = |entry_id: EntryId, more: &[(&'static str, String)], attested: Attested| {
        Ok::<_, RegistrationRefusal>(WantedEntry {
            id: entry_id,
            spiffe_id: id.spiffe_id().clone(),
            parent: parent.clone(),
            selectors: selectors.iter().chain(more).cloned().collect(),
            dns_name: Some(attested.dns_name()?),
            svid_ttl: settings.svid_ttl,
            expires_at,
        })
    };
    if steps(pod).next().is_none() {
        return Err(RegistrationRefusal::NoSteps);
    }
    if settings.attest == Attest::Run {
        let attested = Attested { uid: run, step: None, pin: None, image: None };
        return Ok(vec![entry(tag.entry(&subject, "run"), &[], attested)?]);
    }
    let mut entries = Vec::new();
    for container in steps(pod) {
        let step = Some(step_name(container).to_owned());
        let (select_image, image) = match (settings.attest, pod.image_ids.get(container)) {
            (Attest::Image, None) => continue,
            (Attest::Image, Some(image_id)) => {
                let (selector, start) = image(container, image_id)?;
                (Some(selector), Some(start))
            }
            _ => (None, None),
        };
        for (suffix, program, pin) in pins(settings) {
            let of_container = ("k8s", format!("container-name:{container}"));
            let more: Vec<_> =
                [of_container].into_iter().chain(select_image.clone()).chain(program).collect();
            let attested = Attested { uid: run, step: step.clone(), pin, image };
            entries.push(entry(tag.entry(&subject, &format!("{container}{suffix}")), &more, attested)?);
        }
    }
    Ok(entries)
}

/// The names of the containers of a pod's steps.
fn steps(pod: &Pod) -> impl Iterator<Item = &String> {
    pod.containers.iter().filter(|name| name.starts_with("step-"))
}

/// Whether the kubelet has not said of every step in which image it runs.
fn lacks_images(pod: &Pod) -> bool {
    steps(pod).any(|container| !pod.image_ids.contains_key(container))
}

/// What selects the image of a container, and how its DNS name says that. SPIRE's k8s attestor has two such selectors, of what the kubelet
/// says of the container: `image`, which may be a tag, and `imageID`, which is what the TaskRun's status has, too. So it is that text, as it
/// is: what the pod's spec names may be another digest of the same image, or have another name.
fn image(container: &str, image_id: &str) -> Result<((&'static str, String), [u8; 8]), RegistrationRefusal> {
    let refused =
        || RegistrationRefusal::Image { container: container.to_owned(), image_id: image_id.to_owned() };
    let start = ImageId::parse(image_id).ok_or_else(refused)?.start();
    Ok((("k8s", format!("container-image:{image_id}")), start))
}

/// How an entry's ID ends, what it selects of the program, and how its DNS name says that.
type Pin = (String, Option<(&'static str, String)>, Option<[u8; 8]>);

/// One for each program that is pinned; the one without, if none is.
fn pins(settings: &Settings) -> Vec<Pin> {
    if !settings.attest.pins() {
        return vec![(String::new(), None, None)];
    }
    let pin = |program: &ProgramDigest| {
        let hash = hex(program);
        let suffix = format!(".x{}", hash.get(..16).unwrap_or_default());
        (suffix, Some(("unix", format!("sha256:{hash}"))), program.first_chunk().copied())
    };
    settings.programs.iter().map(pin).collect()
}
