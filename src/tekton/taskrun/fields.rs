//! A key that differs from a field of the model's in case only is refused, whichever field it is. The fields are those that
//! the types themselves ask a deserializer for.

use std::{cell::RefCell, collections::BTreeMap};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Value, json};

use crate::tekton::{
    pipelinerun::PipelineRun,
    strict::node::Node,
    taskrun::{Document, TaskRun},
};

/// The fields of each type, by where it is in a document.
type Fields = BTreeMap<String, &'static [&'static str]>;

/// Notes the fields that are asked for on the way to what is read.
struct Recorder<'a> {
    value: &'a Value,
    path: String,
    fields: &'a RefCell<Fields>,
}

impl<'a> Recorder<'a> {
    fn below(&self, step: &str, value: &'a Value) -> Self {
        Recorder { value, path: format!("{}/{step}", self.path), fields: self.fields }
    }
}

impl<'de> Deserializer<'de> for Recorder<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Array(items) => {
                let items =
                    items.iter().enumerate().map(|(i, item)| self.below(&i.to_string(), item)).collect();
                SeqAccessDeserializer::new(Items(items)).deserialize_any(visitor)
            }
            Value::Object(members) => {
                let members =
                    members.iter().map(|(key, value)| (key.clone(), self.below(key, value))).collect();
                MapAccessDeserializer::new(Members(members, None)).deserialize_any(visitor)
            }
            leaf => leaf.clone().deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields.borrow_mut().insert(self.path.clone(), fields);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

struct Items<'a>(std::collections::VecDeque<Recorder<'a>>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.pop_front().map(|item| seed.deserialize(item)).transpose()
    }
}

struct Members<'a>(std::collections::VecDeque<(String, Recorder<'a>)>, Option<Recorder<'a>>);

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.0.pop_front() else { return Ok(None) };
        self.1 = Some(value);
        seed.deserialize(Value::String(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.1.take().unwrap())
    }
}

/// An object with every field that the model reads.
fn complete() -> Value {
    let result = json!({"name": "r", "type": "string", "value": "v"});
    let artifact =
        json!({"name": "a", "buildOutput": true, "values": [{"digest": {"sha256": "0"}, "uri": "u"}]});
    let step = json!({
        "name": "s", "results": [result], "ref": {"name": "x"}, "params": [], "script": "true", "command": ["c"],
        "args": ["a"], "onError": "continue", "timeout": "1s", "env": [{"name": "V"}], "envFrom": [],
        "when": [{"cel": "true", "input": "i", "operator": "in", "values": ["i"]}],
    });
    let template = json!({"command": ["c"], "args": ["a"], "env": [{"name": "V"}], "envFrom": []});
    let task = json!({"results": [result], "steps": [step], "params": [], "stepTemplate": template});
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {
            "name": "n", "namespace": "d", "uid": "u", "creationTimestamp": "t", "labels": {"Name": "b"},
            "annotations": {"svidence.dev/timestamps": "{}", "Status": "x"},
            "ownerReferences": [{"kind": "PipelineRun", "uid": "u"}],
        },
        "spec": {"taskSpec": task, "params": []},
        "status": {
            "podName": "n-pod", "startTime": "t", "completionTime": "t", "taskSpec": task,
            "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
            "results": [result, {"name": "o", "type": "object", "value": {"Name": "v", "name": "w"}}],
            "steps": [{
                "name": "s", "container": "step-s", "imageID": "sha256:0", "terminationReason": "Continued", "results": [result],
                "terminated": {"exitCode": 0, "message": ""}, "inputs": [artifact], "outputs": [artifact],
            }],
            "artifacts": {"inputs": [artifact], "outputs": [artifact]},
            "retriesStatus": [],
        },
    })
}

fn variants(field: &str) -> impl Iterator<Item = String> {
    let first = field[..1].to_uppercase() + &field[1..];
    let last = field[..field.len() - 1].to_owned() + &field[field.len() - 1..].to_uppercase();
    let folded = [
        first,
        last,
        field.to_uppercase(),
        field.to_lowercase(),
        field.replace('s', "\u{17f}"),
        field.replace('k', "\u{212a}"),
    ];
    let field = field.to_owned();
    folded.into_iter().filter(move |variant| *variant != field)
}

/// Alters every field of a complete object, beside the field and in its place.
fn each_variant(complete: &Value, fields: RefCell<Fields>, mut is_refused: impl FnMut(Value) -> bool) -> u32 {
    let mut checked = 0;
    for (place, fields) in fields.into_inner() {
        let object = complete.pointer(&place).and_then(Value::as_object).unwrap();
        for field in fields {
            let value = match (*field, object.get(*field)) {
                (_, Some(value)) => value.clone(),
                ("taskResults" | "pipelineResults" | "taskRuns" | "runs", None) => json!([]),
                (_, None) => panic!("the test's object lacks {place}/{field}"),
            };
            for (variant, is_beside) in
                variants(field).flat_map(|variant| [(variant.clone(), true), (variant, false)])
            {
                let mut altered = complete.clone();
                let object = altered.pointer_mut(&place).and_then(Value::as_object_mut).unwrap();
                if !is_beside {
                    object.remove(*field);
                }
                object.insert(variant.clone(), value.clone());
                assert!(is_refused(altered), "{place}/{variant}");
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn a_case_variant_of_any_field_is_refused_both_ways() {
    let complete = complete();
    assert!(TaskRun::from_json(complete.to_string().as_bytes(), None).is_some());
    let fields = RefCell::new(Fields::new());
    Document::deserialize(Recorder { value: &complete, path: String::new(), fields: &fields }).unwrap();
    let checked = each_variant(&complete, fields, |altered| {
        TaskRun::from_json(altered.to_string().as_bytes(), None).is_none()
            && TaskRun::from_value(altered).is_err()
    });
    assert!(checked > 500, "{checked}");
}

/// A PipelineRun with every field that the model reads.
fn complete_pipeline_run() -> Value {
    let param = json!({"name": "p", "value": "v"});
    let when = json!({"cel": "true", "input": "i", "operator": "in", "values": ["i"]});
    let reference =
        json!({"apiVersion": "tekton.dev/v1", "kind": "Task", "name": "t", "resolver": "git", "bundle": "i"});
    let embedded = json!({"apiVersion": "tekton.dev/v1", "kind": "Task", "steps": [], "sidecars": []});
    let task = json!({
        "name": "t", "params": [param], "matrix": {"params": [param], "include": [{"params": [param]}]}, "when": [when],
        "runAfter": ["u"], "taskRef": reference, "taskSpec": embedded, "pipelineRef": {"name": "q"},
        "pipelineSpec": {"tasks": []}, "onError": "continue", "retries": 1,
    });
    let declared = json!({"name": "p", "default": "v"});
    let pipeline = json!({"params": [declared], "tasks": [task], "finally": [task], "results": [param]});
    let child = json!({"kind": "TaskRun", "name": "n-t", "pipelineTaskName": "t", "whenExpressions": [when]});
    let skipped = json!({"name": "s", "reason": "r", "whenExpressions": [when]});
    json!({
        "metadata": complete()["metadata"],
        "spec": {"pipelineSpec": pipeline, "params": [param]},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
            "childReferences": [child], "skippedTasks": [skipped], "results": [param],
            "pipelineSpec": pipeline,
        },
    })
}

#[test]
fn a_case_variant_of_any_field_of_a_pipelinerun_is_refused() {
    let complete = complete_pipeline_run();
    let is_refused = |object: Value| PipelineRun::from_node(Node::from(object), "tekton.dev/v1").is_err();
    assert!(!is_refused(complete.clone()));
    let fields = RefCell::new(Fields::new());
    PipelineRun::deserialize(Recorder { value: &complete, path: String::new(), fields: &fields }).unwrap();
    let checked = each_variant(&complete, fields, is_refused);
    assert!(checked > 500, "{checked}");
}

#[test]
fn what_is_a_key_of_data_may_be_written_as_it_likes() {
    let mut object = complete();
    for place in ["/metadata/labels", "/metadata/annotations", "/status/results/1/value"] {
        let data = object.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
        for field in ["Results", "STATUS", "s\u{17f}", "\u{212a}ind", "é"] {
            data.insert(field.to_owned(), json!("x"));
        }
    }
    assert!(TaskRun::from_json(object.to_string().as_bytes(), None).is_some());
    assert!(TaskRun::from_value(object).is_ok());
}
