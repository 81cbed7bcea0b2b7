//! What the loop says of what has happened: in the log, as events, and in the metrics.

use serde_json::Value;

use super::Controller;
use crate::{
    controller::{
        judging::{
            run::JudgingSaid,
            run_id::{RunId, kind_of},
        },
        news::{News, Object, Obstacle},
        objects::ObjectMetadata,
        stamping::run::StampingSaid,
    },
    sources::kubernetes::{
        error::KubernetesError,
        event::{About, Warning},
    },
};

impl Controller<'_> {
    pub(super) fn say(&mut self, said: JudgingSaid) {
        let of = fields_of_run;
        let log = &mut self.surroundings.log;
        match said {
            JudgingSaid::NotFollowed(error) => self.not_followed("pipelineruns", &error),
            JudgingSaid::Judged { id, judged } => {
                let verdict: [(&str, Value); 3] = [
                    ("verdict", judged.verdict.as_str().into()),
                    ("finding", judged.finding.into()),
                    ("says", judged.words.into()),
                ];
                log.info("judged", &[&of(&id)[..], &verdict].concat());
            }
            JudgingSaid::NotJudged { id, error, pause } => {
                let why: [(&str, Value); 2] =
                    [("code", error.code().into()), ("againInSeconds", pause.as_secs_f64().into())];
                let text = format!("a verdict could not be made or noted: {error}");
                log.error(&text, &[&of(&id)[..], &why].concat());
            }
            JudgingSaid::Authorities(error) => log.error(&error.to_string(), &[]),
            JudgingSaid::OtherTrustDomain { own, configured } => {
                let text = format!(
                    "nothing is judged: the controller's identity is of {own}, and spire-trust-domain is {configured:?}"
                );
                log.error(&text, &[]);
            }
        }
    }

    pub(super) fn say_of_time_stamps(&mut self, said: StampingSaid) {
        let of = fields_of_run;
        let log = &mut self.surroundings.log;
        match said {
            StampingSaid::Stamped { id, tokens } => {
                log.info("time-stamped", &[&of(&id)[..], &[("tokens", tokens.into())]].concat());
            }
            StampingSaid::Missed { id, reason } => {
                log.error(&format!("not time-stamped: {reason}"), &of(&id))
            }
            StampingSaid::Failed { id, reason, code, pause } => {
                let why: [(&str, Value); 2] =
                    [("code", code.into()), ("againInSeconds", pause.as_secs_f64().into())];
                let text = format!("not time-stamped yet: {reason}");
                log.error(&text, &[&of(&id)[..], &why].concat());
            }
            StampingSaid::Persists { reason, message } => self.warn_about_config(reason, message),
        }
    }

    pub(super) fn not_followed(&mut self, what: &str, error: &KubernetesError) {
        self.surroundings.log.error(&error.to_string(), &[("resource", what.into())]);
    }

    pub(super) fn tell(&mut self, news: News) {
        match news {
            News::Registered { object, since, entries } => {
                self.surroundings.metrics.registered(&object.metadata.namespace, since.elapsed());
                let fields = [&fields_of(&object)[..], &[("entries", entries.into())]].concat();
                self.surroundings.log.info("registered", &fields);
            }
            News::Removed { entries } => {
                self.surroundings.metrics.deleted(entries);
                self.surroundings.log.info("entries were deleted", &[("entries", entries.into())]);
            }
            News::Refused { object, refusal } => {
                self.surroundings.metrics.refused(&object.metadata.namespace);
                let message = format!("it gets no identity: {refusal}");
                self.surroundings.log.error(&message, &fields_of(&object));
                self.warn_about_object(object, message);
            }
            News::Vanished { entries } => self.vanished(entries),
            News::Obstructed { object, id, obstacle } => self.obstructed(object, id, &obstacle),
        }
    }

    fn obstructed(&mut self, object: Option<Object>, id: String, obstacle: &Obstacle) {
        self.surroundings.metrics.failed(obstacle.code());
        let message = format!("the entry {id} cannot be made: {obstacle}");
        let Some(object) = object else { return self.warn_about_config("NotRegistered", message) };
        self.surroundings.log.error(&message, &fields_of(&object));
        self.warn_about_object(object, message);
    }

    fn warn_about_object(&self, object: Object, message: String) {
        let Object { kind, metadata, .. } = object;
        let api_version = if kind == "Pod" { "v1" } else { "tekton.dev/v1" };
        self.warn(about(api_version, kind, metadata), "NotRegistered", message);
    }

    fn vanished(&mut self, entries: usize) {
        self.surroundings.metrics.vanished(entries);
        self.warn_about_config(
            "EntriesDeleted",
            match self.keeps_objects() {
                true => format!(
                    "{entries} ClusterStaticEntry objects of svidence were deleted by somebody else and are made again: see who may delete \
                     clusterstaticentries"
                ),
                false => format!(
                    "{entries} registration entries of svidence were deleted by somebody else and are made again; spire-controller-manager does \
                     that unless its configuration has an entryIDPrefix: set one, other than svidence-…, and no empty entryIDPrefixCleanup"
                ),
            },
        );
    }

    pub(super) fn warn_about_config(&mut self, reason: &'static str, message: String) {
        self.surroundings.log.error(&message, &[("reason", reason.into())]);
        if let Some(metadata) = self.config_map.clone() {
            self.warn(about("v1", "ConfigMap", metadata), reason, message);
        }
    }

    fn warn(&self, about: About, reason: &'static str, message: String) {
        let at = (self.surroundings.now)();
        // It is in the log, too; a flood of them must not hold up anything.
        let _ = self.surroundings.warnings.try_send(Warning { about, reason, message, at });
    }
}

fn about(api_version: &'static str, kind: &'static str, metadata: ObjectMetadata) -> About {
    let ObjectMetadata { namespace, name, uid, .. } = metadata;
    About { api_version, kind, namespace, name, uid }
}

fn fields_of_run(id: &RunId) -> [(&'static str, Value); 3] {
    let (namespace, name) = (id.namespace.clone(), id.name.clone());
    [("namespace", namespace.into()), ("kind", kind_of(id.kind).into()), ("name", name.into())]
}

fn fields_of(object: &Object) -> [(&'static str, Value); 4] {
    [
        ("namespace", object.metadata.namespace.clone().into()),
        ("kind", object.kind.into()),
        ("name", object.metadata.name.clone().into()),
        ("taskRun", object.task_run.clone().into()),
    ]
}
