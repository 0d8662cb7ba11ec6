//! `sticky`: whether every client stays at one target.
//!
//! `--clients` (40), each with a cookie jar of its own, ask `--path` (`/whoami`)
//! `--requests` (10) times. The target of an answer is what `--target-header` says,
//! else `instance` in its JSON body. With `--protocol sock-js` or `socket-io` each
//! client also opens a session over HTTP polling at the URL before each request:
//! its steps must come to the same target. As a control the same requests are made
//! without cookies, which shows the spread without stickiness (not with
//! `--no-control`). With `--cookies refuse` clients never keep cookies, as those
//! without credentials do.
//!
//! Expectations: `answered`, with a target each; `one target for each client`;
//! `cookies come back`: not all of them are Secure where the URL is not;
//! `sessions` (SockJS, Socket.IO), which tells `400 Session ID unknown` when a step
//! came to a target that does not know the session. Figures: `moved` (count of
//! clients), `targets`, `control_targets` (count), `uneven`, `control_uneven`
//! (count: chi-square of clients, or requests, over targets for each degree of
//! freedom: 0 is even, about 1 is random, more is uneven), `session_failures`
//! (count), `cookie_bytes` (bytes that each request carries). Targets: clients at
//! each. Settings: `cookie NAME` with its attributes. Errors: by status or how a
//! request failed.

mod client;
mod spread;

use std::collections::BTreeMap;

use anyhow::Result;
use tokio::task::JoinSet;

use self::{
    client::{Seen, visit},
    spread::Spread,
};
use super::{Run, figures::counted};
use crate::{
    client::{connection::Connector, cookies::Policy},
    outcome::{Better, Outcome, Unit},
    record::number,
    target::{Protocol, Target},
};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Clients with a cookie jar each
    #[arg(long, default_value_t = 40)]
    pub(crate) clients: usize,
    /// Requests of each client
    #[arg(long, default_value_t = 10)]
    pub(crate) requests: usize,
    /// What they ask for; the answer says which target gave it
    #[arg(long, default_value = "/whoami")]
    pub(crate) path: String,
    /// The header that names the target; by default `instance` of the JSON body does
    #[arg(long, value_name = "NAME")]
    pub(crate) target_header: Option<String>,
    /// Whether clients keep cookies
    #[arg(long, value_enum, default_value_t = Cookies::Keep)]
    pub(crate) cookies: Cookies,
    /// Make no requests without cookies
    #[arg(long)]
    pub(crate) no_control: bool,
}

/// What clients do with cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cookies {
    /// As a browser does.
    Keep,
    /// As a browser does across origins without credentials.
    Refuse,
}

/// Asks and judges.
///
/// # Errors
/// When the URL is of no use.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let connector = Connector::for_target(&arguments.target).await?;
    let policy = match arguments.cookies {
        Cookies::Keep => Policy::Keep,
        Cookies::Refuse => Policy::Refuse,
    };
    let clients = arguments.clients;
    run.progress.begin("sticky", clients);
    let bound = all(arguments, &connector, policy, arguments.target.protocol, run).await;
    let control = if arguments.no_control || policy == Policy::Refuse {
        Vec::new()
    } else {
        run.progress.begin("sticky without cookies", clients);
        all(arguments, &connector, Policy::Refuse, Protocol::Plain, run).await
    };
    let mut settings = BTreeMap::from([
        ("clients".to_owned(), arguments.clients.to_string()),
        ("requests".to_owned(), arguments.requests.to_string()),
        ("path".to_owned(), arguments.path.clone()),
        ("cookies".to_owned(), format!("{:?}", arguments.cookies).to_lowercase()),
    ]);
    for (name, attributes) in bound.iter().flat_map(|seen| &seen.cookies) {
        settings.insert(format!("cookie {name}"), attributes.clone());
    }
    let method = "Closed loop: each client sent its next request when the one before was answered, on one \
                  kept-alive connection.";
    let mut outcome = run.outcome("sticky", &arguments.target, method, settings)?;
    judge(&mut outcome, arguments.target.protocol, connector.is_secure(), &bound);
    tell_control(&mut outcome, &control);
    Ok(outcome)
}

async fn all(
    arguments: &Arguments,
    connector: &Connector,
    policy: Policy,
    protocol: Protocol,
    run: &Run,
) -> Vec<Seen> {
    let mut tasks = JoinSet::new();
    for number in 0..arguments.clients {
        let (connector, arguments) = (connector.clone(), arguments.clone());
        let (progress, stop) = (run.progress.clone(), run.stop.clone());
        tasks.spawn(async move {
            visit(&connector, number, &arguments, (policy, protocol), (&progress, &stop)).await
        });
    }
    let mut seen = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        run.progress.advance();
        // A task of ours that panicked has said so itself.
        seen.extend(joined.ok());
    }
    seen
}

fn judge(outcome: &mut Outcome, protocol: Protocol, is_secure: bool, clients: &[Seen]) {
    let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
    let mut session_failures: BTreeMap<&str, u64> = BTreeMap::new();
    for seen in clients {
        seen.failures.iter().for_each(|name| *failures.entry(name).or_default() += 1);
        seen.session_failures.iter().for_each(|name| *session_failures.entry(name).or_default() += 1);
    }
    let answered: usize = clients.iter().map(|seen| seen.targets.values().sum::<usize>()).sum();
    let measured = format!("{answered} answered; failed: {}", listed(&failures));
    outcome.expect("answered", "all, with a target", measured, failures.is_empty() && answered > 0);

    let spread = Spread::of(clients.iter().filter_map(|seen| seen.first.as_deref()));
    let moved = clients.iter().filter(|seen| seen.targets.len() > 1).count();
    let measured = match (moved, spread.targets()) {
        (0, 1) => "none moved, but there is one target only".to_owned(),
        (0, _) => "none moved".to_owned(),
        _ => format!("{moved} of {} moved", clients.len()),
    };
    outcome.expect("one target for each client", "none moves", measured, moved == 0);

    let cookies: BTreeMap<_, _> = clients.iter().flat_map(|seen| &seen.cookies).collect();
    let comes_back =
        |attributes: &str| is_secure || !attributes.split("; ").any(|one| one.eq_ignore_ascii_case("secure"));
    let lost = !cookies.is_empty() && !cookies.values().any(|attributes| comes_back(attributes));
    let names: Vec<_> = cookies.keys().map(|name| name.as_str()).collect();
    let measured = match (names.is_empty(), lost) {
        (true, _) => "no cookies".to_owned(),
        (false, true) => format!("all are Secure: {}", names.join(", ")),
        (false, false) => names.join(", "),
    };
    outcome.expect("cookies come back", "not all Secure without TLS", measured, !lost);

    let count: u64 = session_failures.values().sum();
    if matches!(protocol, Protocol::SockJs | Protocol::SocketIo) {
        let opened: usize = clients.iter().map(|seen| seen.sessions).sum();
        let measured = format!("{opened} worked; failed: {}", listed(&session_failures));
        outcome.expect(
            "sessions",
            "every step comes to the session's target",
            measured,
            count == 0 && opened > 0,
        );
        outcome.figure("session_failures", number(count), Unit::Count, Better::Lower);
    }
    for (name, count) in failures.iter().chain(&session_failures) {
        *outcome.errors.entry((*name).to_owned()).or_default() += count;
    }
    let bytes = clients.iter().map(|seen| seen.cookie_bytes).max().unwrap_or_default();
    outcome.figure("cookie_bytes", counted(bytes), Unit::Bytes, Better::Lower);
    outcome.figure("moved", counted(moved), Unit::Count, Better::Lower);
    outcome.figure("targets", counted(spread.targets()), Unit::Count, Better::Neither);
    outcome.figure("uneven", spread.uneven(), Unit::Count, Better::Neither);
    outcome.targets = spread.counts();
}

/// The spread of requests without cookies.
fn tell_control(outcome: &mut Outcome, clients: &[Seen]) {
    if clients.is_empty() {
        return;
    }
    let targets = clients.iter().flat_map(|seen| &seen.targets);
    let spread = Spread::of(targets.flat_map(|(name, count)| std::iter::repeat_n(name.as_str(), *count)));
    outcome.figure("control_targets", counted(spread.targets()), Unit::Count, Better::Neither);
    outcome.figure("control_uneven", spread.uneven(), Unit::Count, Better::Neither);
}

fn listed(failures: &BTreeMap<&str, u64>) -> String {
    let parts: Vec<_> = failures.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample, scenario::testing};

    fn seen(targets: &[&str], cookie: Option<(&str, &str)>, session_failure: Option<&str>) -> Seen {
        let mut seen = Seen { first: targets.first().map(|name| (*name).to_owned()), ..Seen::default() };
        for name in targets {
            *seen.targets.entry((*name).to_owned()).or_default() += 1;
        }
        seen.cookies =
            cookie.map(|(name, attributes)| (name.to_owned(), attributes.to_owned())).into_iter().collect();
        seen.session_failures.extend(session_failure.map(str::to_owned));
        seen.sessions = 1;
        seen
    }

    #[track_caller]
    fn check(protocol: Protocol, clients: &[Seen], expected: &str) {
        let mut outcome = sample::empty();
        judge(&mut outcome, protocol, false, clients);
        assert_eq!(testing::verdict(&outcome), expected);
    }

    #[test]
    fn clients_stay_at_one_target() {
        let cookie = Some(("AWSALB", "Expires=Sat, 28 Nov 2026 00:00:00 GMT; Path=/"));
        check(Protocol::Plain, &[seen(&["a", "a"], cookie, None), seen(&["b", "b"], cookie, None)], "");
        check(
            Protocol::Plain,
            &[seen(&["a", "b"], cookie, None), seen(&["b", "b"], cookie, None)],
            "one target for each client: 1 of 2 moved",
        );
        check(Protocol::Plain, &[], "answered: 0 answered; failed: none");
    }

    #[test]
    fn cookies_for_tls_alone_do_not_come_back_without() {
        let one = [seen(&["a"], Some(("AWSALBCORS", "Path=/; SameSite=None; Secure")), None)];
        check(Protocol::Plain, &one, "cookies come back: all are Secure: AWSALBCORS");
    }

    #[test]
    fn a_session_that_another_target_has_is_told() {
        let one = [seen(&["a"], None, Some("400 Session ID unknown"))];
        check(Protocol::SocketIo, &one, "sessions: 1 worked; failed: 1 × 400 Session ID unknown");
        check(Protocol::SocketIo, &[seen(&["a"], None, None)], "");
    }

    #[test]
    fn clients_at_each_target_are_counted() {
        let mut outcome = sample::empty();
        let clients = [seen(&["a", "a"], None, None), seen(&["b"], None, None), seen(&["a"], None, None)];
        judge(&mut outcome, Protocol::Plain, true, &clients);
        assert_eq!(outcome.targets, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
    }
}
