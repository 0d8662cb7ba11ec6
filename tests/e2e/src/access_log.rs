//! Reads access logs: every line must be exactly the 34 fields of ELB's
//! "Access log entries", the right ones in quotes.

use std::{fs, ops::Index, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

/// Each field's name, and whether it stands in double quotes, in the order of the line.
pub const FIELDS: [(&str, Quotes); 34] = [
    ("type", Quotes::Bare),
    ("time", Quotes::Bare),
    ("elb", Quotes::Bare),
    ("client:port", Quotes::Bare),
    ("target:port", Quotes::Bare),
    ("request_processing_time", Quotes::Bare),
    ("target_processing_time", Quotes::Bare),
    ("response_processing_time", Quotes::Bare),
    ("elb_status_code", Quotes::Bare),
    ("target_status_code", Quotes::Bare),
    ("received_bytes", Quotes::Bare),
    ("sent_bytes", Quotes::Bare),
    ("request", Quotes::Quoted),
    ("user_agent", Quotes::Quoted),
    ("ssl_cipher", Quotes::Bare),
    ("ssl_protocol", Quotes::Bare),
    ("target_group_arn", Quotes::Bare),
    ("trace_id", Quotes::Quoted),
    ("domain_name", Quotes::Quoted),
    ("chosen_cert_arn", Quotes::Quoted),
    ("matched_rule_priority", Quotes::Bare),
    ("request_creation_time", Quotes::Bare),
    ("actions_executed", Quotes::Quoted),
    ("redirect_url", Quotes::Quoted),
    ("error_reason", Quotes::Quoted),
    ("target:port_list", Quotes::Quoted),
    ("target_status_code_list", Quotes::Quoted),
    ("classification", Quotes::Quoted),
    ("classification_reason", Quotes::Quoted),
    ("conn_trace_id", Quotes::Bare),
    ("transformed_host", Quotes::Quoted),
    ("transformed_uri", Quotes::Quoted),
    ("request_transform_status", Quotes::Quoted),
    ("ip_address", Quotes::Bare),
];

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// As it is.
    Bare,
    /// In double quotes.
    Quoted,
}

/// One line of the access log: fields by name, without their quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record(Vec<String>);

impl Index<&str> for Record {
    type Output = String;

    #[expect(clippy::expect_used, reason = "a misspelt field name is a mistake in the test")]
    fn index(&self, name: &str) -> &String {
        let position =
            FIELDS.iter().position(|(field, _)| *field == name).expect("name of an access log field");
        self.0.get(position).expect("a record has all fields")
    }
}

impl Record {
    /// The field `request`.
    #[must_use]
    pub fn request(&self) -> &str {
        &self["request"]
    }

    /// A field of seconds or bytes as a number.
    ///
    /// # Errors
    /// When the field is not a number.
    pub fn number(&self, name: &str) -> Result<f64> {
        self[name].parse().with_context(|| format!("{name} is {:?}", self[name]))
    }

    /// Reads one line.
    ///
    /// # Errors
    /// When it does not have exactly 34 fields, each quoted or bare as it should be.
    pub fn parse(line: &str) -> Result<Self> {
        let mut rest = line;
        let mut fields = Vec::with_capacity(FIELDS.len());
        for (index, (name, quotes)) in FIELDS.iter().enumerate() {
            if index > 0 {
                rest = rest.strip_prefix(' ').with_context(|| format!("no {name} in {line:?}"))?;
            }
            let (value, after) = match quotes {
                Quotes::Bare => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
                Quotes::Quoted => {
                    let inner =
                        rest.strip_prefix('"').with_context(|| format!("{name} unquoted in {line:?}"))?;
                    inner.split_once('"').with_context(|| format!("{name} does not end in {line:?}"))?
                }
            };
            ensure!(!value.is_empty() && !value.contains('"'), "{name} is {value:?} in {line:?}");
            fields.push(value.to_owned());
            rest = after;
        }
        if !rest.is_empty() {
            bail!("{rest:?} after the last field in {line:?}");
        }
        Ok(Self(fields))
    }
}

/// All records in the log files below `dir`, file by file; a half-written last line is left out.
///
/// # Errors
/// When a line is not a record.
pub fn read(dir: &Path) -> Result<Vec<Record>> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    let mut records = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let complete = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
        for line in complete.lines() {
            records.push(Record::parse(line)?);
        }
    }
    Ok(records)
}

fn collect(dir: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
