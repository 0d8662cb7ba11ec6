//! Log lines: how the fields of a record are written. Pure, without allocation
//! besides the line itself.
//!
//! ELB pages: "Access log entries", "Connection log entries", "Health check log
//! entries". A record names its fields in their order, once ([`LogRecord`]);
//! [`Format`] says what becomes of them:
//!
//! - `elb`: fields between spaces, some of them in double quotes. Double quotes,
//!   backslashes and everything that is not printable ASCII become `\xHH`, in
//!   fields without quotes spaces too, so that a line is one line and splits at
//!   spaces outside quotes, whatever clients send.
//! - `json`: one object a line, keys as ELB names the fields, numbers as numbers,
//!   `null` for `-`. Text is as it was sent; what is not UTF-8 becomes U+FFFD.
//!
//! A field that comes from outside is cut after [`MAX_FIELD`] bytes, so a line
//! is never longer than [`MAX_LINE`].

mod number;
mod text;

use std::{
    fmt::Display,
    io::Write as _,
    time::{Duration, SystemTime},
};

pub use self::text::Text;
use super::record::Record;
use crate::model::load_balancer::LogFormat as Format;

/// A user agent is cut after this many bytes: 8 KB.
pub const MAX_USER_AGENT: usize = 8 * 1024;

/// Other text from outside is cut after this many bytes: 16 KiB, the longest request line.
pub const MAX_FIELD: usize = 16 * 1024;

/// No line is longer, however much of it is escaped: 1 MiB.
pub const MAX_LINE: usize = 1024 * 1024;

/// One entry of a log: its fields, in their order.
pub trait LogRecord {
    /// Writes every field, once.
    fn write(&self, line: &mut Line<'_>);
}

/// Appends the line of `record`, with its line feed, to `out`.
pub fn line(record: &impl LogRecord, format: Format, out: &mut Vec<u8>) {
    let mut line = Line { out, format, begun: false };
    record.write(&mut line);
    line.end();
}

/// Appends the access log line of `record` in ELB's format.
pub fn alb(record: &Record<'_>, out: &mut Vec<u8>) {
    line(record, Format::Elb, out);
}

/// A line that is being written.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
    begun: bool,
}

impl Line<'_> {
    /// A word that needs no escaping and no quotes.
    pub fn word(&mut self, name: &str, value: Option<&str>) {
        self.value(name, value, |text, value| text.plain(value.as_bytes()));
    }

    /// Text from outside, without quotes: spaces are escaped too.
    pub fn bare(&mut self, name: &str, value: Option<&[u8]>) {
        self.value(name, value, |text, value| {
            text.word(value);
        });
    }

    /// An address, without quotes.
    pub fn display(&mut self, name: &str, value: Option<impl Display>) {
        self.value(name, value, |text, value| {
            text.display(value);
        });
    }

    /// An instant: ISO 8601 with microseconds in UTC, `2018-07-02T22:23:00.186641Z`.
    pub fn timestamp(&mut self, name: &str, time: SystemTime) {
        self.value(name, Some(time), |text, time| {
            text.timestamp(time);
        });
    }

    /// An instant: ISO 8601 in whole seconds, in UTC without saying so, `2018-12-20T02:59:40`.
    pub fn seconds(&mut self, name: &str, time: SystemTime) {
        self.value(name, Some(time), |text, time| {
            text.seconds(time);
        });
    }

    /// Text from outside, URL-encoded (RFC 3986, 2.1), without quotes.
    pub fn url_encoded(&mut self, name: &str, value: Option<&[u8]>) {
        // An empty field would be none.
        let value = value.filter(|value| !value.is_empty());
        self.value(name, value, |text, value| {
            text.url_encoded(value, MAX_FIELD);
        });
    }

    /// Text that `write` puts together, quotes included.
    pub fn bare_composed<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Text<'_>, T)) {
        self.value(name, value, write);
    }

    /// Text from outside, in quotes.
    pub fn quoted(&mut self, name: &str, value: Option<&[u8]>) {
        self.composed(name, value, |text, value| {
            text.foreign(value);
        });
    }

    /// Text in quotes that `write` puts together.
    pub fn composed<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Text<'_>, T)) {
        match (value, self.format) {
            (None, Format::Elb) => {
                self.begin(name);
                self.out.extend_from_slice(b"\"-\"");
            }
            (Some(value), Format::Elb) => {
                self.begin(name);
                self.out.push(b'"');
                write(&mut Text::new(self.out, self.format), value);
                self.out.push(b'"');
            }
            (value, Format::Json) => self.value(name, value, write),
        }
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, value: Option<u64>) {
        self.bare_number(name, value, number::decimal);
    }

    /// Whole milliseconds, cut.
    pub fn milliseconds(&mut self, name: &str, time: Option<Duration>) {
        self.number(name, time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
    }

    /// Seconds with three decimals, cut; `-1` for no time.
    pub fn processing_time(&mut self, name: &str, time: Option<Duration>) {
        match time {
            Some(_) => self.bare_number(name, time, number::seconds::<3>),
            None => self.minus_one(name),
        }
    }

    /// Seconds with so many decimals, cut.
    pub fn latency<const DECIMALS: usize>(&mut self, name: &str, time: Option<Duration>) {
        self.bare_number(name, time, number::seconds::<DECIMALS>);
    }

    /// The number -1.
    pub fn minus_one(&mut self, name: &str) {
        self.bare_number(name, Some(()), |out, ()| out.extend_from_slice(b"-1"));
    }

    fn bare_number<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
        self.begin(name);
        match value {
            Some(value) => write(self.out, value),
            None => self.missing(),
        }
    }

    fn value<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut Text<'_>, T)) {
        self.begin(name);
        match (value, self.format) {
            (None, _) => self.missing(),
            (Some(value), Format::Elb) => write(&mut Text::new(self.out, self.format), value),
            (Some(value), Format::Json) => {
                self.out.push(b'"');
                write(&mut Text::new(self.out, self.format), value);
                self.out.push(b'"');
            }
        }
    }

    fn missing(&mut self) {
        self.out.extend_from_slice(match self.format {
            Format::Elb => b"-",
            Format::Json => b"null",
        });
    }

    fn begin(&mut self, name: &str) {
        let begun = std::mem::replace(&mut self.begun, true);
        match (self.format, begun) {
            (Format::Elb, false) => {}
            (Format::Elb, true) => self.out.push(b' '),
            (Format::Json, false) => self.out.extend_from_slice(b"{\""),
            (Format::Json, true) => self.out.extend_from_slice(b",\""),
        }
        if self.format == Format::Json {
            // Writing to a Vec does not fail.
            write!(self.out, "{name}\":").unwrap_or_default();
        }
    }

    fn end(self) {
        self.out.extend_from_slice(match self.format {
            Format::Elb => b"\n".as_slice(),
            Format::Json => b"}\n",
        });
    }
}

#[cfg(test)]
pub(in crate::access_log) mod tests;
