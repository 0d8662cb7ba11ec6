//! Whose an answer is that does not name its resource.

use std::path::Path;

use super::{arn::last_segment, resources::Owner};
use crate::doctor::setting::Place;

/// A resource that an answer may be about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Its ARN, or its address in Terraform.
    pub(super) id: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// Where it is described.
    pub(super) place: &'a Place,
}

/// The one candidate that an answer is about: the one it names; else the only one of its file; else the one that
/// the file is named after; else the only one there is.
pub(super) fn find(owner: &Owner, candidates: &[Candidate<'_>]) -> Option<usize> {
    match owner {
        Owner::Named(id) => candidates.iter().position(|candidate| candidate.id == id),
        Owner::File { file, .. } => {
            let beside = |candidate: &Candidate<'_>| matches!(candidate.place, Place::File { file: described, .. } if described == file);
            only(candidates, beside)
                .or_else(|| named_after(file, candidates))
                .or_else(|| only(candidates, |_| true))
        }
    }
}

/// The only candidate that is so.
fn only(candidates: &[Candidate<'_>], is: impl Fn(&Candidate<'_>) -> bool) -> Option<usize> {
    let mut found = candidates.iter().enumerate().filter(|(_, candidate)| is(candidate));
    let (first, _) = found.next()?;
    found.next().is_none().then_some(first)
}

/// The candidate whose name, or end of the ARN, stands in the file's name: `web-api.json` is of `web-api`, not of
/// `web`.
fn named_after(file: &str, candidates: &[Candidate<'_>]) -> Option<usize> {
    let stem = Path::new(file).file_stem()?.to_str()?;
    let length = |candidate: &Candidate<'_>| {
        let names = [candidate.name, last_segment(candidate.id)];
        names.into_iter().filter(|name| stands_in(stem, name)).map(str::len).max()
    };
    let longest = candidates.iter().filter_map(length).max()?;
    only(candidates, |candidate| length(candidate) == Some(longest))
}

/// Whether a name stands in a text as a word of its own.
fn stands_in(text: &str, name: &str) -> bool {
    let edge = |beside: Option<char>| beside.is_none_or(|letter| !letter.is_ascii_alphanumeric());
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let behind = text.get(at + name.len()..).and_then(|text| text.chars().next());
            edge(before) && edge(behind)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, described_in: &[(&str, &str)], expected: Option<usize>) {
        let places: Vec<_> = described_in
            .iter()
            .map(|(_, file)| Place::File { file: (*file).into(), line: 1, column: 1 })
            .collect();
        let candidates: Vec<_> = described_in
            .iter()
            .zip(&places)
            .map(|((name, _), place)| Candidate { id: "arn:x/0", name, place })
            .collect();
        let place = Place::File { file: file.into(), line: 1, column: 1 };
        assert_eq!(find(&Owner::File { file: file.into(), place }, &candidates), expected);
    }

    #[test]
    fn the_only_resource_of_the_file_owns_it() {
        check("a.json", &[("web", "b.json"), ("api", "a.json")], Some(1));
        check("a.json", &[("web", "a.json"), ("api", "a.json")], None);
    }

    #[test]
    fn a_file_is_named_after_its_resource() {
        let both = [("web", "all.json"), ("web-api", "all.json")];
        check("dump/web-api_attributes.json", &both, Some(1));
        check("web.json", &both, Some(0));
        check("webs.json", &both, None);
    }

    #[test]
    fn the_only_resource_there_is_owns_what_is_left() {
        check("attributes.json", &[("web", "all.json")], Some(0));
        check("attributes.json", &[], None);
    }
}
