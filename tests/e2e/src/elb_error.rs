//! Errors that the load balancer makes, in all four places where they show: the
//! answer byte for byte, the access log record, and the counters, each of which
//! must have grown by exactly what the errors so far account for.

mod tally;

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::Bytes;

pub use self::tally::{Answer, ElbErrors};
use crate::{access_log::Record, client::Response};

/// How far a request got, which shows in the three times of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Got {
    /// It was not sent to a target: all three are -1.
    Nowhere,
    /// It was sent, and the target said nothing: the first is a time.
    ToTarget,
    /// The target spoke or hung up: the first two are times.
    ToAnswer,
}

/// What an error must look like. Where nothing else is said: the connection stays open, no target was chosen,
/// no action was carried out, and the log gives no reason and no class.
#[derive(Debug, Clone)]
pub struct ElbError {
    status: &'static str,
    connection: &'static str,
    target: Option<SocketAddr>,
    got: Got,
    actions: &'static str,
    reason: &'static str,
    classification: (&'static str, &'static str),
    counters: Vec<&'static str>,
}

impl ElbError {
    /// An error with this status line, such as `502 Bad Gateway`.
    #[must_use]
    pub const fn new(status: &'static str) -> Self {
        Self {
            status,
            connection: "keep-alive",
            target: None,
            got: Got::Nowhere,
            actions: "-",
            reason: "-",
            classification: ("-", "-"),
            counters: Vec::new(),
        }
    }

    /// The client's connection is closed.
    #[must_use]
    pub const fn closing(mut self) -> Self {
        self.connection = "close";
        self
    }

    /// It was to be forwarded.
    #[must_use]
    pub const fn forwarding(self) -> Self {
        self.doing("forward")
    }

    /// These actions were begun.
    #[must_use]
    pub const fn doing(mut self, actions: &'static str) -> Self {
        self.actions = actions;
        self
    }

    /// It was to be forwarded to this target, but not sent.
    #[must_use]
    pub fn chosen(mut self, target: SocketAddr) -> Self {
        self.target = Some(target);
        self.forwarding().counted("RequestCount")
    }

    /// It was sent to this target, which said nothing.
    #[must_use]
    pub fn sent(mut self, target: SocketAddr) -> Self {
        self.got = Got::ToTarget;
        self.chosen(target)
    }

    /// It was sent to this target, which answered badly or hung up.
    #[must_use]
    pub fn answered(mut self, target: SocketAddr) -> Self {
        self.got = Got::ToAnswer;
        self.chosen(target)
    }

    /// `error_reason`.
    #[must_use]
    pub const fn because(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    /// `classification` and `classification_reason`.
    #[must_use]
    pub fn classified(mut self, class: &'static str, reason: &'static str) -> Self {
        self.classification = (class, reason);
        self.counted("DesyncMitigationMode_NonCompliant_Request_Count")
    }

    /// It is counted in this metric too.
    #[must_use]
    pub fn counted(mut self, counter: &'static str) -> Self {
        self.counters.push(counter);
        self
    }

    fn code(&self) -> &'static str {
        self.status.split(' ').next().unwrap_or_default()
    }

    fn page(&self) -> String {
        let status = self.status;
        format!(
            "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n\
             <center><h1>{status}</h1></center>\r\n</body>\r\n</html>\r\n"
        )
    }

    /// Checks each byte except the date.
    fn check_http1(&self, answer: &Response) -> Result<()> {
        let page = self.page();
        let lines: Vec<&str> = answer.head.trim_end().split("\r\n").collect();
        let date = lines.get(2).copied().unwrap_or_default();
        ensure!(date.starts_with("Date: ") && date.ends_with(" GMT") && date.len() == 35, "{}", answer.head);
        let expected = [
            format!("HTTP/1.1 {}", self.status),
            "Server: awselb/2.0".to_owned(),
            date.to_owned(),
            "Content-Type: text/html".to_owned(),
            format!("Content-Length: {}", page.len()),
            format!("Connection: {}", self.connection),
        ];
        ensure!(lines == expected, "{lines:?}");
        ensure!(answer.text() == page, "{}", answer.text());
        Ok(())
    }

    fn check_http2(&self, answer: &http::Response<Bytes>) -> Result<()> {
        let page = self.page();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        ensure!(answer.status().as_str() == self.code(), "{answer:?}");
        ensure!(header("server") == Some("awselb/2.0"), "{answer:?}");
        ensure!(header("content-type") == Some("text/html"), "{answer:?}");
        ensure!(header("content-length") == Some(&page.len().to_string()), "{answer:?}");
        let names: Vec<&str> = answer.headers().keys().map(http::HeaderName::as_str).collect();
        ensure!(names == ["server", "date", "content-type", "content-length"], "{names:?}");
        ensure!(answer.body() == page.as_bytes(), "{answer:?}");
        Ok(())
    }

    /// The form of gRPC: a head alone, whatever the HTTP status.
    fn check_grpc(&self, answer: &http::Response<Bytes>) -> Result<()> {
        ensure!(answer.status().as_str() == self.code() && answer.body().is_empty(), "{answer:?}");
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        for (name, value) in [
            ("server", "awselb/2.0"),
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-message", "unavailable"),
        ] {
            ensure!(header(name) == Some(value), "{name} in {answer:?}");
        }
        ensure!(answer.headers().len() == 5 && answer.headers().contains_key("date"), "{answer:?}");
        Ok(())
    }

    fn check_answer(&self, answer: Answer<'_>) -> Result<()> {
        match answer {
            Answer::Http1(answer) => self.check_http1(answer),
            Answer::Http2(answer) => self.check_http2(answer),
            Answer::Grpc(answer) => self.check_grpc(answer),
            Answer::Nothing => Ok(()),
        }
    }

    fn check_record(&self, record: &Record) -> Result<()> {
        let target = self.target.map_or_else(|| "-".to_owned(), |target| target.to_string());
        let (class, class_reason) = self.classification;
        for (field, expected) in [
            ("elb_status_code", self.code()),
            ("target:port", &target),
            ("target:port_list", &target),
            ("target_status_code", "-"),
            ("target_status_code_list", "-"),
            ("actions_executed", self.actions),
            ("redirect_url", "-"),
            ("error_reason", self.reason),
            ("classification", class),
            ("classification_reason", class_reason),
        ] {
            ensure!(record[field] == expected, "{field} is not {expected} in {record:?}");
        }
        let times = ["request_processing_time", "target_processing_time", "response_processing_time"];
        let known = match self.got {
            Got::Nowhere => 0,
            Got::ToTarget => 1,
            Got::ToAnswer => 2,
        };
        for (index, field) in times.into_iter().enumerate() {
            let is_known = record[field] != "-1" && record.number(field)? >= 0.0;
            ensure!(is_known == (index < known), "{field} of {record:?}");
        }
        Ok(())
    }

    /// The counters that grow by one.
    fn counters(&self) -> Vec<&'static str> {
        let mut counters = self.counters.clone();
        counters.extend(match self.code().as_bytes().first() {
            Some(b'4') => Some("HTTPCode_ELB_4XX_Count"),
            Some(b'5') => Some("HTTPCode_ELB_5XX_Count"),
            _ => None,
        });
        let own = format!("HTTPCode_ELB_{}_Count", self.code());
        counters.extend(tally::COUNTERS.into_iter().find(|name| *name == own));
        counters
    }
}
