//! What an operator writes.

use std::path::Path;

use albeit_proxy::config;

/// The configuration file.
pub(crate) fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = config::parse(&text, Path::new("conf"), "albeit.yaml", &|_| None);
    if let Err(errors) = parsed {
        assert!(!errors.to_string().is_empty(), "refused without a reason");
    }
}
