//! Actions: which there are, who may take them, and the record that is kept of each.

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    AdminState,
    access::{self, Caller},
    answer::{Answer, with_error, with_json},
    api_error::ApiError,
    attributes,
    membership::{self, ForceHealth, Targets},
    overrides,
};

/// Bytes of a body at most: more than a thousand targets take.
const LARGEST_BODY: usize = 256 * 1024;

/// How long a body may take to arrive: 10 s. Not scaled.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// `RegisterTargets`.
    Register,
    /// `DeregisterTargets`.
    Deregister,
    /// Deregisters all targets of a group.
    Drain,
    /// Makes targets healthy or unhealthy whatever their checks find.
    ForceHealth,
    /// `ModifyLoadBalancerAttributes`, `ModifyListenerAttributes`, `ModifyTargetGroupAttributes`.
    ModifyAttributes,
    /// As SIGHUP.
    Reload,
    /// Back to the file.
    ClearOverrides,
}

impl Action {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Register,
        Self::Deregister,
        Self::Drain,
        Self::ForceHealth,
        Self::ModifyAttributes,
        Self::Reload,
        Self::ClearOverrides,
    ];

    /// The action that a request asks for.
    pub(super) fn find(method: &Method, path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.method() == method && action.path() == path)
    }

    /// Whether any action has this path.
    pub(super) fn exists(path: &str) -> bool {
        Self::ALL.iter().any(|action| action.path() == path)
    }

    /// The methods that a path knows, of which `readable` ones can be read.
    pub(super) fn allowed(path: &str, readable: bool) -> String {
        let mut methods = if readable { vec!["GET", "HEAD"] } else { Vec::new() };
        methods.extend(Self::ALL.iter().filter(|it| it.path() == path).map(|it| it.method().as_str()));
        methods.join(", ")
    }

    /// Its method.
    pub(super) const fn method(self) -> &'static Method {
        match self {
            Self::ModifyAttributes => &Method::PUT,
            Self::ClearOverrides => &Method::DELETE,
            Self::Register | Self::Deregister | Self::Drain | Self::ForceHealth | Self::Reload => {
                &Method::POST
            }
        }
    }

    /// Its path.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Register => "/targets/register",
            Self::Deregister => "/targets/deregister",
            Self::Drain => "/targets/drain",
            Self::ForceHealth => "/targets/health",
            Self::ModifyAttributes => "/attributes",
            Self::Reload => "/reload",
            Self::ClearOverrides => "/overrides",
        }
    }

    /// Its name, in logs and metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Register => "RegisterTargets",
            Self::Deregister => "DeregisterTargets",
            Self::Drain => "DrainTargets",
            Self::ForceHealth => "ForceTargetHealth",
            Self::ModifyAttributes => "ModifyAttributes",
            Self::Reload => "Reload",
            Self::ClearOverrides => "ClearOverrides",
        }
    }

    /// Its body, and what it does.
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Register => "{TargetGroupArn or TargetGroupName, Targets: [{Id, Port}]}: registers targets",
            Self::Deregister => {
                "{TargetGroupArn or TargetGroupName, Targets: [{Id, Port}]}: deregisters targets, which drain"
            }
            Self::Drain => {
                "{TargetGroupArn or TargetGroupName, Targets}: deregisters targets; without Targets all of the group"
            }
            Self::ForceHealth => {
                "{TargetGroupArn or TargetGroupName, Targets, State: healthy, unhealthy or auto}: overrides checks"
            }
            Self::ModifyAttributes => {
                "{LoadBalancerArn, ListenerArn or TargetGroupArn, Attributes: [{Key, Value}]}: changes attributes"
            }
            Self::Reload => "reads the configuration file again, as SIGHUP does",
            Self::ClearOverrides => "undoes what was changed through this API",
        }
    }

    /// Checks who asks, acts, and keeps the record.
    pub(super) async fn answer<B>(self, state: &AdminState, request: Request<B>, caller: Caller) -> Answer
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut asked = Bytes::new();
        let result = match self.body(state, request, caller).await {
            Ok(body) => {
                asked = body.clone();
                let state = state.clone();
                // Files are read, which may block.
                let acting = tokio::task::spawn_blocking(move || self.act(&state, &body));
                acting.await.unwrap_or_else(|_| Err(ApiError::internal()))
            }
            Err(error) => Err(error),
        };
        let status = result.as_ref().map_or_else(|error| error.status, |_| StatusCode::OK);
        self.record(caller, &asked, result.as_ref().err());
        state.metrics.admin_action(self.name(), status.as_str()).actions.inc();
        let mut response = match result {
            Ok(value) => with_json(status, &value),
            Err(error) => with_error(&error),
        };
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    /// The body of a request that may act.
    async fn body<B>(self, state: &AdminState, request: Request<B>, caller: Caller) -> Result<Bytes, ApiError>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        access::check(request.headers(), caller, state.control.in_force().token.as_ref())?;
        if request.uri().query().is_some_and(|query| !query.is_empty()) {
            return Err(ApiError::validation("actions take no parameters in the query string"));
        }
        let body = Limited::new(request.into_body(), LARGEST_BODY);
        match timeout(BODY_TIMEOUT, body.collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(_)) => {
                let message = format!("the body is broken off or longer than {LARGEST_BODY} bytes");
                Err(ApiError::validation(message).with_status(StatusCode::PAYLOAD_TOO_LARGE))
            }
            Err(_) => {
                Err(ApiError::validation("the body takes too long").with_status(StatusCode::REQUEST_TIMEOUT))
            }
        }
    }

    fn act(self, state: &AdminState, body: &[u8]) -> Result<Value, ApiError> {
        match self {
            Self::Register => membership::register(state, &parse::<Targets>(body)?),
            Self::Deregister => membership::deregister(state, &parse::<Targets>(body)?),
            Self::Drain => membership::drain(state, &parse::<Targets>(body)?),
            Self::ForceHealth => membership::force_health(state, &parse::<ForceHealth>(body)?),
            Self::ModifyAttributes => attributes::modify(&*state.control, &parse(body)?),
            Self::Reload => {
                nothing(body)?;
                Ok(json!({ "Warnings": state.control.reload()? }))
            }
            Self::ClearOverrides => {
                nothing(body)?;
                overrides::clear(state)
            }
        }
    }

    /// Reads a body without doing anything.
    pub(super) fn check(self, body: &[u8]) -> Result<(), ApiError> {
        match self {
            Self::Register | Self::Deregister | Self::Drain => parse::<Targets>(body).map(drop),
            Self::ForceHealth => parse::<ForceHealth>(body).map(drop),
            Self::ModifyAttributes => parse::<attributes::Change>(body).map(drop),
            Self::Reload | Self::ClearOverrides => nothing(body),
        }
    }

    /// One line for each action: who, what, and what came of it.
    fn record(self, Caller { client, .. }: Caller, asked: &[u8], error: Option<&ApiError>) {
        let (action, asked) = (self.name(), Excerpt(asked));
        match error {
            None => tracing::info!(target: "albeit::admin", %client, action, %asked, "admin action done"),
            Some(error) => {
                let (code, error) = (error.code, error.message.as_str());
                tracing::warn!(target: "albeit::admin", %client, action, %asked, code, error, "admin action refused");
            }
        }
    }
}

/// What was asked, without line breaks and bounded, for a line of the log.
struct Excerpt<'a>(&'a [u8]);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 1024;
        let shown = self.0.get(..LONGEST).unwrap_or(self.0);
        write!(f, "{}", shown.escape_ascii())?;
        f.write_str(if shown.len() < self.0.len() { "…" } else { "" })
    }
}

/// Reads a body; an error names the place.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // An array would be taken for the members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::validation("the body must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        ApiError::validation(match path.as_str() {
            "." | "?" | "" => error.into_inner().to_string(),
            _ => format!("{path}: {}", error.into_inner()),
        })
    })?;
    json.end().map_err(|error| ApiError::validation(error.to_string()))?;
    Ok(parsed)
}

/// For actions without parameters: no body, or an empty object.
fn nothing(body: &[u8]) -> Result<(), ApiError> {
    if body.trim_ascii().is_empty()
        || matches!(serde_json::from_slice(body), Ok(Value::Object(map)) if map.is_empty())
    {
        return Ok(());
    }
    Err(ApiError::validation("this action takes no parameters"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned + fmt::Debug>(body: &str, expected: &str) {
        let error = parse::<T>(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), ("ValidationError", expected));
    }

    #[test]
    fn mistakes_in_bodies_name_their_place() {
        check::<Targets>("", "the body must be a JSON object");
        check::<Targets>("{", "EOF while parsing an object at line 1 column 1");
        check::<Targets>(r#"[null, "web", []]"#, "the body must be a JSON object");
        check::<Targets>(
            r#"{"Targets":[{"Id":"10.0.0.1","Prot":80}]}"#,
            "Targets[0].Prot: unknown field `Prot`, expected one of `Id`, `Port`, `AvailabilityZone` at line 1 column 35",
        );
        check::<Targets>(
            r#"{"Targets":[{"Id":"a","Port":70000}]}"#,
            "Targets[0].Port: invalid value: integer `70000`, expected u16 at line 1 column 34",
        );
        check::<Targets>(r#"{"Targets":[]} x"#, "trailing characters at line 1 column 16");
        check::<ForceHealth>(
            r#"{"Targets":[],"State":"sick"}"#,
            "State: unknown variant `sick`, expected one of `healthy`, `unhealthy`, `auto` at line 1 column 28",
        );
        check::<attributes::Change>("{}", "missing field `Attributes` at line 1 column 2");
    }

    #[test]
    fn actions_without_parameters_take_none() {
        for empty in ["", " ", "{}", " { } "] {
            assert_eq!(nothing(empty.as_bytes()), Ok(()), "{empty:?}");
        }
        for other in ["[]", "null", "{\"a\":1}", "x"] {
            assert!(nothing(other.as_bytes()).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_line_of_the_log_stays_one_line() {
        assert_eq!(Excerpt(b"{\n\x1b[1m}").to_string(), r"{\n\x1b[1m}");
        assert_eq!(Excerpt(&[b'a'; 5000]).to_string().chars().count(), 1025);
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body: Vec<u8>) {
            drop(parse::<Targets>(&body));
            drop(parse::<ForceHealth>(&body));
            drop(parse::<attributes::Change>(&body));
            drop(nothing(&body));
        }

        #[test]
        fn any_json_in_the_place_of_a_member_is_read_or_refused(
            name in "(TargetGroupArn|Targets|Id|Port|State|Attributes|Key)", value in "[\\[\\]{}\",:0-9a-z]{0,30}"
        ) {
            let body = format!("{{\"{name}\":{value}}}");
            let nested = format!("{{\"Targets\":[{body}],\"Attributes\":[{body}]}}");
            for body in [body, nested] {
                drop(parse::<Targets>(body.as_bytes()));
                drop(parse::<attributes::Change>(body.as_bytes()));
            }
        }
    }
}
