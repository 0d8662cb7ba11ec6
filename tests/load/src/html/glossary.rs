//! What figures mean, in a line each.

/// Figure → what it says.
const FIGURES: &[(&str, &str)] = &[
    ("age_median", "half of the connections were at most so old when they ended"),
    ("alive", "connections that lived to the end"),
    ("answers", "answers that were no failure"),
    ("answers_per_second", "answers that were no failure, each second"),
    ("bad_gateway", "answers with status 502"),
    ("bad_gateway_share", "share of 502 in all answers"),
    ("closed", "connections that were cut"),
    ("connected_in", "time until all connections were open"),
    ("connections", "connections that were open"),
    ("control_targets", "targets that answered requests without cookies"),
    ("control_uneven", "how unevenly requests without cookies spread: 0 evenly, about 1 at random"),
    ("cookie_bytes", "what cookies add to each request"),
    ("cpu", "share of one core that the service used"),
    ("cut", "WebSockets that were cut"),
    ("cut_after_delay", "WebSockets cut when the deregistration delay was over"),
    ("cut_early", "WebSockets cut before the deregistration delay was over, without being told to go"),
    ("deliveries", "messages that came to a subscriber"),
    ("deliveries_per_second", "messages that came to a subscriber, each second"),
    ("died", "connections that ended too early"),
    ("duplicates", "messages that came to a subscriber twice"),
    ("ended", "connections that ended while they were held"),
    ("failed", "requests without a good answer"),
    ("failures", "what was asked for and did not come"),
    ("gap_max", "the longest gap before a 502"),
    ("gap_min", "the shortest gap before a 502"),
    ("handshakes", "connections made"),
    ("handshakes_per_second", "connections made each second"),
    ("idle_max", "the longest silence before a cut"),
    ("idle_median", "half of the connections were silent at most so long before their cut"),
    ("idle_min", "the shortest silence before a cut"),
    ("late_starts", "starts made later than due: no connection was free, or this machine was busy"),
    ("memory", "memory of the service's process and its children"),
    ("memory_per_connection", "memory that the service grew by, for each connection"),
    ("lost", "messages that did not come to a subscriber"),
    ("messages", "messages published"),
    ("moved", "clients that came to more than one target"),
    ("requests", "requests sent"),
    ("resumed", "TLS sessions that were resumed"),
    ("server_beats", "heart-beats of the server"),
    ("server_interval_max", "the longest time between two heart-beats of the server"),
    ("server_interval_mean", "mean time between two heart-beats of the server"),
    ("server_jitter", "how far heart-beats of the server lie from their mean: standard deviation"),
    ("session_failures", "sessions of which a step failed"),
    ("targets", "targets that answered"),
    ("told_to_go", "WebSockets told to go by close code 1001 or 1012"),
    ("uneven", "how unevenly clients spread over targets: 0 evenly, about 1 at random"),
];

/// What the end of a name says of a time.
const PERCENTILES: &[(&str, &str)] = &[
    ("p50", "half took at most so long"),
    ("p90", "nine of ten took at most so long"),
    ("p99", "99 of 100 took at most so long"),
    ("p99.9", "999 of 1000 took at most so long"),
    ("max", "the longest"),
    ("min", "the shortest"),
];

/// What a figure says, if it is a known one.
pub(crate) fn meaning(figure: &str) -> Option<&'static str> {
    let known = |names: &[(&str, &'static str)], name: &str| {
        names.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
    };
    let end = figure.rsplit_once(['_', ' ', '-']).map_or(figure, |(_, end)| end);
    known(FIGURES, figure).or_else(|| known(PERCENTILES, end))
}
