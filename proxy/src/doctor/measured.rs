//! What was measured, beside what is declared.
//!
//! Measurements of an endpoint are taken into the [`System`]: each is compared
//! with the setting it belongs to, and where nothing is declared, or something
//! else, the measured value takes its place. So every rule speaks of what is
//! really there: a keep-alive timeout measured at 5 s under an idle timeout of 60 s is
//! the keep-alive race, whatever a file says.

mod application;
mod balancer;

use std::{sync::Arc, time::Duration};

use super::{
    finding::Severity,
    setting::{Evidence, Place, Setting},
    system::{Application, Listener, LoadBalancer, System},
};
use crate::{
    probe::{Fact, Measurements, cookies::Purpose},
    time_scale::TimeScale,
};

/// What was measured of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The endpoint.
    pub at: Arc<str>,
    /// What it was taken for, such as `application chat`.
    pub subject: String,
    /// What was measured, for people, with what is declared.
    pub rows: Vec<Row>,
    /// The last second of the certificate's validity, as text, and whole days until then.
    pub certificate_ends: Option<(String, i64)>,
    /// How long it took.
    pub took: Duration,
    /// How many connections it took.
    pub connections: usize,
}

/// One measured value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// The value, or why there is none.
    pub value: String,
    /// The setting it belongs to.
    pub declared: Option<Evidence>,
    /// If the value is another one than declared: what that means.
    pub difference: Option<Difference>,
}

/// What it means that a measured value is not the declared one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// How bad it is.
    pub severity: Severity,
    /// What users, targets and logs will show.
    pub symptom: String,
    /// What to look for.
    pub fix: String,
}

/// A name that belongs to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--probe {0}=…: no load balancer, target group or application has this name")]
pub struct UnknownName(pub String);

/// What an endpoint is, of what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// A load balancer and, if one has the port, its listener.
    Balancer {
        load_balancer: usize,
        listener: Option<usize>,
    },
    Application(usize),
    /// A balancer that nothing is declared of.
    UnknownBalancer,
    /// An application that nothing is declared of.
    UnknownApplication,
}

/// Takes measurements into `system`. The endpoint is the load balancer, target group or application that is
/// called `name`; without one it is told by its port, and by the cookies of a load balancer.
///
/// # Errors
///
/// When nothing has this name.
pub fn take_in(
    system: &mut System,
    name: Option<&str>,
    found: &Measurements,
    scale: TimeScale,
) -> Result<(), UnknownName> {
    let subject = match name {
        Some(name) => named(system, name, found.endpoint.port)?,
        None => by_port(system, found),
    };
    let at: Arc<str> = found.endpoint.to_string().into();
    let mut measured = Measured {
        at: Arc::clone(&at),
        subject: String::new(),
        rows: found.facts(scale).into_iter().map(row).collect(),
        certificate_ends: found
            .tls
            .as_ref()
            .ok()
            .map(|tls| (tls.certificate.not_after.date().to_string(), tls.certificate.days_left)),
        took: found.took,
        connections: found.connections,
    };
    let context = Context { found, scale, place: Place::Measured { at } };
    match subject {
        Subject::Balancer { load_balancer, listener } => {
            if let Some(load_balancer) = system.load_balancers.get(load_balancer) {
                let listener = listener.and_then(|index| load_balancer.listeners.get(index));
                measured.subject =
                    listener.map_or_else(|| load_balancer.title(), |listener| listener.title(load_balancer));
                balancer::compare(&context, system, load_balancer, listener, &mut measured);
            }
        }
        Subject::UnknownBalancer => {
            measured.subject.push_str("a load balancer that nothing is declared of");
        }
        Subject::Application(index) => {
            if let Some(application) = system.applications.get_mut(index) {
                measured.subject = application.title();
                application::take_in(&context, application, &mut measured);
            }
        }
        Subject::UnknownApplication => {
            let mut application = unknown_application(system, name, &context);
            measured.subject = application.title();
            application::take_in(&context, &mut application, &mut measured);
            system.applications.push(application);
        }
    }
    system.measured.push(measured);
    Ok(())
}

fn row(fact: Fact) -> Row {
    Row { name: fact.name, value: fact.value, declared: None, difference: None }
}

/// What comparisons need.
struct Context<'a> {
    found: &'a Measurements,
    scale: TimeScale,
    place: Place,
}

impl Context<'_> {
    /// A measured setting under the name of the declared one, which is the one to change.
    fn setting<T>(&self, value: T, key: &str, written: &str) -> Setting<T> {
        Setting::new(value, key, written, self.place.clone())
    }
}

impl Measured {
    /// Notes beside a measured value which setting it belongs to, and what it means if it differs.
    fn compare(&mut self, name: &str, declared: &Evidence, difference: Option<Difference>) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == name) {
            row.declared = Some(declared.clone());
            row.difference = difference;
        }
    }

    fn value(&self, name: &str) -> String {
        self.rows.iter().find(|row| row.name == name).map(|row| row.value.clone()).unwrap_or_default()
    }
}

fn named(system: &System, name: &str, port: u16) -> Result<Subject, UnknownName> {
    if let Some(load_balancer) = system.load_balancers.iter().position(|known| known.name.value == name) {
        let listener = system.load_balancers.get(load_balancer).and_then(|known| listener_on(known, port));
        return Ok(Subject::Balancer { load_balancer, listener });
    }
    let is_named = |application: &Application| {
        application.name == name || application.target_groups.iter().any(|group| group == name)
    };
    if let Some(index) = system.applications.iter().position(is_named) {
        return Ok(Subject::Application(index));
    }
    let group = system.target_group(name).ok_or_else(|| UnknownName(name.to_owned()))?;
    let behind = system.applications_of(group);
    let index = behind
        .first()
        .and_then(|first| system.applications.iter().position(|known| std::ptr::eq(known, *first)));
    Ok(index.map_or(Subject::UnknownApplication, Subject::Application))
}

fn listener_on(load_balancer: &LoadBalancer, port: u16) -> Option<usize> {
    load_balancer.listeners.iter().position(|listener| is_on(listener, port))
}

fn is_on(listener: &Listener, port: u16) -> bool {
    listener.port.as_ref().is_some_and(|known| known.value == port)
}

fn by_port(system: &System, found: &Measurements) -> Subject {
    let port = found.endpoint.port;
    let balancer = system.load_balancers.iter().enumerate().find_map(|(load_balancer, known)| {
        let listener = listener_on(known, port)?;
        Some(Subject::Balancer { load_balancer, listener: Some(listener) })
    });
    let on_port = |known: &Application| known.port.as_ref().is_some_and(|known| known.value == port);
    let application = system.applications.iter().position(on_port).map(Subject::Application);
    let is_balancer = has_balancer_cookies(found);
    // A load balancer may listen on the very port that applications do.
    let (likelier, other) = if is_balancer { (balancer, None) } else { (application, balancer) };
    likelier.or(other).unwrap_or(match (is_balancer, system.applications.len()) {
        (true, _) => Subject::UnknownBalancer,
        (false, 1) => Subject::Application(0),
        (false, _) => Subject::UnknownApplication,
    })
}

/// Whether the endpoint sets cookies of a load balancer: then it is one.
fn has_balancer_cookies(found: &Measurements) -> bool {
    found
        .cookies
        .as_ref()
        .is_ok_and(|cookies| cookies.set.iter().any(|cookie| cookie.purpose == Purpose::LoadBalancer))
}

/// An application that only its measurements are known of, tied to the group that it was named by or whose port it has.
fn unknown_application(system: &System, name: Option<&str>, context: &Context<'_>) -> Application {
    let port = context.found.endpoint.port;
    let group = system.target_groups.iter().find(|group| match name {
        Some(name) => group.name.value == name,
        None => group.port.as_ref().is_some_and(|known| known.value == port),
    });
    Application {
        name: context.found.endpoint.authority(),
        target_groups: group.map(|group| group.name.value.clone()).into_iter().collect(),
        port: Some(context.setting(port, "port", &port.to_string())),
        ..Application::default()
    }
}

#[cfg(test)]
mod tests;
