//! A configuration as it is on the wire: a tree of XML elements.
//!
//! CloudFront replaces what it is sent, and never merges. What is not ours has to be sent back exactly as it was read, fields
//! included that no type of ours, or of the SDK's version, knows. So the whole tree is kept, and only what is owned is changed in
//! it. The edge takes the tree from the body of an answer, and makes the body of a request from it.

use std::fmt;

/// An element: a text, or elements.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its text, where it has no children.
    pub text: String,
    /// What is in it.
    pub children: Vec<Element>,
}

/// A document that is not made of elements.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document cannot be read: {0}")]
pub struct Malformed(String);

impl Element {
    /// An element with a text.
    pub fn text(name: &str, text: impl ToString) -> Self {
        Self { name: name.to_owned(), text: text.to_string(), children: Vec::new() }
    }

    /// An element with elements.
    pub fn node(name: &str, children: Vec<Element>) -> Self {
        Self { name: name.to_owned(), text: String::new(), children }
    }

    /// `Quantity` and `Items` of texts.
    pub fn list<'a>(name: &str, item: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        Self::items_of(name, values.into_iter().map(|value| Self::text(item, value)).collect())
    }

    /// `Quantity` and `Items`.
    pub fn items_of(name: &str, items: Vec<Element>) -> Self {
        let mut children = vec![Self::text("Quantity", items.len())];
        if !items.is_empty() {
            children.push(Self::node("Items", items));
        }
        Self::node(name, children)
    }

    /// The child of a name.
    pub fn get(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The child of a name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Element> {
        self.children.iter_mut().find(|child| child.name == name)
    }

    /// The text of the child of a name; empty counts as none.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The elements of a list.
    pub fn items(&self) -> &[Element] {
        self.get("Items").map_or(&[], |items| &items.children)
    }

    /// Sets the text of a child, which is made at the end where there is none.
    pub fn set(&mut self, name: &str, text: impl ToString) {
        match self.get_mut(name) {
            Some(child) => child.text = text.to_string(),
            None => self.children.push(Self::text(name, text)),
        }
    }

    /// Removes a child.
    pub fn remove(&mut self, name: &str) {
        self.children.retain(|child| child.name != name);
    }

    /// Whether this text is anywhere in it.
    pub fn mentions(&self, text: &str) -> bool {
        self.text == text || self.children.iter().any(|child| child.mentions(text))
    }

    /// The texts in it that nobody is shown: values of headers that origins are sent.
    pub fn secrets(&self) -> Vec<&str> {
        let own = is_secret(&self.name).then_some(self.text.as_str());
        own.into_iter().chain(self.children.iter().flat_map(Self::secrets)).collect()
    }

    /// Reads a document. The names of spaces are left away: there is only CloudFront's.
    ///
    /// # Errors
    /// It is not XML, or has no element.
    pub fn parse(xml: &str) -> Result<Self, Malformed> {
        use xmlparser::{ElementEnd, Token};
        let malformed = |words: &dyn fmt::Display| Malformed(words.to_string());
        let mut open: Vec<Self> = vec![Self::default()];
        for token in xmlparser::Tokenizer::from(xml) {
            match token.map_err(|error| malformed(&error))? {
                Token::ElementStart { local, .. } => open.push(Self::text(local.as_str(), "")),
                Token::ElementEnd { end: ElementEnd::Open, .. } => {}
                Token::ElementEnd { .. } => {
                    let mut done = open.pop().unwrap_or_default();
                    if !done.children.is_empty() {
                        // What is between elements are line ends.
                        done.text.clear();
                    }
                    open.last_mut().ok_or_else(|| malformed(&"an end without a start"))?.children.push(done);
                }
                Token::Text { text } => {
                    if let Some(element) = open.last_mut() {
                        element
                            .text
                            .push_str(&unescaped(text.as_str()).ok_or_else(|| malformed(&"an unknown entity"))?);
                    }
                }
                Token::Cdata { text, .. } => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(text.as_str());
                    }
                }
                _ => {}
            }
        }
        match open.as_mut_slice() {
            [document] if document.children.len() == 1 => Ok(document.children.remove(0)),
            _ => Err(malformed(&"it has no single element")),
        }
    }

    /// Writes it.
    pub fn to_xml(&self) -> String {
        let mut xml = String::new();
        self.write(&mut xml);
        xml
    }

    fn write(&self, xml: &mut String) {
        if self.text.is_empty() && self.children.is_empty() {
            xml.push_str(&format!("<{}/>", self.name));
            return;
        }
        xml.push_str(&format!("<{}>{}", self.name, escaped(&self.text)));
        self.children.iter().for_each(|child| child.write(xml));
        xml.push_str(&format!("</{}>", self.name));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#xD;")
}

fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';')?;
        plain.push_str(before);
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

/// The value of a header that is sent to an origin is a secret, also where it is somebody else's.
pub(super) fn is_secret(name: &str) -> bool {
    name == "HeaderValue"
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_secret(&self.name) {
            write!(f, "{}=secret", self.name)
        } else if self.children.is_empty() {
            write!(f, "{}={:?}", self.name, self.text)
        } else {
            write!(f, "{} ", self.name)?;
            f.debug_list().entries(&self.children).finish()
        }
    }
}
