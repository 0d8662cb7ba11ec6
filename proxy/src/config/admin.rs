//! The admin API's socket, and who may act through it.

use std::{net::SocketAddr, path::Path as FilePath};

use serde_json::Value;

use super::{context::Context, document, error::Report, path::Path, raw::RawAdmin, read, scalar::Text};
use crate::model::{Admin, AdminToken};

/// A token shorter than this is warned of.
const SHORTEST_GOOD_TOKEN: usize = 16;

/// Converts the section `admin`.
pub(super) fn convert(raw: Option<RawAdmin>, cx: &mut Context<'_>) -> Admin {
    let mut admin = Admin::default();
    let Some(raw) = raw else { return admin };
    let at = Path::root().key("admin");
    if let Some(Text(text)) = raw.bind {
        match text.parse() {
            Ok(address) => admin.bind = Some(address),
            Err(_) => cx.report.mistake(&at.key("bind"), not_an_address(&text)),
        }
    }
    if raw.enabled == Some(false) {
        admin.bind = None;
    }
    admin.token = token(raw.token, raw.token_file, &at, cx);
    if let Some(bind) = admin.bind
        && !bind.ip().is_loopback()
        && admin.token.is_none()
    {
        cx.report.warn(
            &at.key("bind"),
            format!("{bind} is not loopback: actions are refused until token or token_file is set"),
        );
    }
    admin
}

/// `admin.bind` of the configuration file at `path`, whatever mistakes it has elsewhere; `None` if it has no
/// admin API. `env` looks up environment variables.
///
/// # Errors
///
/// The file cannot be read, is no YAML, or the address is none.
pub fn admin_bind(
    path: &FilePath,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<SocketAddr>, String> {
    let mut report = Report::default();
    let Some(tree) = document::read(&read(path)?, env, &mut report) else {
        return Err("is no valid YAML".to_owned());
    };
    let Some(bind) = tree.pointer("/admin/bind").and_then(Value::as_str) else { return Ok(None) };
    if tree.pointer("/admin/enabled").and_then(Value::as_bool) == Some(false) {
        return Ok(None);
    }
    bind.parse().map(Some).map_err(|_| not_an_address(bind))
}

fn not_an_address(text: &str) -> String {
    format!("'{text}' is not an address with a port, such as 127.0.0.1:9901")
}

fn token(value: Option<Text>, file: Option<Text>, at: &Path, cx: &mut Context<'_>) -> Option<AdminToken> {
    let (value_at, file_at) = (at.key("token"), at.key("token_file"));
    if value.is_some() && file.is_some() {
        cx.report.mistake(&file_at, "cannot be set together with token");
    }
    if file.is_some() {
        return cx.file(file, &file_at).map(AdminToken::File);
    }
    value.as_ref()?;
    let token = cx.required(value, &value_at)?;
    if !is_token(&token) {
        cx.report.mistake(&value_at, "must be visible ASCII characters without spaces");
        return None;
    }
    if token.len() < SHORTEST_GOOD_TOKEN {
        cx.report.warn(&value_at, format!("is shorter than {SHORTEST_GOOD_TOKEN} characters"));
    }
    Some(AdminToken::Value(token))
}

/// Whether `text` can stand in `Authorization: Bearer`: visible ASCII, not empty.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
