//! The access log's fields in their order.
//!
//! ELB page: "Access log entries".

use super::{
    format::{self, Line, LogRecord, MAX_USER_AGENT, Text},
    record::{ChosenCertificate, MatchedRule, Record, RequestLine},
};
use crate::model::load_balancer::LogFormat as Format;

impl LogRecord for Record<'_> {
    fn write(&self, line: &mut Line<'_>) {
        let last = self.targets.last();
        line.word("type", Some(self.kind.as_str()));
        line.timestamp("time", self.time);
        line.word("elb", Some(self.elb));
        line.display("client:port", Some(self.client));
        line.display("target:port", last.map(|target| target.addr));
        line.processing_time("request_processing_time", self.request_processing_time);
        line.processing_time("target_processing_time", self.target_processing_time);
        line.processing_time("response_processing_time", self.response_processing_time);
        match self.elb_status_code {
            Some(0) => line.word("elb_status_code", Some("000")),
            status => line.number("elb_status_code", status.map(u64::from)),
        }
        line.number("target_status_code", last.and_then(|target| target.status_code).map(u64::from));
        line.number("received_bytes", Some(self.received_bytes));
        line.number("sent_bytes", Some(self.sent_bytes));
        line.composed("request", Some(&self.request), request);
        line.quoted("user_agent", self.user_agent.map(|agent| agent.get(..MAX_USER_AGENT).unwrap_or(agent)));
        line.word("ssl_cipher", self.ssl_cipher);
        line.word("ssl_protocol", self.ssl_protocol);
        line.word("target_group_arn", self.target_group_arn);
        line.quoted("trace_id", self.trace_id);
        line.quoted("domain_name", self.domain_name.map(str::as_bytes));
        line.quoted(
            "chosen_cert_arn",
            match self.chosen_cert {
                ChosenCertificate::None => None,
                ChosenCertificate::Arn(arn) => Some(arn.as_bytes()),
                ChosenCertificate::SessionReused => Some(b"session-reused"),
            },
        );
        match self.matched_rule {
            MatchedRule::NotReached => line.number("matched_rule_priority", None),
            MatchedRule::EvaluationError => line.minus_one("matched_rule_priority"),
            MatchedRule::Default => line.number("matched_rule_priority", Some(0)),
            MatchedRule::Priority(priority) => line.number("matched_rule_priority", Some(priority.into())),
        }
        line.timestamp("request_creation_time", self.request_creation_time);
        tail(self, line);
    }
}

/// `request` by itself, escaped as in the line.
pub(super) fn request_text(request: &RequestLine<'_>) -> String {
    let mut text = Vec::new();
    format::line(&Request(request), Format::Elb, &mut text);
    String::from_utf8_lossy(text.trim_ascii_end()).into_owned()
}

struct Request<'a>(&'a RequestLine<'a>);

impl LogRecord for Request<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.bare_composed("request", Some(self.0), request);
    }
}

/// Fields 23 to 34.
fn tail(record: &Record<'_>, line: &mut Line<'_>) {
    list(line, "actions_executed", record.actions_executed, b",", |text, action| {
        text.plain(action.as_str().as_bytes());
    });
    line.quoted("redirect_url", record.redirect_url.map(str::as_bytes));
    line.quoted("error_reason", record.error_reason.map(str::as_bytes));
    list(line, "target:port_list", record.targets, b" ", |text, target| text.display(target.addr));
    list(line, "target_status_code_list", record.targets, b" ", |text, target| match target.status_code {
        Some(code) => text.decimal(code.into()),
        None => text.plain(b"-"),
    });
    line.quoted("classification", record.classification.map(|class| class.as_str().as_bytes()));
    line.quoted("classification_reason", record.classification_reason.map(str::as_bytes));
    line.display("conn_trace_id", Some(record.conn_trace_id));
    line.quoted("transformed_host", record.transformed_host);
    line.quoted("transformed_uri", record.transformed_uri);
    line.quoted("request_transform_status", record.request_transform_status.map(str::as_bytes));
    line.display("ip_address", record.ip_address);
}

/// A quoted list; an empty one is missing.
fn list<T>(
    line: &mut Line<'_>,
    name: &str,
    items: &[T],
    separator: &[u8],
    write: impl Fn(&mut Text<'_>, &T),
) {
    let items = (!items.is_empty()).then_some(items);
    line.composed(name, items, |text, items| {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                text.plain(separator);
            }
            write(text, item);
        }
    });
}

fn request(text: &mut Text<'_>, request: &RequestLine<'_>) {
    match *request {
        RequestLine::Readable { method, scheme, host, port, path_and_query, version } => {
            text.foreign(method.as_bytes());
            text.plain(b" ");
            text.plain(scheme.as_str().as_bytes());
            text.plain(b"://");
            text.foreign(host);
            if !has_port(host) {
                text.plain(b":");
                text.decimal(port.into());
            }
            text.foreign(path_and_query);
            text.plain(b" ");
            text.plain(version.as_str().as_bytes());
        }
        RequestLine::Unreadable { scheme, local } => {
            text.plain(b"- ");
            text.plain(scheme.as_str().as_bytes());
            text.plain(b"://");
            text.display(local);
            text.plain(b"- -");
        }
    }
}

/// Whether a host ends in `:port`; the colons of an IPv6 literal are inside brackets.
fn has_port(host: &[u8]) -> bool {
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && host.iter().rev().nth(digits) == Some(&b':')
}
