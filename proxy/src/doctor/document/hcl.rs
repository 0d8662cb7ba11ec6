//! HCL, Terraform's language. A body becomes the map that Terraform's JSON
//! syntax has for it: a block with labels lies below them, blocks without are
//! lists.
//!
//! What cannot be known without running Terraform becomes the text of its
//! expression as a template: `${var.idle_timeout}`.

mod evaluate;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use hcl_edit::{
    Span as _,
    expr::Expression,
    parser::parse_body,
    structure::{Block, Body, Structure},
};

use super::{Node, SyntaxError, Value};
use crate::doctor::setting::Place;

use self::evaluate::Evaluator;

/// The longest file, in bytes: people write them, and each value takes far more room than its text.
const LONGEST_FILE: usize = 4 * 1024 * 1024;
/// Up to here columns are counted in characters, beyond in bytes: a line can be as long as the file.
const LONGEST_LINE: usize = 4096;

/// What text that stands for something unknown has in it.
pub const UNKNOWN: &str = "${";

/// A parsed file.
#[derive(Debug, Clone)]
pub struct Hcl {
    file: Arc<str>,
    text: String,
    body: Body,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

/// What names stand for: `var.idle_timeout`, `local.name`.
#[derive(Debug, Default)]
pub struct Scope<'a> {
    values: BTreeMap<String, (&'a Hcl, &'a Expression)>,
}

impl<'a> Scope<'a> {
    /// Says what a name stands for; the last word holds.
    pub fn define(&mut self, name: String, of: &'a Hcl, value: &'a Expression) {
        self.values.insert(name, (of, value));
    }

    fn get(&self, name: &str) -> Option<(&'a Hcl, &'a Expression)> {
        self.values.get(name).copied()
    }
}

impl Hcl {
    /// Parses a file.
    ///
    /// # Errors
    /// The text is no HCL, or too long.
    pub fn parse(file: &Arc<str>, text: &str) -> Result<Self, SyntaxError> {
        if text.len() > LONGEST_FILE {
            let message = format!("is longer than {LONGEST_FILE} bytes");
            return Err(SyntaxError { file: Arc::clone(file), line: 1, column: 1, message });
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let body = parse_body(text).map_err(|error| SyntaxError {
            file: Arc::clone(file),
            line: error.location().line(),
            column: error.location().column(),
            message: error.message().to_owned(),
        })?;
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Ok(Self { file: Arc::clone(file), text: text.to_owned(), body, lines })
    }

    /// The file as it was named to us.
    #[must_use]
    pub const fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The blocks of a kind.
    pub fn blocks<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Block> {
        self.body.blocks().filter(move |block| block.has_ident(kind))
    }

    /// The attributes outside of blocks.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &Expression)> {
        self.body.attributes().map(|attribute| (attribute.key.as_str(), &attribute.value))
    }

    /// The whole file as a tree.
    #[must_use]
    pub fn tree(&self, scope: &Scope<'_>) -> Node {
        let evaluator = Evaluator::new(self, scope);
        Node { value: self.map(&self.body, &evaluator), place: self.place(Some(0..0)) }
    }

    fn map(&self, body: &Body, evaluator: &Evaluator<'_>) -> Value {
        let mut entries: Vec<(Arc<str>, Node)> = Vec::new();
        for structure in body {
            match structure {
                Structure::Attribute(attribute) => {
                    let value = evaluator.node(&attribute.value).value;
                    let place = self.place(attribute.key.span());
                    entries.push((attribute.key.as_str().into(), Node { value, place }));
                }
                Structure::Block(block) => self.block(block, evaluator, &mut entries),
            }
        }
        Value::Map(entries)
    }

    fn block(&self, block: &Block, evaluator: &Evaluator<'_>, entries: &mut Vec<(Arc<str>, Node)>) {
        let place = self.place(block.ident.span());
        let key = block.ident.as_str();
        let inner = Node { value: self.map(&block.body, evaluator), place: place.clone() };
        let labelled = block.labels.iter().rev().fold(inner, |inner, label| Node {
            value: Value::Map(vec![(label.as_str().into(), inner)]),
            place: place.clone(),
        });
        if !block.labels.is_empty() {
            entries.push((key.into(), labelled));
            return;
        }
        let before = entries.iter_mut().find_map(|(known, node)| match &mut node.value {
            Value::List(items) if &**known == key => Some(items),
            _ => None,
        });
        match before {
            Some(items) => items.push(labelled),
            None => entries.push((key.into(), Node { value: Value::List(vec![labelled]), place })),
        }
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let at = span.map_or(0, |span| span.start);
        let line = self.lines.partition_point(|begin| *begin <= at);
        let begin = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = match self.text.get(begin..at) {
            Some(before) if before.len() <= LONGEST_LINE => before.chars().count() + 1,
            _ => at.saturating_sub(begin) + 1,
        };
        Place::File { file: Arc::clone(&self.file), line, column }
    }

    fn written(&self, span: Option<Range<usize>>) -> &str {
        span.and_then(|span| self.text.get(span)).unwrap_or("").trim()
    }
}
