//! The text of an iCalendar file (RFC 5545, 3.1 and 3.6): lines, and the components that they stand in. Read without
//! recursion and line by line, so that no text, however it nests, can exhaust the stack.

use super::{CalendarError, short};

/// Longer texts are refused: some thousand events fit in, and each pass reads all of them.
pub(super) const MAX_TEXT: usize = 256 * 1024;

/// An alarm of an event stands at the third level; deeper nesting is none of the standard's.
const MAX_DEPTH: usize = 4;

/// What stands between `BEGIN` and `END`; what is nested in it is a component of its own.
#[derive(Debug, Default)]
pub(super) struct Component {
    /// Such as `VEVENT`.
    pub(super) name: String,
    /// In order of the text.
    pub(super) properties: Vec<Property>,
}

/// A line such as `DTSTART;TZID=Europe/Berlin:20261207T073000`.
#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    /// Such as `TZID`.
    parameters: Vec<(String, String)>,
    pub(super) value: String,
}

impl Property {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Component {
    pub(super) fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// A text with its escapes undone (RFC 5545, 3.3.11); empty where there is none.
    pub(super) fn text(&self, name: &str) -> String {
        let mut text = String::new();
        let mut characters = self.property(name).map_or("", |property| &property.value).chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => text.extend(characters.next().map(|next| if matches!(next, 'n' | 'N') { '\n' } else { next })),
                other => text.push(other),
            }
        }
        text
    }
}

/// All components of a text, in the order of their ends.
///
/// # Errors
/// A text that is too long or no iCalendar.
pub(super) fn components(text: &str) -> Result<Vec<Component>, CalendarError> {
    if text.len() > MAX_TEXT {
        return Err(CalendarError::TooLong(text.len() / 1024));
    }
    let error = |line: &str, problem: &str| CalendarError::Syntax(format!("{:?} {problem}", short(line)));
    let (mut done, mut open) = (Vec::new(), Vec::<Component>::new());
    // Windows programs begin a file with a byte order mark.
    for line in unfolded(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let Some(property) = property(&line) else { return Err(error(&line, "is no property such as SUMMARY:Exam")) };
        match property.name.as_str() {
            "BEGIN" if open.len() == MAX_DEPTH => {
                return Err(error(&line, &format!("stands in more than {MAX_DEPTH} other components")));
            }
            "BEGIN" => open.push(Component { name: property.value.to_ascii_uppercase(), properties: Vec::new() }),
            "END" => match open.pop() {
                Some(ended) if ended.name.eq_ignore_ascii_case(&property.value) => done.push(ended),
                Some(_) | None => return Err(error(&line, "ends what did not begin last")),
            },
            _ => match open.last_mut() {
                Some(component) => component.properties.push(property),
                None => return Err(error(&line, "stands outside of BEGIN:VCALENDAR and END:VCALENDAR")),
            },
        }
    }
    match open.last() {
        Some(component) => Err(error(&format!("BEGIN:{}", component.name), "has no END")),
        None if done.is_empty() => Err(CalendarError::Syntax("it is empty".into())),
        None => Ok(done),
    }
}

/// A line in its parts; a colon within quotes belongs to a parameter.
fn property(line: &str) -> Option<Property> {
    let mut quoted = false;
    let colon = line.find(|character| {
        quoted ^= character == '"';
        character == ':' && !quoted
    })?;
    let (head, value) = (&line[..colon], &line[colon + 1..]);
    let mut parts = head.split(';');
    let name = parts.next().unwrap_or_default().trim().to_ascii_uppercase();
    let parameters = parts.filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        Some((key.trim().to_owned(), value.trim_matches('"').to_owned()))
    });
    Some(Property { name, parameters: parameters.collect(), value: value.trim_end().to_owned() })
}

/// Logical lines: a line that begins with a space or tab goes on where the one before ended.
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ if line.trim().is_empty() => {}
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}
