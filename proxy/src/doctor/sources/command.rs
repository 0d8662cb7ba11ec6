//! Command lines of containers.

use crate::doctor::setting::Setting;

/// The words of a command line, wherever it was cut.
pub(super) fn words(command: &[Setting<String>]) -> Vec<Setting<String>> {
    let quotes = ['"', '\''];
    command
        .iter()
        .flat_map(|part| {
            part.value.split_whitespace().map(|word| word.trim_matches(quotes)).map(|word| Setting {
                value: word.to_owned(),
                key: part.key.clone(),
                written: word.into(),
                place: part.place.clone(),
            })
        })
        .collect()
}

/// Whether a command line runs a program, directly, by a shell or as a module (`python -m`).
pub(super) fn runs(command: &[Setting<String>], program: &str) -> bool {
    words(command).iter().any(|word| word.value.rsplit('/').next() == Some(program))
}

/// The value of a flag by one of its names: `--flag=value`, `--flag value`. The last one holds.
pub(super) fn flag(command: &[Setting<String>], names: &[&str]) -> Option<Setting<String>> {
    let words = words(command);
    let mut found = None;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (name, value) = match word.value.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.value.as_str(), None),
        };
        if !names.contains(&name) {
            continue;
        }
        let value = value.or_else(|| rest.clone().next().map(|next| next.value.clone()));
        found = value.map(|value| Setting::new(value.clone(), name, &value, word.place.clone())).or(found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::setting::Place;

    #[track_caller]
    fn check(command: &[&str], expected: Option<&str>) {
        let command: Vec<_> = command
            .iter()
            .map(|part| Setting::new((*part).to_owned(), "command", part, Place::default_of("a test")))
            .collect();
        let found = flag(&command, &["--keep-alive", "-k"]).map(|setting| setting.value);
        assert_eq!(found.as_deref(), expected, "{command:?}");
    }

    #[test]
    fn flags_are_found_however_the_command_line_was_cut() {
        check(&["gunicorn", "--keep-alive", "75"], Some("75"));
        check(&["gunicorn", "--keep-alive=75", "app"], Some("75"));
        check(&["sh", "-c", "exec gunicorn -k 5 '--keep-alive=75' app"], Some("75"));
        check(&["gunicorn", "--keep-alive"], None);
        check(&["gunicorn", "--keep-alive-not", "75"], None);
        check(&[], None);
    }
}
