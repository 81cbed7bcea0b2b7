//! Colour on a terminal.

use std::{ffi::OsString, fmt};

use clap::ValueEnum;

/// The value of `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Choice {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    #[default]
    Auto,
    /// Also into a file or pipe
    Always,
    /// Not at all
    Never,
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour(bool);

/// How a piece of text looks. The words say everything; colour only helps to find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// What is as it should be.
    Good,
    /// What must not be used.
    Bad,
    /// What is not known, or not good enough.
    Doubtful,
    /// What the eye should find.
    Bold,
    /// What matters less.
    Faint,
}

impl Colour {
    /// None.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(false);

    /// What was chosen, given where the text goes and the environment (<https://no-color.org>, <https://bixense.com/clicolors>).
    pub(crate) fn of(choice: Choice, is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
        Self(match choice {
            Choice::Always => true,
            Choice::Never => false,
            Choice::Auto if is_set("NO_COLOR") => false,
            Choice::Auto
                if variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") =>
            {
                true
            }
            Choice::Auto => is_terminal && variable("TERM").is_none_or(|term| term != "dumb"),
        })
    }

    /// `text` in a style. The text must be safe to print already.
    pub(crate) fn paint<T: fmt::Display>(self, style: Style, text: T) -> Painted<T> {
        Painted { style: self.0.then_some(style), text }
    }
}

/// Text in a style.
pub(crate) struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.style {
            None => return self.text.fmt(f),
            Some(Style::Good) => "32",
            Some(Style::Bad) => "1;31",
            Some(Style::Doubtful) => "33",
            Some(Style::Bold) => "1",
            Some(Style::Faint) => "2",
        };
        write!(f, "\x1b[{code}m")?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Colour, Style};

    #[test]
    fn the_environment_decides_unless_the_option_does() {
        for (case, choice, is_terminal, variables, expected) in [
            ("a terminal", Choice::Auto, true, &[][..], true),
            ("a pipe", Choice::Auto, false, &[], false),
            ("NO_COLOR", Choice::Auto, true, &[("NO_COLOR", "1")], false),
            ("NO_COLOR that is empty", Choice::Auto, true, &[("NO_COLOR", "")], true),
            ("a dumb terminal", Choice::Auto, true, &[("TERM", "dumb")], false),
            ("CLICOLOR_FORCE", Choice::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            ("CLICOLOR_FORCE=0", Choice::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (
                "NO_COLOR and CLICOLOR_FORCE",
                Choice::Auto,
                true,
                &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")],
                false,
            ),
            ("always", Choice::Always, false, &[("NO_COLOR", "1")], true),
            ("never", Choice::Never, true, &[("CLICOLOR_FORCE", "1")], false),
        ] {
            let variable = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
            };
            let painted = Colour::of(choice, is_terminal, variable).paint(Style::Good, "x").to_string();
            assert_eq!(painted != "x", expected, "{case}: {painted:?}");
        }
        assert_eq!(Colour::NONE.paint(Style::Bad, "x").to_string(), "x");
    }
}
