//! Timers of WebSockets under the names that applications give them.
//!
//! Neither Spring nor Node has keys for these: people invent
//! `app.websocket.heartbeat-interval` or `WEBSOCKET_PING_TIMEOUT`. So a key is
//! taken as a sequence of words, and those of `albeit-backend`
//! (`sockjs.heartbeat-time`, `socket-io.ping-interval`) are some among them.

use std::time::Duration;

use super::{
    fill,
    units::{Unit, spring_duration},
};
use crate::doctor::{
    setting::Setting,
    system::{Application, Heartbeat, SockJs, SocketIo},
};

/// Whose defaults hold for Engine.IO.
const SOCKET_IO: &str = "Socket.IO";
/// `pingInterval` of Socket.IO since version 3.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// `pingTimeout` of Socket.IO since version 4.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What a key is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Stomp,
    SockJs,
    SocketIo,
    WebSocket,
}

/// Fills in what settings of files and variables say of long connections.
pub(super) fn interpret(application: &mut Application, of_files: &[Setting<String>]) {
    let mut timers = Timers::default();
    // Variables count more, so they come last.
    for setting in of_files.iter().chain(application.environment.values()) {
        timers.take(setting);
    }
    timers.finish(application);
}

/// What was found so far.
#[derive(Debug, Default)]
struct Timers {
    heart_beats: Vec<Heartbeat>,
    ping_interval: Option<Setting<Duration>>,
    ping_timeout: Option<Setting<Duration>>,
    transports: Option<Setting<String>>,
    is_socket_io: bool,
    sock_js: Option<Setting<bool>>,
    disconnect_delay: Option<Setting<Duration>>,
    paths: Vec<Setting<String>>,
    relay: Option<Setting<String>>,
}

impl Timers {
    fn take(&mut self, setting: &Setting<String>) {
        let words = words(&setting.key);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let Some(subject) = subject(&words) else { return };
        let has = |word: &str| words.contains(&word);
        let time = || setting.clone().filter_map(|text| spring_duration(&text, Unit::Guessed));
        self.is_socket_io |= subject == Subject::SocketIo;
        if has("disconnect") && has("delay") {
            self.disconnect_delay = time();
        } else if has("ping") && has("timeout") {
            self.ping_timeout = time();
        } else if has("ping") && (has("interval") || has("period") || words.last() == Some(&"ping")) {
            self.ping_interval = time();
        } else if is_heart_beat(&words) {
            self.heart_beat(subject, &words, setting);
        } else if has("transports") {
            self.transports = Some(setting.clone());
        } else if subject == Subject::SockJs && words.last() == Some(&"enabled") {
            self.sock_js = setting.clone().filter_map(|text| text.parse().ok());
        } else if matches!(words.last(), Some(&("path" | "endpoint" | "paths" | "endpoints")))
            && setting.value.starts_with('/')
        {
            self.paths.retain(|known| known.key != setting.key);
            self.paths.push(setting.clone());
        } else if matches!(words.last(), Some(&("broker" | "relay")))
            || words.ends_with(&["relay", "mode"])
            || words.ends_with(&["broker", "type"])
        {
            self.relay = Some(setting.clone());
        }
        if subject == Subject::SockJs && words.last() != Some(&"enabled") && self.sock_js.is_none() {
            self.sock_js = Some(setting.clone().map(|_| true));
        }
    }

    /// `25s`, `25000`, or the two intervals of STOMP's header: what the server sends, and what it wants.
    fn heart_beat(&mut self, subject: Subject, words: &[&str], setting: &Setting<String>) {
        // What clients are wanted to send comes only if they do.
        let is_wanted = ["receive", "incoming", "timeout"].iter().any(|word| words.contains(word))
            || (words.last() == Some(&"1") && subject == Subject::Stomp);
        if is_wanted {
            return;
        }
        let first = |text: &str| text.trim_matches(['[', ']']).split(',').next().map(str::to_owned);
        let interval = setting.clone().filter_map(|text| spring_duration(&first(&text)?, Unit::Guessed));
        let what = match subject {
            Subject::Stomp => "STOMP heart-beat",
            Subject::SockJs => "SockJS heartbeat",
            Subject::SocketIo | Subject::WebSocket => "heartbeat",
        };
        if let Some(interval) = interval {
            self.heart_beats.retain(|known| known.what != what);
            self.heart_beats.push(Heartbeat { what, interval });
        }
    }

    fn finish(self, application: &mut Application) {
        application.heartbeats.extend(self.heart_beats);
        // A WebSocket alone has no timeout of pings that anybody would set with an interval.
        if self.is_socket_io || self.ping_timeout.is_some() {
            let default =
                |value, key: &str, written: &str| Setting::default_of(SOCKET_IO, value, key, written);
            let ping_interval =
                self.ping_interval.unwrap_or_else(|| default(PING_INTERVAL, "pingInterval", "25000"));
            let ping_timeout =
                self.ping_timeout.unwrap_or_else(|| default(PING_TIMEOUT, "pingTimeout", "20000"));
            let polling = match self.transports {
                Some(transports) => transports.map(|text| text.contains("polling")),
                None => Setting::default_of(SOCKET_IO, true, "transports", "polling, websocket"),
            };
            let ping = Heartbeat { what: "Engine.IO ping", interval: ping_interval.clone() };
            application.heartbeats.push(ping);
            fill(&mut application.socket_io, Some(SocketIo { ping_interval, ping_timeout, polling }));
        } else if let Some(interval) = self.ping_interval {
            application.heartbeats.push(Heartbeat { what: "WebSocket ping", interval });
        }
        let sock_js = self.sock_js.or_else(|| self.disconnect_delay.clone().map(|delay| delay.map(|_| true)));
        if let Some(enabled) = sock_js {
            fill(&mut application.sock_js, Some(SockJs { enabled, disconnect_delay: self.disconnect_delay }));
        }
        application.web_socket_paths.extend(self.paths);
        fill(&mut application.relay, self.relay);
    }
}

/// What the words of a key are about; `None` if it is nothing of ours.
fn subject(words: &[&str]) -> Option<Subject> {
    let has = |word: &str| words.contains(&word);
    let pair = |first: &str, second: &str| words.windows(2).any(|pair| pair == [first, second]);
    if has("sockjs") || pair("sock", "js") {
        Some(Subject::SockJs)
    } else if has("socketio") || has("engineio") || pair("socket", "io") || pair("engine", "io") {
        Some(Subject::SocketIo)
    } else if has("stomp") {
        Some(Subject::Stomp)
    } else if has("websocket") || has("websockets") || has("ws") || pair("web", "socket") {
        Some(Subject::WebSocket)
    } else {
        None
    }
}

fn is_heart_beat(words: &[&str]) -> bool {
    words.contains(&"heartbeat") || words.windows(2).any(|pair| pair == ["heart", "beat"])
}

/// `app.webSocket.heartbeat-interval[0]` and `APP_WEBSOCKET_HEARTBEAT_INTERVAL_0` word by word.
pub(super) fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let is_loud = !key.chars().any(|c| c.is_ascii_lowercase());
    for c in key.chars() {
        let is_start = !c.is_alphanumeric() || (c.is_uppercase() && !is_loud);
        if is_start && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::setting::{Place, human};

    #[track_caller]
    fn check(settings: &[(&str, &str)], expected: &[&str]) {
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| Setting::new((*value).to_owned(), key, value, Place::default_of("a test")))
            .collect();
        let mut application = Application::default();
        interpret(&mut application, &settings);
        let mut found: Vec<_> = application
            .heartbeats
            .iter()
            .map(|it| format!("{} {}", it.what, human(it.interval.value)))
            .collect();
        found.extend(
            application
                .socket_io
                .map(|it| format!("timeout {}, polling {}", human(it.ping_timeout.value), it.polling.value)),
        );
        found.extend(application.sock_js.map(|it| {
            let delay = it.disconnect_delay.map_or_else(String::new, |delay| human(delay.value));
            format!("SockJS {} {delay}", it.enabled.value)
        }));
        found.extend(application.web_socket_paths.iter().map(|it| it.value.clone()));
        found.extend(application.relay.map(|it| it.value));
        assert_eq!(found, expected, "{settings:?}");
    }

    #[test]
    fn keys_of_applications_are_understood_by_their_words() {
        check(&[("app.websocket.heartbeat-interval", "25s")], &["heartbeat 25 s"]);
        check(&[("app.webSocket.heartbeat.interval", "25000")], &["heartbeat 25 s"]);
        check(&[("websocket.ping-interval", "60")], &["WebSocket ping 60 s"]);
        check(&[("stomp.heart-beat[0]", "10s"), ("stomp.heart-beat[1]", "20s")], &["STOMP heart-beat 10 s"]);
        check(&[("websocket.stomp.heartbeat", "10000,20000")], &["STOMP heart-beat 10 s"]);
        check(
            &[("sockjs.heartbeat-time", "25s"), ("sockjs.disconnect-delay", "30s")],
            &["SockJS heartbeat 25 s", "SockJS true 30 s"],
        );
        check(&[("websocket.sockjs.enabled", "false")], &["SockJS false "]);
        check(&[("app.websocket.endpoint", "/ws"), ("app.websocket.broker", "simple")], &["/ws", "simple"]);
        check(
            &[("spring.redis.timeout", "2s"), ("app.heartbeat", "1s"), ("websocket.heartbeat", "soon")],
            &[],
        );
    }

    #[test]
    fn the_variables_of_a_gateway_are_its_timers() {
        let gateway = [
            ("WEBSOCKET_PING_TIMEOUT", "60000"),
            ("WEBSOCKET_PING_INTERVAL", "25000"),
            ("WEBSOCKET_HEARTBEAT_INTERVAL", "30000"),
        ];
        check(&gateway, &["heartbeat 30 s", "Engine.IO ping 25 s", "timeout 60 s, polling true"]);
        check(
            &[("SOCKET_IO_TRANSPORTS", "websocket")],
            &["Engine.IO ping 25 s", "timeout 20 s, polling false"],
        );
    }
}
