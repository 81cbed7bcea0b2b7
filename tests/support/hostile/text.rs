//! How a text may be long, deep or in many pieces.

use serde_json::json;

use super::{Shape, annotated, forged, shape, verified, with_message, yaml};
use crate::support::packed::{gzip, zstd};

fn spaces(count: usize) -> String {
    " ".repeat(count) + "{}"
}

pub(super) const SHAPES: &[Shape] = &[
    shape("lists in a message", 1 << 18, |n| {
        forged(|run| {
            run["status"]["steps"][0]["terminated"]["message"] = json!("[".repeat(n) + &"]".repeat(n))
        })
    }),
    shape("lists in a result", 1 << 18, |n| {
        forged(|run| {
            with_message(run, |entries| entries[0]["value"] = json!("[".repeat(n) + &"]".repeat(n)));
        })
    }),
    shape("lists in an annotation", 1 << 18, |n| annotated(&("[".repeat(n) + &"]".repeat(n)))),
    verified("escapes in an annotation", 1 << 16, |n| annotated(&format!("\"{}\"", "\\u0041".repeat(n)))),
    Shape { objects: |n| n, ..shape("objects on one line", 4000, |n| "{}".repeat(n)) },
    Shape {
        objects: |n| n + 1,
        needs_end: true,
        ..shape("objects on one line that ends with spaces", 2000, |n| {
            format!("{}x{}", "{}".repeat(n), " ".repeat(50 * n))
        })
    },
    Shape { objects: |n| n, ..shape("JSON lines", 4000, |n| "{}\n".repeat(n)) },
    Shape {
        objects: |n| n,
        ..shape("items", 4000, |n| format!("{{\"kind\":\"List\",\"items\":[{}]}}", vec!["{}"; n].join(",")))
    },
    Shape {
        objects: |n| n,
        // A text of more than 1 MiB is looked at again when twice as much is there, or the end.
        needs_end: true,
        ..shape("items of a list with a long version", 2000, |n| {
            let items = vec!["{}"; n].join(",");
            let version = "v".repeat(600 * n);
            format!("{{\"kind\":\"TaskRunList\",\"apiVersion\":\"{version}\",\"items\":[{items}]}}")
        })
    },
    shape("lists at the top", 1 << 18, |n| "[".repeat(n) + &"]".repeat(n)),
    shape("objects in each other at the top", 1 << 16, |n| {
        format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n))
    }),
    shape("lists that do not end", 1 << 18, |n| "[".repeat(n)),
    Shape {
        objects: |n| n + 1,
        needs_end: true,
        ..shape("JSON lines, all broken but the first", 4000, |n| format!("{{}}\n{}", "{\"a\n".repeat(n)))
    },
    Shape {
        objects: |n| n + 1,
        needs_end: true,
        ..shape("JSON lines, all words but the first", 4000, |n| format!("{{}}\n{}", "x\n".repeat(n)))
    },
    Shape { needs_end: true, packed: |text| gzip(text), ..shape("white space, compressed", 2 << 20, spaces) },
    Shape {
        needs_end: true,
        packed: |text| zstd(text),
        ..shape("white space, by Zstandard", 2 << 20, spaces)
    },
    Shape {
        objects: |n| n,
        needs_end: true,
        packed: |text| gzip(text),
        ..shape("JSON lines, compressed", 4000, |n| "{}\n".repeat(n))
    },
    Shape {
        needs_end: true,
        packed: |text| text.split_inclusive('\n').flat_map(gzip).collect(),
        ..shape("members of gzip", 2000, |n| " \n".repeat(n))
    },
    shape("white space", 2 << 20, spaces),
    yaml("lists in YAML", 20_000, |n| format!("a: {}{}", "[".repeat(n), "]".repeat(n))),
    yaml("items of a list in YAML", 8000, |n| format!("a: [{}]\n", vec!["x"; n].join(","))),
    yaml("blocks in YAML", 300, |n| (0..n).map(|i| format!("{}a:\n", " ".repeat(i))).collect()),
    yaml("members in YAML", 8000, |n| (0..n).map(|i| format!("a{i}: x\n")).collect()),
    yaml("anchors in YAML", 8000, |n| (0..n).map(|i| format!("- &a{i} x\n")).collect()),
    Shape { objects: |n| n, ..yaml("documents in YAML", 8000, |n| "---\na: b\n".repeat(n)) },
    yaml("a comment in YAML", 1 << 18, |n| format!("a: b {}", "# ".repeat(n))),
    yaml("a text in YAML", 1 << 18, |n| format!("a: >\n{}", "  x\n".repeat(n / 4))),
    yaml("a literal text in YAML", 1 << 18, |n| format!("a: |\n{}", "  x\n".repeat(n / 4))),
    yaml("a plain text in YAML", 1 << 18, |n| format!("a: x\n{}", "  x\n".repeat(n / 4))),
    yaml("a quoted text in YAML", 1 << 16, |n| format!("a: \"{}\"\n", "\\u0041".repeat(n))),
    yaml("a text in single quotes in YAML", 1 << 17, |n| format!("a: '{}'\n", "''".repeat(n))),
    yaml("objects in each other in YAML", 20_000, |n| format!("a: {}{}", "{a: ".repeat(n), "}".repeat(n))),
    yaml("members in braces in YAML", 8000, |n| {
        let members: Vec<String> = (0..n).map(|i| format!("a{i}: x")).collect();
        format!("a: {{{}}}\n", members.join(", "))
    }),
    yaml("lists on one line in YAML", 20_000, |n| "- ".repeat(n) + "x\n"),
    yaml("keys that are marked in YAML", 8000, |n| "? ".repeat(n) + "x\n"),
    yaml("aliases in YAML", 8000, |n| format!("a: &a x\nb:\n{}", "- *a\n".repeat(n))),
    yaml("aliases of aliases in YAML", 2000, |n| {
        let more = (1..n).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1));
        std::iter::once("a0: &a0 [x, x]\n".to_owned()).chain(more).collect()
    }),
    yaml("merge keys in YAML", 4000, |n| format!("a: &a {{x: y}}\nb:\n{}", "- <<: *a\n".repeat(n))),
    yaml("tags in YAML", 8000, |n| "- !!str x\n".repeat(n)),
    yaml("lines of comments in YAML", 1 << 16, |n| "# x\n".repeat(n) + "a: b\n"),
    yaml("empty lines in YAML", 1 << 18, |n| format!("a: b\n{}", "\n".repeat(n))),
    Shape { objects: |n| n, ..yaml("empty documents in YAML", 20_000, |n| "---\n".repeat(n)) },
];
