//! Values as Spring writes them, in our spelling.

use serde_yaml::Value;

use super::keys::Kind;
use super::placeholder::scalar;
use super::profile::list;

/// A setting's path, and the values that it may take, the likeliest first.
pub(super) type Setting = (String, Vec<Value>);

/// What a value sets; nothing if it means nothing here.
///
/// # Errors
///
/// Why the value cannot be understood.
pub(super) fn convert(kind: Kind, path: &str, value: Value) -> Result<Vec<Setting>, String> {
    let one = |value: Value| vec![(path.to_owned(), vec![value])];
    Ok(match kind {
        Kind::Plain => vec![(path.to_owned(), typed(value))],
        Kind::Duration => one(duration(&value).into()),
        Kind::List => one(Value::Sequence(list(&value).into_iter().map(Value::from).collect())),
        Kind::Jdbc => match jdbc(&scalar(&value).unwrap_or_default()) {
            Some(url) => one(url.into()),
            None => Vec::new(),
        },
        Kind::ShowDetails => {
            let text = scalar(&value).unwrap_or_default().to_lowercase().replace('_', "-");
            // Nobody is authorized here, so that nobody sees details.
            one(if text == "when-authorized" { "never".into() } else { text.into() })
        }
    })
}

/// A value as it is, as a text, and as the text would be read: environments know
/// texts alone.
fn typed(value: Value) -> Vec<Value> {
    let text = scalar(&value);
    let mut candidates = vec![value];
    if let Some(text) = text {
        let read = serde_yaml::from_str(&text);
        for candidate in [Some(Value::from(text)), read.ok()].into_iter().flatten() {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
    }
    candidates
}

/// With a unit that we know: `20000`, `PT20S`, `1d`.
fn duration(value: &Value) -> String {
    let text = scalar(value).unwrap_or_default();
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit()) {
        return format!("{trimmed}ms");
    }
    let days = trimmed.strip_suffix('d').and_then(|days| days.parse::<u64>().ok());
    if let Some(hours) = days.and_then(|days| days.checked_mul(24)) {
        return format!("{hours}h");
    }
    iso_8601(trimmed).map_or(text, |millis| format!("{millis}ms"))
}

/// Milliseconds of `PT1H2M3.5S`.
fn iso_8601(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix("PT").or_else(|| text.strip_prefix("pt"))?;
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = (rest.get(..end)?, rest.get(end..=end)?);
        let factor = match unit {
            "H" | "h" => 3_600_000,
            "M" | "m" => 60_000,
            "S" | "s" => 1000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let part = whole.parse::<u64>().ok()?.checked_mul(factor)?;
        millis = millis.checked_add(part)?.checked_add(thousandths.checked_mul(factor)? / 1000)?;
        rest = rest.get(end + 1..)?;
    }
    Some(millis)
}

/// The URL of a database that the store can use; None for others, as the H2 of
/// a test. Of a JDBC driver's parameters only the use of TLS has a meaning.
fn jdbc(url: &str) -> Option<String> {
    let bare = url.strip_prefix("jdbc:").unwrap_or(url);
    if bare.starts_with("sqlite:") {
        return Some(bare.to_owned());
    }
    let bare = match bare.strip_prefix("mariadb:") {
        Some(rest) => format!("mysql:{rest}"),
        None => bare.to_owned(),
    };
    if !bare.starts_with("mysql:") {
        return None;
    }
    let (address, parameters) = bare.split_once('?').unwrap_or((&bare, ""));
    let mode =
        parameters.split('&').filter_map(|pair| pair.split_once('=')).find_map(|(name, value)| {
            match (name, value) {
                ("sslMode", mode) => Some(mode.to_owned()),
                ("useSSL", "false") => Some("DISABLED".to_owned()),
                ("requireSSL", "true") => Some("REQUIRED".to_owned()),
                ("verifyServerCertificate", "true") => Some("VERIFY_CA".to_owned()),
                _ => None,
            }
        });
    Some(match mode {
        Some(mode) => format!("{address}?ssl-mode={mode}"),
        None => address.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_get_their_unit() {
        for (written, expected) in [
            ("20000", "20000ms"),
            ("20s", "20s"),
            ("PT20S", "20000ms"),
            ("PT1H2M3.5S", "3723500ms"),
            ("7d", "168h"),
            ("soon", "soon"),
        ] {
            assert_eq!(duration(&Value::from(written)), expected, "{written}");
        }
        assert_eq!(duration(&Value::from(70_000)), "70000ms");
    }

    #[test]
    fn databases_that_the_store_can_use_are_taken_over() {
        for (written, expected) in [
            ("jdbc:mysql://db.test:3306/chat", Some("mysql://db.test:3306/chat")),
            (
                "jdbc:mysql://db.test/chat?useSSL=false&serverTimezone=UTC",
                Some("mysql://db.test/chat?ssl-mode=DISABLED"),
            ),
            (
                "jdbc:mariadb://db.test/chat?sslMode=VERIFY_IDENTITY",
                Some("mysql://db.test/chat?ssl-mode=VERIFY_IDENTITY"),
            ),
            ("jdbc:sqlite:messages.db", Some("sqlite:messages.db")),
            ("jdbc:h2:mem:test", None),
        ] {
            assert_eq!(jdbc(written).as_deref(), expected, "{written}");
        }
    }
}
