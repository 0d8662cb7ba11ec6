//! What figures mean, in a line each.

/// Figure → what it says.
const FIGURES: &[(&str, &str)] = &[
    ("cpu_per_message_us", "processor time of the service for one message there and back"),
    ("cpu_per_delivery_us", "processor time of the service for one message to one subscriber"),
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
