//! Reads the logs: every line must be exactly the fields of ELB's "Access log
//! entries" (34), "Connection log entries" (15) or "Health check log entries" (10),
//! of a network load balancer's access log (22) or of the flow log (15), the right
//! ones in quotes. Files may be plain text or gzip.

use std::{
    fs::{self, File},
    io::Read as _,
    ops::Index,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::MultiGzDecoder;

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

/// The same for the connection log.
pub const CONNECTION_FIELDS: [(&str, Quotes); 15] = [
    ("timestamp", Quotes::Bare),
    ("client_ip", Quotes::Bare),
    ("client_port", Quotes::Bare),
    ("listener_port", Quotes::Bare),
    ("tls_protocol", Quotes::Bare),
    ("tls_cipher", Quotes::Bare),
    ("tls_handshake_latency", Quotes::Bare),
    ("leaf_client_cert_subject", Quotes::Quoted),
    ("leaf_client_cert_validity", Quotes::Bare),
    ("leaf_client_cert_serial_number", Quotes::Bare),
    ("tls_verify_status", Quotes::Bare),
    ("conn_trace_id", Quotes::Bare),
    ("tls_keyexchange", Quotes::Bare),
    ("elb", Quotes::Bare),
    ("ip_address", Quotes::Bare),
];

/// The same for the health check log.
pub const HEALTH_CHECK_FIELDS: [(&str, Quotes); 10] = [
    ("type", Quotes::Bare),
    ("time", Quotes::Bare),
    ("latency", Quotes::Bare),
    ("target_addr", Quotes::Bare),
    ("target_group_id", Quotes::Bare),
    ("status", Quotes::Bare),
    ("status_code", Quotes::Bare),
    ("reason_code", Quotes::Bare),
    ("elb", Quotes::Bare),
    ("ip_address", Quotes::Bare),
];

/// The same for the access log of a network load balancer.
pub const TLS_CONNECTION_FIELDS: [(&str, Quotes); 22] = [
    ("type", Quotes::Bare),
    ("version", Quotes::Bare),
    ("time", Quotes::Bare),
    ("elb", Quotes::Bare),
    ("listener", Quotes::Bare),
    ("client:port", Quotes::Bare),
    ("destination:port", Quotes::Bare),
    ("connection_time", Quotes::Bare),
    ("tls_handshake_time", Quotes::Bare),
    ("received_bytes", Quotes::Bare),
    ("sent_bytes", Quotes::Bare),
    ("incoming_tls_alert", Quotes::Bare),
    ("chosen_cert_arn", Quotes::Bare),
    ("chosen_cert_serial", Quotes::Bare),
    ("tls_cipher", Quotes::Bare),
    ("tls_protocol_version", Quotes::Bare),
    ("tls_keyexchange", Quotes::Bare),
    ("domain_name", Quotes::Bare),
    ("alpn_fe_protocol", Quotes::Bare),
    ("alpn_be_protocol", Quotes::Bare),
    ("alpn_client_preference_list", Quotes::List),
    ("tls_connection_creation_time", Quotes::Bare),
];

/// The same for the flow log.
pub const FLOW_FIELDS: [(&str, Quotes); 15] = [
    ("type", Quotes::Bare),
    ("version", Quotes::Bare),
    ("time", Quotes::Bare),
    ("elb", Quotes::Bare),
    ("listener", Quotes::Bare),
    ("client:port", Quotes::Bare),
    ("destination:port", Quotes::Bare),
    ("target:port", Quotes::Bare),
    ("target_group_arn", Quotes::Bare),
    ("connection_time", Quotes::Bare),
    ("connect_time", Quotes::Bare),
    ("received_bytes", Quotes::Bare),
    ("sent_bytes", Quotes::Bare),
    ("close_reason", Quotes::Bare),
    ("flow_creation_time", Quotes::Bare),
];

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Requests.
    Access,
    /// Connection attempts.
    Connection,
    /// Health checks.
    HealthCheck,
    /// TLS connections of a network load balancer.
    TlsConnection,
    /// Flows of a network load balancer.
    Flow,
}

impl Log {
    /// The fields of a line.
    #[must_use]
    pub const fn fields(self) -> &'static [(&'static str, Quotes)] {
        match self {
            Self::Access => &FIELDS,
            Self::Connection => &CONNECTION_FIELDS,
            Self::HealthCheck => &HEALTH_CHECK_FIELDS,
            Self::TlsConnection => &TLS_CONNECTION_FIELDS,
            Self::Flow => &FLOW_FIELDS,
        }
    }

    /// Which log the file with this name belongs to; `None` for files that are none, or not complete.
    fn of(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let is_log = name.ends_with(".log") || name.ends_with(".log.gz");
        if !is_log || name.starts_with('.') {
            None
        } else if name.starts_with("conn_log_") {
            Some(Self::Connection)
        } else if name.starts_with("health_check_log_") {
            Some(Self::HealthCheck)
        } else if name.starts_with("flow_log_") {
            Some(Self::Flow)
        } else if name.contains("_net.") {
            Some(Self::TlsConnection)
        } else {
            Some(Self::Access)
        }
    }
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// As it is.
    Bare,
    /// In double quotes.
    Quoted,
    /// Words in double quotes, with commas between them; `-` if there is none.
    List,
}

/// One line of a log: fields by name, without their quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record(Vec<(&'static str, String)>);

impl Index<&str> for Record {
    type Output = String;

    #[expect(clippy::expect_used, reason = "a misspelt field name is a mistake in the test")]
    fn index(&self, name: &str) -> &String {
        let field = self.0.iter().find(|(field, _)| *field == name);
        field.map(|(_, value)| value).expect("name of a field of this log")
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

    /// Reads one line of the access log.
    ///
    /// # Errors
    /// When it does not have exactly 34 fields, each quoted or bare as it should be.
    pub fn parse(line: &str) -> Result<Self> {
        Self::parse_as(Log::Access, line)
    }

    /// Reads one line of any log.
    ///
    /// # Errors
    /// When it does not have exactly its fields, each quoted or bare as it should be.
    pub fn parse_as(log: Log, line: &str) -> Result<Self> {
        let mut rest = line;
        let mut fields = Vec::with_capacity(log.fields().len());
        for (index, (name, quotes)) in log.fields().iter().enumerate() {
            if index > 0 {
                rest = rest.strip_prefix(' ').with_context(|| format!("no {name} in {line:?}"))?;
            }
            let (value, after) = match quotes {
                Quotes::Bare | Quotes::List => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
                Quotes::Quoted => {
                    let inner =
                        rest.strip_prefix('"').with_context(|| format!("{name} unquoted in {line:?}"))?;
                    inner.split_once('"').with_context(|| format!("{name} does not end in {line:?}"))?
                }
            };
            ensure!(
                !value.is_empty() && (*quotes == Quotes::List || !value.contains('"')),
                "{name} is {value:?} in {line:?}"
            );
            fields.push((*name, value.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            bail!("{rest:?} after the last field in {line:?}");
        }
        Ok(Self(fields))
    }
}

/// All access log records in the files below `dir`, file by file; a half-written last line is left out.
///
/// # Errors
/// When a line is not a record.
pub fn read(dir: &Path) -> Result<Vec<Record>> {
    read_log(dir, Log::Access)
}

/// The same for any log.
///
/// # Errors
/// When a line is not a record.
pub fn read_log(dir: &Path, log: Log) -> Result<Vec<Record>> {
    lines(dir, log)?.iter().map(|line| Record::parse_as(log, line)).collect()
}

/// The lines in the files of a log below `dir`, file by file; a half-written last one is left out.
///
/// # Errors
/// When a file cannot be read.
pub fn lines(dir: &Path, log: Log) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for file in files(dir)?.into_iter().filter(|file| Log::of(file) == Some(log)) {
        let text = text(&file)?;
        let complete = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
        lines.extend(complete.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// All files below `dir`, hidden ones too, in the order of their paths.
///
/// # Errors
/// When a directory cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    // Names tell minutes; with a time scale there are several files in one, told apart by chance.
    files.sort_by_cached_key(|file| (fs::metadata(file).and_then(|file| file.modified()).ok(), file.clone()));
    Ok(files)
}

fn text(file: &Path) -> Result<String> {
    let mut text = String::new();
    let mut opened = File::open(file)?;
    if file.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(opened).read_to_string(&mut text)?;
    } else {
        opened.read_to_string(&mut text)?;
    }
    Ok(text)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
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
