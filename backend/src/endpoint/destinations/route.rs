//! Where a destination leads, by its name alone.
//!
//! Prefixes end at a path boundary. (Spring's broker compares characters, so
//! that `/topicfoo` is a topic there.)

/// Longest destination in bytes.
pub(super) const DESTINATION_LIMIT: usize = 512;

/// Length of a session's id, which is written in hexadecimal digits.
const SESSION_DIGITS: usize = 16;

/// Where a destination leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// To the broker: `/topic/…` and `/queue/…`.
    Broker(&'a str),
    /// To the application, under what follows `/app/`.
    Application(&'a str),
    /// To sessions of users, under what follows `/user`.
    User(&'a str),
}

/// Where a destination leads; none when nowhere.
pub(super) fn route(destination: &str) -> Option<Route<'_>> {
    if destination.len() > DESTINATION_LIMIT || destination.chars().any(char::is_control) {
        None
    } else if is_broker(destination) {
        Some(Route::Broker(destination))
    } else if let Some(name) = destination.strip_prefix("/app/") {
        (!name.is_empty()).then_some(Route::Application(name))
    } else {
        let rest = destination.strip_prefix("/user").filter(|rest| rest.starts_with('/'));
        rest.map(Route::User)
    }
}

/// Whether a destination is the broker's own.
pub(super) fn is_broker(destination: &str) -> bool {
    ["/topic/", "/queue/"]
        .into_iter()
        .any(|prefix| destination.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
}

/// Whether a destination has the form under which Spring keeps the queues of
/// users, `/queue/x-user{session}`. Here it leads to nobody's queue; who asks for
/// it is after somebody else's.
pub(super) fn is_internal(destination: &str) -> bool {
    destination.rsplit_once("-user").is_some_and(|(_, session)| {
        session.len() == SESSION_DIGITS && session.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// A queue of a user, as a SEND names it: `/ann/queue/x` after `/user`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UserQueue<'a> {
    /// Who, with each `%2F` read as `/`.
    pub(super) name: String,
    /// As `/queue/x`.
    pub(super) queue: &'a str,
}

impl<'a> UserQueue<'a> {
    /// Parses what follows `/user`; none when there is no name, or no broker
    /// destination after it.
    pub(super) fn parse(rest: &'a str) -> Option<Self> {
        let path = rest.strip_prefix('/')?;
        let (name, queue) = path.split_at_checked(path.find('/')?)?;
        (!name.is_empty() && is_broker(queue)).then(|| Self { name: name.replace("%2F", "/"), queue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_a_path_boundary() {
        assert_eq!(route("/topic/room.general"), Some(Route::Broker("/topic/room.general")));
        assert_eq!(route("/queue/work"), Some(Route::Broker("/queue/work")));
        assert_eq!(route("/app/room.general"), Some(Route::Application("room.general")));
        assert_eq!(route("/user/queue/private"), Some(Route::User("/queue/private")));
        for destination in [
            "/topicfoo",
            "/topic",
            "/topic/",
            "/queue/",
            "/app/",
            "/user",
            "/users/a",
            "room",
            "",
            "/topic/a\n",
        ] {
            assert_eq!(route(destination), None, "{destination}");
        }
        assert_eq!(route(&format!("/topic/{}", "x".repeat(600))), None);
    }

    #[test]
    fn a_user_queue_is_a_name_and_a_broker_destination() {
        let parse = |rest| UserQueue::parse(rest).map(|to| (to.name, to.queue));
        assert_eq!(parse("/ann/queue/x"), Some(("ann".to_owned(), "/queue/x")));
        assert_eq!(parse("/a%2Fb/topic/x/y"), Some(("a/b".to_owned(), "/topic/x/y")));
        for rest in ["/ann", "/ann/", "/ann/queue/", "//queue/x", "/ann/app/x", "/queue/x", ""] {
            assert_eq!(parse(rest), None, "{rest}");
        }
    }

    #[test]
    fn the_form_of_springs_session_queues_is_known() {
        assert!(is_internal("/queue/x-user0123456789abcdef"));
        for destination in ["/topic/new-users", "/queue/x-user", "/queue/x-user0123456789abcdef/y"] {
            assert!(!is_internal(destination), "{destination}");
        }
    }
}
