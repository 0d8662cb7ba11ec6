//! Authentication of one request: `authenticate-oidc` and `jwt-validation`, between rule and last action.
//!
//! ELB pages: "Authenticate users using an Application Load Balancer", "Verify
//! JWTs using an Application Load Balancer". On a listener with an
//! `authenticate-oidc` action the path `/oauth2/idpresponse` belongs to the
//! load balancer, whatever the rules say: as on ELB, a rule for `/admin/*` can
//! ask for a login without another rule for the way back. Such a request is
//! logged with the rule its state names, or -1 if that cannot be told.
//!
//! On such a listener `x-amzn-oidc-*` headers of clients are dropped, on every
//! rule: a target can rely on what it reads. A cookie that cannot be read is
//! answered 401 and taken away, so that the next request leads to the login;
//! with `on_unauthenticated_request: allow` it is as if there were none.

mod logins;

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode, header};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    protocols::http::server,
};
use rand::Rng;
use tokio::time::Instant;

pub use self::logins::Logins;
use super::{
    context::Context,
    elb_response::ElbResponse,
    error::Cause,
    exchange::Exchange,
    request::{Target, cookie_lines},
};
use crate::{
    access_log::record::{ActionExecuted, MatchedRule},
    authenticate::{
        login::{self, State},
        oidc::{self, Standing},
        query,
        refusal::{CountedAs, Refusal},
        session::{self, LoginId, Session},
        user_claims,
    },
    model::rule::{Authenticate, AuthenticateOidc, OnUnauthenticatedRequest},
    stickiness,
};

/// What authentication has for the target and the client.
#[derive(Debug, Clone, Default)]
pub struct Authenticated {
    /// `x-amzn-oidc-*`.
    user_claims: Vec<(&'static str, HeaderValue)>,
    /// Set-Cookie values that the response must have.
    cookies: Vec<HeaderValue>,
}

/// Carries out a rule's authentication action; a response if the request goes no further.
///
/// # Errors
///
/// The refusal.
pub async fn authenticate(
    exchange: &mut Exchange<'_>,
    action: &Authenticate,
    priority: u16,
) -> Result<Option<ElbResponse>, Cause> {
    exchange.context.actions.push(ActionExecuted::Authenticate);
    match action {
        Authenticate::Oidc(action) => authenticate_oidc(exchange, action, priority).await,
        Authenticate::Jwt(action) => {
            let now = stickiness::epoch_seconds(exchange.wall_clock());
            let authenticator = Arc::clone(&exchange.shared.authenticator);
            // The session must be free to tell when the client leaves.
            let values = exchange.request().headers.get_all(header::AUTHORIZATION);
            let values: Vec<HeaderValue> = values.into_iter().cloned().collect();
            let values = values.iter().map(HeaderValue::as_bytes);
            cancellable(exchange, authenticator.validate(action, values, now)).await?;
            exchange.context.state.load_balancer.metrics.jwt_validation_success_count.inc();
            Ok(None)
        }
    }
}

async fn authenticate_oidc(
    exchange: &mut Exchange<'_>,
    action: &Arc<AuthenticateOidc>,
    priority: u16,
) -> Result<Option<ElbResponse>, Cause> {
    let now = stickiness::epoch_seconds(exchange.wall_clock());
    let cookie = {
        let keys = exchange.shared.stickiness_keys.load();
        session::read(cookie_lines(exchange.request()), &action.session_cookie_name, &keys)
    };
    match oidc::standing(cookie, action, now) {
        Standing::LoggedIn(session) => {
            pass(exchange, action, &session, now)?;
            Ok(None)
        }
        Standing::MustRefresh(old) => {
            let authenticator = Arc::clone(&exchange.shared.authenticator);
            let (session, began) = match timed(exchange, authenticator.refresh(action, old, now)).await {
                Ok(refreshed) => refreshed,
                Err(Cause::Authentication(_)) => return unauthenticated(exchange, action, priority, now),
                Err(cause) => return Err(cause),
            };
            let cookies = session_cookies(exchange, action, &session)?;
            exchange.context.authenticated.get_or_insert_default().cookies = cookies;
            if began {
                exchange.context.state.load_balancer.metrics.elb_auth_refresh_token_success.inc();
            }
            pass(exchange, action, &session, now)?;
            Ok(None)
        }
        Standing::LoggedOut => unauthenticated(exchange, action, priority, now),
        Standing::Invalid if action.on_unauthenticated_request == OnUnauthenticatedRequest::Allow => Ok(None),
        Standing::Invalid => {
            let lines = cookie_lines(exchange.request());
            let cookies = session::clear_cookies(lines, &action.session_cookie_name);
            exchange.context.authenticated.get_or_insert_default().cookies = cookies;
            Err(Cause::Authentication(Refusal::InvalidCookie))
        }
    }
}

/// Lets a logged-in user's request pass, with what the target is to know of the user.
fn pass(
    exchange: &mut Exchange<'_>,
    action: &AuthenticateOidc,
    session: &Session,
    now: u64,
) -> Result<(), Cause> {
    let arn = &exchange.context.state.load_balancer.arn;
    let headers = exchange.shared.authenticator.signers().headers(session, action, arn, now);
    let headers = headers.ok_or(Cause::Authentication(Refusal::Unhandled))?;
    exchange.context.authenticated.get_or_insert_default().user_claims = headers.into();
    Ok(())
}

/// What `on_unauthenticated_request` says.
fn unauthenticated(
    exchange: &mut Exchange<'_>,
    action: &AuthenticateOidc,
    priority: u16,
    now: u64,
) -> Result<Option<ElbResponse>, Cause> {
    match action.on_unauthenticated_request {
        OnUnauthenticatedRequest::Allow => Ok(None),
        OnUnauthenticatedRequest::Deny => Err(Cause::Authentication(Refusal::Denied)),
        OnUnauthenticatedRequest::Authenticate => send_to_log_in(exchange, action, priority, now).map(Some),
    }
}

fn send_to_log_in(
    exchange: &mut Exchange<'_>,
    action: &AuthenticateOidc,
    priority: u16,
    now: u64,
) -> Result<ElbResponse, Cause> {
    let host = host(exchange)?.to_owned();
    let request = exchange.request();
    let own = session::value(cookie_lines(request), login::NONCE_COOKIE);
    let nonce = login::nonce(own, rand::rng().random());
    let path = Target::of(request).ascii();
    let state = State::new(LoginId::of(action), priority, nonce.clone(), &host, path, now);
    let sealed = state.seal(&exchange.shared.stickiness_keys.load(), rand::rng().random());
    let sealed = sealed.ok_or(Cause::Authentication(Refusal::Unhandled))?;
    let location = login::location(action, &login::redirect_uri(&host), &sealed);
    exchange.context.authenticated.get_or_insert_default().cookies.extend(login::nonce_cookie(&nonce, now));
    redirect(&location)
}

/// Answers a browser that an identity provider has sent back.
///
/// # Errors
///
/// Why it is not logged in.
pub async fn callback(exchange: &mut Exchange<'_>) -> Result<ElbResponse, Cause> {
    exchange.context.actions.push(ActionExecuted::Authenticate);
    exchange.context.matched_rule = MatchedRule::EvaluationError;
    let now = stickiness::epoch_seconds(exchange.wall_clock());
    let target = Target::of(exchange.request()).ascii();
    let (_, query) = target.split_once('?').unwrap_or_default();
    let (state, action) = begun_login(exchange, query, now).map_err(Cause::Authentication)?;
    let code = match (query::parameter(query, "code"), query::parameter(query, "error").as_deref()) {
        (Some(code), None) if !code.is_empty() => code,
        (_, Some("access_denied")) => return Err(Cause::Authentication(Refusal::AccessDenied)),
        (_, Some(_)) => return Err(Cause::Authentication(Refusal::IdpError)),
        _ => return Err(Cause::Authentication(Refusal::MissingCode)),
    };
    let redirect_uri = login::redirect_uri(&state.host);
    let authenticator = Arc::clone(&exchange.shared.authenticator);
    let logging_in = oidc::log_in(authenticator.fetch(), &action, &code, &redirect_uri, now);
    let session = timed(exchange, logging_in).await?;
    let cookies = session_cookies(exchange, &action, &session)?;
    exchange.context.authenticated.get_or_insert_default().cookies = cookies;
    exchange.context.state.load_balancer.metrics.elb_auth_success.inc();
    redirect(&state.url())
}

/// The login that the browser comes back from. Before its code is spent, its nonce must fit.
fn begun_login(
    exchange: &mut Exchange<'_>,
    query: &str,
    now: u64,
) -> Result<(State, Arc<AuthenticateOidc>), Refusal> {
    let text = query::parameter(query, "state").filter(|text| !text.is_empty());
    let text = text.ok_or(Refusal::MissingState)?;
    let state = State::open(&text, &exchange.shared.stickiness_keys.load()).ok_or(Refusal::InvalidState)?;
    let listener = Arc::clone(&exchange.context.state);
    let login =
        listener.logins.as_ref().and_then(|logins| logins.find(&state)).ok_or(Refusal::InvalidState)?;
    exchange.context.matched_rule = match login.priority {
        0 => MatchedRule::Default,
        priority => MatchedRule::Priority(priority),
    };
    let request = exchange.request();
    let nonce = session::value(cookie_lines(request), login::NONCE_COOKIE);
    state.check(listener.headers.host_of(request), nonce, now)?;
    Ok((state, Arc::clone(&login.action)))
}

fn session_cookies(
    exchange: &Exchange<'_>,
    action: &AuthenticateOidc,
    session: &Session,
) -> Result<Vec<HeaderValue>, Cause> {
    let ends = session::ends(session.created, action.session_timeout);
    let keys = exchange.shared.stickiness_keys.load();
    let random = rand::rng().random();
    let cookies = session::set_cookies(session, &action.session_cookie_name, &keys, ends, random);
    cookies.ok_or(Cause::Authentication(Refusal::ClaimsTooLarge))
}

/// The host that the browser can be sent back to.
fn host<'a>(exchange: &'a Exchange<'_>) -> Result<&'a str, Cause> {
    let request = exchange.request();
    let is_named = Target::of(request).authority.is_some() || request.headers.contains_key(header::HOST);
    let host = exchange.context.state.headers.host_of(request);
    if is_named && !host.is_empty() { Ok(host) } else { Err(Cause::Authentication(Refusal::MissingHost)) }
}

fn redirect(location: &str) -> Result<ElbResponse, Cause> {
    ElbResponse::redirect(StatusCode::FOUND, location).map_err(|_| Cause::Authentication(Refusal::Unhandled))
}

/// Runs calls to an identity provider and counts how long they took.
async fn timed<T>(
    exchange: &mut Exchange<'_>,
    calls: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Cause> {
    let began = Instant::now();
    let outcome = cancellable(exchange, calls).await;
    let took: Duration = began.elapsed();
    exchange.context.state.load_balancer.metrics.elb_auth_latency.observe(took.as_secs_f64());
    outcome
}

/// Runs calls to an identity provider, but not beyond the drain time or for a client that has left.
async fn cancellable<T>(
    exchange: &mut Exchange<'_>,
    calls: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Cause> {
    tokio::select! {
        biased;
        outcome = calls => outcome.map_err(Cause::Authentication),
        () = client_left(exchange.session) => Err(Cause::ClientClosedRequest),
        () = exchange.shared.terminated.cancelled() => Err(Cause::Authentication(Refusal::Unhandled)),
    }
}

/// Completes when the client has left. An HTTP/1.1 client with a body under way can only be seen to
/// leave by reading that, which is the target's to be read.
async fn client_left(session: &mut server::Session) {
    if let Some(closed) = session.watch_h2_stream_close() {
        drop(closed.await);
    } else if session.is_body_done() {
        drop(session.read_body_or_idle(true).await);
    } else {
        std::future::pending::<()>().await;
    }
}

/// Tells the target who the user is, and takes away what the client says about it.
///
/// # Errors
///
/// When a field cannot be written, which those of ours can.
pub fn add_user_claims(context: &Context, head: &mut RequestHeader) -> Result<(), Cause> {
    if context.state.logins.is_none() {
        return Ok(());
    }
    let is_claim = |name: &&HeaderName| user_claims::is_claim(name.as_str());
    let forged: Vec<HeaderName> = head.headers.keys().filter(is_claim).cloned().collect();
    for name in forged {
        head.remove_header(&name);
    }
    let claims = context.authenticated.iter().flat_map(|authenticated| &authenticated.user_claims);
    for (name, value) in claims {
        head.insert_header(*name, value).map_err(|_| Cause::Authentication(Refusal::Unhandled))?;
    }
    Ok(())
}

/// The Set-Cookie values that the response must have, once.
pub fn take_cookies(context: &mut Context) -> impl Iterator<Item = HeaderValue> + use<> {
    let cookies =
        context.authenticated.as_mut().map(|authenticated| std::mem::take(&mut authenticated.cookies));
    cookies.into_iter().flatten()
}

/// Adds the Set-Cookie values to a response of the load balancer.
pub fn add_cookies(context: &mut Context, head: &mut ResponseHeader) {
    for cookie in take_cookies(context) {
        // Values that are one already cannot be refused.
        drop(head.append_header(header::SET_COOKIE, cookie));
    }
}

/// Writes down and counts why a request was not let pass.
pub fn note_refusal(context: &mut Context, cause: Cause) {
    let Cause::Authentication(refusal) = cause else { return };
    context.error_reason = refusal.reason();
    let metrics = &context.state.load_balancer.metrics;
    match refusal.counted_as() {
        CountedAs::Nothing => {}
        CountedAs::Failure => metrics.elb_auth_failure.inc(),
        CountedAs::Error => metrics.elb_auth_error.inc(),
        CountedAs::JwtFailure => metrics.jwt_validation_failure_count.inc(),
    }
    if refusal == Refusal::ClaimsTooLarge {
        metrics.elb_auth_user_claims_size_exceeded.inc();
    }
}
