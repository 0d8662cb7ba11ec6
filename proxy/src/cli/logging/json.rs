//! The log as JSON: one object a line, the event's fields beside its time, level and message.
//!
//! `tracing-subscriber` has such a format, too, but there a field `target`, which here is a target of the
//! load balancer, takes the name of the member that tells the module.

use std::fmt;

use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// Members that every line has, in this order. A field with such a name is called `fields.NAME`.
const RESERVED: [&str; 3] = ["timestamp", "level", "target"];

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let head = [time.as_str(), metadata.level().as_str(), metadata.target()];
        let head = RESERVED.into_iter().zip(head);
        let mut line = Line::default();
        head.for_each(|(name, value)| line.push(name, &Value::from(value)));
        line.push("message", &Value::from(fields.message));
        for (name, value) in &fields.others {
            if RESERVED.contains(name) {
                line.push(&format!("fields.{name}"), value);
            } else {
                line.push(name, value);
            }
        }
        writeln!(writer, "{{{}}}", line.0)
    }
}

/// The members of an object, in the order they came.
#[derive(Default)]
struct Line(String);

impl Line {
    fn push(&mut self, name: &str, value: &Value) {
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0.push_str(&format!("{comma}{}:{value}", Value::from(name)));
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.others.push((field.name(), Value::from(format!("{value:?}"))));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.others.push((field.name(), Value::from(value)));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), Value::from(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), Value::from(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.push((field.name(), Value::from(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), Value::from(value)));
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use parking_lot::Mutex;
    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged, with the time left out.
    fn logged(log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber =
            tracing_subscriber::fmt().event_format(Json).with_writer(move || writer.clone()).finish();
        with_default(subscriber, log);
        let text = String::from_utf8(buffer.0.lock().clone()).unwrap();
        let line: Value = serde_json::from_str(&text).expect("one object");
        let time = line["timestamp"].as_str().expect("a time");
        let format = &time::format_description::well_known::Rfc3339;
        assert!(time::OffsetDateTime::parse(time, format).is_ok(), "{time}");
        text.replace(time, "NOW")
    }

    #[test]
    fn fields_stand_beside_the_message() {
        let line = logged(|| tracing::info!(status = 502, slow = true, client = "10.0.0.1", "a \"line\"\n"));
        insta::assert_snapshot!(line, @r#"{"timestamp":"NOW","level":"INFO","target":"albeit_proxy::cli::logging::json::tests","message":"a \"line\"\n","status":502,"slow":true,"client":"10.0.0.1"}"#);
    }

    #[test]
    fn a_field_never_takes_the_name_of_another_member() {
        let target = "10.0.0.1:80";
        let line = logged(|| tracing::warn!(target: "albeit::admin", %target, level = 3, "\u{1b}[1mx"));
        insta::assert_snapshot!(line, @r#"{"timestamp":"NOW","level":"WARN","target":"albeit::admin","message":"\u001b[1mx","fields.target":"10.0.0.1:80","fields.level":3}"#);
    }
}
