//! The runs of each task: that they are there, and its own.

use std::collections::{HashMap, HashSet};

use crate::{
    tekton::{
        pipelinerun::{ChildReference, PipelineRun, PipelineSpec, SkippedTask, names},
        taskrun::DeclaredWhen,
    },
    verify::{
        Finding, Verdict,
        facts::Detail,
        findings::Findings,
        pipeline::{
            child::{Child, Since},
            children::Children,
            fault,
            task::Task,
        },
    },
};

/// The tasks of the pipeline, with what the status says of each. What it says of others is a finding.
pub(crate) fn find_tasks<'a>(
    object: &'a PipelineRun,
    spec: &'a PipelineSpec,
    (children, since): (&'a Children, Since),
    findings: &mut Findings,
) -> Vec<Task<'a>> {
    let mut references: HashMap<&str, Vec<&ChildReference>> = HashMap::new();
    let mut names = HashSet::new();
    let mut stated: HashMap<&str, Vec<(String, &[DeclaredWhen])>> = HashMap::new();
    let mut state = |task: &'a str, list: &str, i: usize, when: &'a [DeclaredWhen]| {
        if !when.is_empty() {
            stated.entry(task).or_default().push((format!("status.{list}[{i}]"), when));
        }
    };
    for (i, reference) in object.status.child_references.iter().enumerate() {
        let task = &reference.pipeline_task_name;
        state(task, "childReferences", i, &reference.when_expressions);
        if !names.insert(reference.name.as_str()) {
            let problem = format!("status.childReferences names {} twice", reference.name);
            findings.push(fault(Verdict::Invalid, Detail::CHILD_NAME, problem));
            continue;
        }
        references.entry(task).or_default().push(reference);
    }
    let mut skipped: HashMap<&str, &SkippedTask> = HashMap::new();
    for (i, task) in object.status.skipped_tasks.iter().enumerate() {
        state(&task.name, "skippedTasks", i, &task.when_expressions);
        if skipped.insert(&task.name, task).is_some() {
            let problem = format!("status.skippedTasks names {} twice", task.name);
            findings.push(fault(Verdict::Invalid, Detail::SKIPPED, problem));
        }
    }
    let tasks = spec.all_tasks().map(|(task, is_finally)| {
        let mut references = references.remove(task.name.as_str()).unwrap_or_default();
        let names = names::of_runs(&object.metadata.name, &task.name, references.len());
        sort(&mut references, &names);
        let namespace = &object.metadata.namespace;
        let uid = &object.metadata.uid;
        let mut run = |reference: &&ChildReference| {
            find(children, (task.kind_of_runs(), namespace, &reference.name), (uid, since), findings)
        };
        let runs = references.iter().map(&mut run).collect();
        let skipped = skipped.remove(task.name.as_str());
        let stated = stated.remove(task.name.as_str()).unwrap_or_default();
        Task { task, is_finally, references, names, is_counted: true, runs, skipped, stated }
    });
    let tasks = tasks.collect();
    let mut unknown: Vec<&str> = references.into_keys().chain(skipped.into_keys()).collect();
    unknown.sort_unstable();
    for name in unknown {
        let problem = format!("the status names a task {name}, which the pipeline does not have");
        findings.push(fault(Verdict::Invalid, Detail::UNKNOWN_TASK, problem));
    }
    tasks
}

/// That it is known of the PipelineRun which runs are its own, and which are older.
pub(crate) fn check_whose(object: &PipelineRun, (created, _): Since, findings: &mut Findings) {
    if created.is_none() {
        let problem = match object.chains {
            None => {
                "metadata.creationTimestamp is missing or not a time, so nothing says which runs are older"
            }
            Some(_) => "runDetails.metadata.startedOn is missing, so nothing says which runs are older",
        };
        findings.push(fault(Verdict::Unchecked, Detail::NO_CREATION_TIME, problem));
    }
    if object.metadata.uid.is_empty() {
        let problem = "it has no UID, so nothing says which runs are its own";
        findings.push(fault(Verdict::Unchecked, Detail::CHILD_OWNER, problem));
    }
}

/// The run of that kind, namespace and name that may belong to the PipelineRun of that UID. That it may be another one is a finding.
pub(crate) fn find<'a>(
    children: &'a Children,
    (kind, namespace, name): (&str, &str, &str),
    (uid, since): (&str, Since),
    findings: &mut Findings,
) -> Option<&'a Child> {
    let full_name = format!("{namespace}/{name}");
    if children.is_contested(kind, &full_name, uid, since) {
        let problem = format!(
            "{name}: several runs of that name were read, and which one belongs to it is not carried"
        );
        findings.push(fault(Verdict::Unchecked, Detail::CHILD_DIFFERS, problem));
    }
    children.find(kind, &full_name, uid, since)
}

/// Gives the runs of matrices their names by what those make, where that is more than there are: the controller makes no others once an
/// error has cut it short. `None`: what a matrix makes is not known.
pub(crate) fn rename(
    object: &PipelineRun,
    tasks: &mut HashMap<&str, Task<'_>>,
    counts: &[(String, Option<usize>)],
) {
    for (name, count) in counts {
        let Some(task) = tasks.get_mut(name.as_str()) else { continue };
        let first = task.references.len();
        task.is_counted = count.is_some();
        let Some(count) = count.filter(|count| *count > first) else { continue };
        task.names = names::of_first_runs(&object.metadata.name, name, count, first);
        let numbers = numbers(&task.names);
        let mut runs: Vec<_> = task.references.iter().copied().zip(task.runs.iter().copied()).collect();
        runs.sort_by_key(|(reference, _)| number(&numbers, reference));
        (task.references, task.runs) = runs.into_iter().unzip();
    }
}

/// By the numbers of the runs of a matrix: the controller keeps them by name, so the tenth comes before the second.
fn sort(references: &mut [&ChildReference], names: &[String]) {
    let numbers = numbers(names);
    references.sort_by_key(|reference| number(&numbers, reference));
}

fn numbers(names: &[String]) -> HashMap<&str, usize> {
    names.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect()
}

fn number(numbers: &HashMap<&str, usize>, reference: &ChildReference) -> usize {
    numbers.get(reference.name.as_str()).copied().unwrap_or(usize::MAX)
}

/// That each run of a task is there, counts as verified, and is of this task and this PipelineRun.
pub(crate) fn check(object: &PipelineRun, task: &Task<'_>, since: Since, findings: &mut Findings) {
    let name = &task.task.name;
    let kind = task.task.kind_of_runs();
    for ((reference, expected), run) in task.references.iter().zip(&task.names).zip(&task.runs) {
        let full = &reference.name;
        // Those of an attestation were found by their names.
        if expected != full && object.chains.is_none() {
            findings.push(other_name(task, full, expected));
        }
        // Old versions of Tekton call a CustomRun a Run.
        if reference.kind != kind && (reference.kind.as_str(), kind) != ("Run", "CustomRun") {
            let problem =
                format!("task {name}: {full} is said to be a {}, and must be a {kind}", reference.kind);
            findings.push(fault(Verdict::Invalid, Detail::CHILD_KIND, problem));
        }
        let Some(run) = run else {
            let problem = match reference.kind.as_str() {
                "CustomRun" | "Run" => {
                    format!(
                        "task {name}: {full} is a {}, which has no steps, so nobody signs what it produced",
                        reference.kind
                    )
                }
                kind => format!("task {name}: its {kind} {full} is not in what was read"),
            };
            findings.push(fault(Verdict::Unchecked, Detail::CHILD_MISSING, problem));
            continue;
        };
        check_one(object, &format!("task {name}: {full}"), run, since, findings);
    }
    if task.references.is_empty() && task.skipped.is_none() && object.succeeded() == Some("True") {
        let problem = format!("it says that it succeeded, but task {name} was neither run nor skipped");
        findings.push(fault(Verdict::Invalid, Detail::CHILD_MISSING, problem));
    }
}

/// What there is to say of a run whose name is not the expected one. One of several runs is not called as the only one is.
fn other_name(task: &Task<'_>, found: &str, expected: &str) -> Finding {
    let name = &task.task.name;
    if task.is_counted {
        let problem =
            format!("task {name}: the controller would not give its run the name {found}, but {expected}");
        return fault(Verdict::Invalid, Detail::CHILD_NAME, problem);
    }
    let problem = format!(
        "task {name}: whether the controller gives its run the name {found} cannot be derived: how many runs its matrix makes is not known"
    );
    fault(Verdict::Unchecked, Detail::NOT_DERIVED, problem)
}

/// That a run counts as verified, and is of this PipelineRun. `what` is how the text begins.
pub(crate) fn check_one(
    object: &PipelineRun,
    what: &str,
    run: &Child,
    since: Since,
    findings: &mut Findings,
) {
    if !run.accepted {
        let problem = format!("{what} is {}", run.verdict.as_str());
        findings.push(fault(run.verdict, Detail::CHILD_VERDICT, problem));
    }
    if run.differs {
        let problem =
            format!("{what}: several objects of that name were read, and they say different things of it");
        findings.push(fault(Verdict::Unchecked, Detail::CHILD_DIFFERS, problem));
    }
    let uid = &object.metadata.uid;
    if run.owners.iter().any(|owner| owner != uid) {
        let problem = format!("{what} says that it belongs to another PipelineRun");
        findings.push(fault(Verdict::Invalid, Detail::CHILD_OWNER, problem));
    }
    // The controller labels them so, and an attestation says its name in several places.
    let other = run.pipeline_run.as_ref().filter(|name| **name != object.metadata.name);
    if let Some(other) = other.filter(|_| object.chains.is_some()) {
        let problem = format!("{what} says that it belongs to the PipelineRun {other}");
        findings.push(fault(Verdict::Invalid, Detail::CHILD_OWNER, problem));
    }
    if run.is_older(since) {
        // Only the start is in an attestation, which the controller sets anew if it crashed before it wrote it.
        let (verdict, than) = match object.chains {
            None => (Verdict::Invalid, ""),
            Some(_) => (Verdict::Unchecked, ", or than the start that its attestation states"),
        };
        let problem = format!("{what} is older than the PipelineRun{than}");
        findings.push(fault(verdict, Detail::BEFORE_CREATION, problem));
    }
}

/// Runs that say that they belong to it, and are not among its children.
pub(crate) fn find_strangers(
    object: &PipelineRun,
    tasks: &HashMap<&str, Task<'_>>,
    children: &Children,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) {
    let namespace = format!("{}/", object.metadata.namespace);
    let known: HashSet<&str> =
        object.status.child_references.iter().map(|reference| reference.name.as_str()).collect();
    let mut strangers: Vec<&str> = children
        .names_of(&object.metadata.uid)
        .filter_map(|name| name.strip_prefix(&namespace))
        .filter(|name| !known.contains(name))
        .collect();
    strangers.sort_unstable();
    if strangers.is_empty() {
        return;
    }
    // By the name that a run of theirs may have besides those that are known.
    let mut names: HashMap<String, &str> = HashMap::new();
    for task in tasks.values() {
        let name = task.task.name.as_str();
        for count in [1, (task.references.len() + 1).max(2)] {
            names.extend(
                names::of_runs(&object.metadata.name, name, count).into_iter().map(|run| (run, name)),
            );
        }
    }
    for stranger in strangers {
        let Some(name) = names.get(stranger) else {
            notes.push(format!("{stranger} says that it belongs to it, but is none of its children"));
            continue;
        };
        let problem =
            format!("{stranger} is a run of task {name}, and status.childReferences does not name it");
        match object.succeeded() {
            // One that fails while it makes runs has no time to write all of their names (Tekton `handleRunCreationError`).
            Some("False") => notes.push(problem),
            _ if object.chains.is_some() => {
                notes.push(format!("{stranger} is a run of task {name} that is not looked at"))
            }
            _ => findings.push(fault(Verdict::Invalid, Detail::CHILD_LEFT_OUT, problem)),
        }
    }
}
