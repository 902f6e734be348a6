//! Colours, marks and widths. A mark never stands alone: a word beside it says the same.

use std::io::IsTerminal;
use unicode_width::UnicodeWidthStr;

/// How text for people looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether marks and states are coloured.
    pub color: bool,
    /// Whether the terminal shows more than ASCII.
    pub unicode: bool,
    /// Columns; lines are wrapped to it.
    pub width: usize,
}

/// What is said of a thing, in one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Wrong: somebody has to do something.
    Bad,
    /// It could not be told.
    Unknown,
    /// Worth knowing.
    Warning,
    /// Under way.
    Progress,
    /// As it should be.
    Good,
    /// Not configured.
    Off,
}

impl Style {
    /// The style of this process' stdout: colours on a terminal without `NO_COLOR`, marks by the locale.
    pub fn of_stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .unwrap_or_default()
            .to_lowercase();
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        // Into a pipe nothing is wrapped: whoever reads there searches for whole lines.
        let width = match columns {
            Some(columns) => columns,
            None if terminal => terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into()),
            None => usize::MAX,
        };
        Self {
            color: terminal && !set("NO_COLOR") && !dumb,
            unicode: !dumb && (locale.contains("utf-8") || locale.contains("utf8")),
            width: width.max(40),
        }
    }

    /// No colours, ASCII only, 100 columns.
    pub const PLAIN: Self = Self { color: false, unicode: false, width: 100 };

    /// A mark, always one column wide.
    pub fn mark(&self, mark: Mark) -> String {
        let (unicode, ascii) = match mark {
            Mark::Bad => ("×", "x"),
            Mark::Unknown => ("?", "?"),
            Mark::Warning => ("‼", "!"),
            Mark::Progress => ("◎", "~"),
            Mark::Good => ("√", "+"),
            Mark::Off => ("-", "-"),
        };
        self.paint(mark, if self.unicode { unicode } else { ascii })
    }

    /// Text in the colour of a mark.
    pub fn paint(&self, mark: Mark, text: &str) -> String {
        let code = match mark {
            Mark::Bad => "31",
            Mark::Warning | Mark::Unknown => "33",
            Mark::Progress => "36",
            Mark::Good => "32",
            Mark::Off => "2",
        };
        self.code(code, text)
    }

    /// Text that stands out.
    pub fn bold(&self, text: &str) -> String {
        self.code("1", text)
    }

    fn code(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A paragraph after a prefix, wrapped to the width; further lines begin below the text.
    pub fn hang(&self, prefix: &str, text: &str) -> String {
        let mut indent = visible_width(prefix);
        let mut out = String::from(prefix);
        // A prefix that leaves no room for words would make a column of syllables.
        if self.width.saturating_sub(indent) < 24 && visible_width(text) > self.width.saturating_sub(indent) {
            indent = 4;
            out.truncate(out.trim_end().len());
            out.push_str("\n    ");
        }
        let room = self.width.saturating_sub(indent);
        let mut used = 0;
        for word in text.split_whitespace() {
            let width = word.width();
            if used > 0 && used + 1 + width > room {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += width;
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

/// Columns that a text takes, colour codes aside.
fn visible_width(text: &str) -> usize {
    let mut width = 0;
    for (index, part) in text.split('\u{1b}').enumerate() {
        let shown = if index == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) };
        width += shown.width();
    }
    width
}

/// Pads to a width in columns.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(visible_width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_hang_below_their_first_word() {
        let style = Style { width: 40, ..Style::PLAIN };
        let text = style.hang("  + web  ", "three of three pods are ready and serve the newest image");
        assert_eq!(text, "  + web  three of three pods are ready\n         and serve the newest image\n");
        assert!(text.lines().all(|l| l.width() <= 40));
    }

    #[test]
    fn a_wide_prefix_has_its_text_below() {
        let style = Style { width: 40, ..Style::PLAIN };
        let text = style.hang("learning/story  Ready for 3h  ", "2 of 2 apps, 7 of 8 pods");
        assert_eq!(text, "learning/story  Ready for 3h\n    2 of 2 apps, 7 of 8 pods\n");
        assert_eq!(style.hang("learning/story  Ready for 3h  ", ""), "learning/story  Ready for 3h\n");
    }

    #[test]
    fn colours_take_no_room() {
        let style = Style { color: true, unicode: true, width: 80 };
        let mark = style.mark(Mark::Good);
        assert_eq!(mark, "\u{1b}[32m√\u{1b}[0m");
        assert_eq!(visible_width(&mark), 1);
        assert_eq!(pad(&mark, 3), format!("{mark}  "));
        assert_eq!(style.bold("x"), "\u{1b}[1mx\u{1b}[0m");
        assert_eq!(Style::PLAIN.mark(Mark::Bad), "x");
    }
}
