//! Documents of YAML and JSON, made by chance: genuine ones, with pieces put in that readers may take differently.

/// Chance that gives the same every time (SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    pub fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// What readers of YAML may differ on, and what surrounds it.
pub const PIECES: &[&str] = &[
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\r",
    "\r\n",
    "\t",
    "\u{0}",
    "\u{7f}",
    "\u{a0}",
    "é",
    "😀",
    "\u{c}",
    "<<: ",
    "<<: {a: b}\n",
    "<<: *a\n",
    "\"<<\": {a: b}\n",
    "!!merge <<: {a: b}\n",
    "? ",
    "? a\n: b\n",
    ": ",
    "- ",
    "-",
    ":",
    "?",
    "!",
    "&a ",
    "&a\n",
    "&a-b_1 ",
    "&a: ",
    "&a:b ",
    "*a\n",
    "*x",
    "*id001",
    "*id002\n",
    "*a",
    "*a ",
    "!!str ",
    "!!merge ",
    "!!binary ",
    "!!int ",
    "!a ",
    "! ",
    "%YAML 1.1\n",
    "%TAG ! x\n",
    "%",
    "---\n",
    "--- ",
    "---",
    "--- a\n",
    "...\n",
    "... ",
    "...",
    "|",
    ">",
    "|+",
    "|-",
    "|2",
    ">1-",
    "|9\n",
    "|\n",
    ">\n",
    "|+\n\n\n",
    ">-\n  a\n\n   b\n  c\n",
    "\"",
    "'",
    "\\",
    "''",
    "\"\"",
    "#",
    " #",
    "# c\n",
    " # c",
    "\n",
    "\n\n",
    " ",
    "  ",
    "    ",
    "\n ",
    "\n  ",
    "\n    ",
    " \n",
    "\t\n",
    "\n\t",
    "[",
    "]",
    "{",
    "}",
    ",",
    ", ",
    "[a, b]",
    "{a: b}",
    "{a}",
    "[a: b]",
    "{a: b, }",
    "[a,b]",
    "{a:b}",
    "{\"a\":b}",
    "[]",
    "{}",
    "[a\n  ]",
    "{a: b,\n c: d}",
    "null",
    "~",
    "Null",
    "yes",
    "y",
    "n",
    "no",
    "on",
    "Off",
    "True",
    "true",
    "false",
    "1",
    "-1",
    "0",
    "-0",
    "+1",
    "1:30",
    "1:30.5",
    "1e3",
    "680841e1",
    "0x1f",
    "0o17",
    "0b11",
    "017",
    "08",
    "1_000",
    "1_",
    "_1",
    ".5",
    "5.",
    "1.5",
    ".inf",
    "-.INF",
    ".nan",
    "1.e+3",
    "12345678901234567890",
    "2026-11-28",
    "2026-11-28T08:08:51Z",
    "2001-1-1 1:1:1",
    "=",
    "<<",
    "a: b\n",
    "a:\n",
    "- a\n",
    "- - a\n",
    "-   - a\n",
    "  a: b\n",
    "a: b: c\n",
    "a : b\n",
    "\"\\u0085\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\x41\"",
    "\"\\/\"",
    "\"\\e\\N\\_\\L\\P\"",
    "\"\\q\"",
    "\"a\\\n  b\"",
    "'a\n  b'",
    "\"a\n\n  b\"",
    "\"a \\\n  \\ b\"",
    "\"a\n- b\"",
    "'a\n b: c'",
    "@",
    "`",
    "'a': ",
    "\"a\": ",
    "1: ",
    "true: ",
    "null: ",
    "y: ",
    "on: ",
    "[a]: b\n",
    "{a: b}: c\n",
    ": a\n",
    "a",
    "b",
    "a b",
    "a:b",
    "a#b",
    "a #b",
    "- #c\n",
    "-\n",
    "a: |\n   b\n  c\n",
    "a: |\n\n  b\n",
    "a: |1\n  b\n",
    "a: >\n\n\n  b\n\n\n",
    "a: |\n\tb\n",
    "a: |\n  b\n\t\n",
    "a: |\n  \tb\n",
    "a: |\n# c\n",
    "a: |\n  b\n# c\n  d\n",
    "a: b\n c\n",
    "a: b\n\n c\n",
    "a: b\n # c\n d\n",
    "a: 'b'c\n",
    "a: \"b\" c\n",
    "a: [b]c\n",
    "a: 'b' # c\n",
    "a: 'b'# c\n",
    "a:\tb\n",
    "a: b\t\n",
    "a: b\t# c\n",
    "a: b \n  c \n",
    "-\ta\n",
    "a: -\n",
    "a: ?\n",
    "a: - b\n",
    "a: %b\n",
    "items:\n",
    "kind: List\n",
    "apiVersion: v1\n",
    "Items:\n",
    "Kind: x\n",
];

/// Genuine documents.
pub const GENUINE: &[&str] = &[
    "apiVersion: v1\nitems:\n- a: b\n  c:\n  - d\n  - e: f\n    g: 'h: i'\n- a: \"j\\tk\"\n  c: []\nkind: List\nmetadata:\n  resourceVersion: \"\"\n",
    "a: |\n  one\n    two\n\n  three\nb: >-\n  four\n  five\n\n  six\nc: |+\n  seven\n\nd: |2-\n    eight\n   nine\n",
    "a: one two\n  three\n  four\nb: 'five\n  six\n\n  seven'\nc: \"eight\\\n  \\ nine\\n\\\n  ten\"\nd: 10\ne: true\nf: null\ng:\n",
    "# comment\na: # comment\n  b: c # comment\n  # comment\n  d:\n  - e\n\n  - f: g\n    # comment\n    h: {i: j, k: [l, 'm', \"n\"]}\no: -p\nq: r:s\nt: u#v\n",
    "a:\n  b:\n    c:\n      d: e\n  f: g\nh:\n- - i\n  - j\n- - k\n-\n  l: m\n  n: o\n",
    "- a\n- b: c\n  d: e\n-\n  - f\n- 'g'\n- \"h\"\n- |\n  i\n- 1\n",
    "---\na: b\n---\nc: d\n...\n---\ne: f\n",
    "'a b': c\n\"d\\te\": f\ng h: i\n? j\n: k\n",
    "a: &id001\n- b: &id002\n    c: d\n- e\nf: *id001\ng:\n- *id002\n- {h: *id002, i: [*id001, &j k, *j]}\nl: &m 'n'\no: *m\n",
    "a: &x {b: c}\nd: *x\ne:\n  <<: *x\n  b: f\n",
];

/// A document: a genuine one with up to four changes, or pieces one after the other.
pub fn yaml(chance: &mut Chance, genuine: &[&str]) -> String {
    if chance.below(4) == 0 {
        let pieces = 1 + chance.below(8);
        return (0..pieces).map(|_| chance.of(PIECES)).collect();
    }
    let mut text = chance.of(genuine).to_owned();
    for _ in 0..chance.below(5) {
        change(chance, &mut text);
    }
    text
}

/// One change, mostly where a line, a key or a value begins or ends.
pub fn change(chance: &mut Chance, text: &mut String) {
    let places: Vec<usize> = match chance.below(3) {
        0 => text.char_indices().map(|(at, _)| at).collect(),
        1 => text.match_indices('\n').map(|(at, _)| at + 1).chain([0]).collect(),
        _ => {
            let ends = |(at, found): (usize, &str)| [at, at + found.len()];
            text.match_indices(['\n', ':', '-', ' ', '\'', '"']).flat_map(ends).collect()
        }
    };
    let Some(&at) = places.get(chance.below(places.len())) else { return };
    let mut end = at + [0, 0, 0, 1, 2, 5][chance.below(6)];
    end = (end..text.len() + 4).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    match chance.below(8) {
        0 => text.replace_range(at..end.min(text.len()), ""),
        1 => {
            // A line again, somewhere else.
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let line = lines[chance.below(lines.len())].to_owned();
            text.insert_str(at, &line);
        }
        2 => text.insert_str(at, ["  ", " ", "\n", "    "][chance.below(4)]),
        _ => text.replace_range(at..end.min(text.len()), chance.of(PIECES)),
    }
}
