//! Query parameters: filters and paging, named as in the `ELBv2` API.
//!
//! Lists are written by repeating a parameter (`Names=a&Names=b`) or as the
//! API's own protocol does (`Names.member.1=a`). Unknown parameters are errors.

use serde_json::{Map, Value};

use super::api_error::ApiError;

/// Elements of a page at most, and unless `PageSize` says less.
pub(super) const LARGEST_PAGE: usize = 400;

/// The parameters of paging, known to every list.
const PAGING: [&str; 2] = ["PageSize", "Marker"];

/// The parameters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part of a URI after the question mark. `known` are the parameters that may stand in it,
    /// those of paging excepted.
    pub(super) fn parse(query: &str, known: &[&str]) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let name = list_name(&name).to_owned();
            if !known.contains(&name.as_str()) && !PAGING.contains(&name.as_str()) {
                let known: Vec<_> = known.iter().chain(&PAGING).copied().collect();
                let message = format!("unknown parameter '{name}', expected one of '{}'", known.join(", "));
                return Err(ApiError::validation(message));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// Everything from a marker on.
    pub(super) fn from_marker(marker: &str) -> Self {
        Self(vec![("Marker".to_owned(), marker.to_owned())])
    }

    /// All values of a list; empty if the parameter is not there.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a parameter that may be there once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.all(name).as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(ApiError::validation(format!("'{name}' can only be there once"))),
        }
    }

    /// `PageSize`: 1–400, default 400.
    pub(super) fn page_size(&self) -> Result<usize, ApiError> {
        let Some(text) = self.one("PageSize")? else { return Ok(LARGEST_PAGE) };
        let size = text.parse().ok().filter(|size| (1..=LARGEST_PAGE).contains(size));
        size.ok_or_else(|| {
            ApiError::validation(format!(
                "'PageSize' value '{text}' must be between '1-{LARGEST_PAGE}' inclusive"
            ))
        })
    }

    /// `Marker`: where the page begins, as the page before has told. Default 0.
    pub(super) fn marker(&self) -> Result<u64, ApiError> {
        let Some(text) = self.one("Marker")? else { return Ok(0) };
        text.parse().map_err(|_| {
            ApiError::validation(format!("'Marker' value '{text}' is not one that was given out"))
        })
    }

    /// The page of `elements` that is asked for, under `name`, with `NextMarker` if more follow.
    pub(super) fn page(
        &self,
        name: &str,
        elements: impl IntoIterator<Item = Value>,
    ) -> Result<Value, ApiError> {
        let (begin, size) = (self.marker()?, self.page_size()?);
        let begin_index = usize::try_from(begin).unwrap_or(usize::MAX);
        let mut rest = elements.into_iter().skip(begin_index);
        let page: Vec<Value> = rest.by_ref().take(size).collect();
        let next = rest.next().map(|_| begin_index.saturating_add(size).to_string());
        Ok(answer(name, page, next))
    }
}

/// A page under its name.
pub(super) fn answer(name: &str, page: Vec<Value>, next_marker: Option<String>) -> Value {
    let mut answer = Map::new();
    answer.insert(name.to_owned(), Value::Array(page));
    if let Some(marker) = next_marker {
        answer.insert("NextMarker".to_owned(), Value::String(marker));
    }
    Value::Object(answer)
}

/// An object without the members that have no value.
pub(super) fn present(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    object
}

/// `Names.member.1` is an element of `Names`.
fn list_name(name: &str) -> &str {
    match name.rsplit_once(".member.") {
        Some((list, index)) if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => list,
        _ => name,
    }
}

/// Percent-decoding, with `+` as a space.
fn decode(text: &str) -> Result<String, ApiError> {
    let malformed = || ApiError::validation("the query string is malformed");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().ok_or_else(malformed)?, digit().ok_or_else(malformed)?);
                u8::try_from(high * 16 + low).map_err(|_| malformed())?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text, &["Names"]).unwrap()
    }

    fn refused(text: &str) -> String {
        let parsed = Query::parse(text, &["Names"]);
        let error = parsed.and_then(|query| query.page("Things", [])).unwrap_err();
        assert_eq!(error.code, "ValidationError");
        error.message
    }

    #[test]
    fn lists_are_written_in_either_way() {
        assert_eq!(query("Names=a&Names=b%2Fc&&Names=d+e").all("Names"), ["a", "b/c", "d e"]);
        assert_eq!(query("Names.member.1=a&Names.member.2=b").all("Names"), ["a", "b"]);
        assert_eq!(query("").all("Names"), [""; 0]);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(refused("Name=a"), "unknown parameter 'Name', expected one of 'Names, PageSize, Marker'");
        assert_eq!(
            refused("Names.member.x=a"),
            "unknown parameter 'Names.member.x', expected one of 'Names, PageSize, Marker'"
        );
        for size in ["0", "401", "-1", "x", ""] {
            assert_eq!(
                refused(&format!("PageSize={size}")),
                format!("'PageSize' value '{size}' must be between '1-400' inclusive")
            );
        }
        assert_eq!(refused("PageSize=1&PageSize=2"), "'PageSize' can only be there once");
        assert_eq!(refused("Marker=x"), "'Marker' value 'x' is not one that was given out");
        for bad in ["Names=%", "Names=%4", "Names=%zz", "Names=%ff"] {
            assert_eq!(refused(bad), "the query string is malformed");
        }
    }

    #[test]
    fn pages_follow_each_other() {
        let page = |text| query(text).page("Things", (0..5).map(Value::from)).unwrap();
        assert_eq!(page(""), json!({ "Things": [0, 1, 2, 3, 4] }));
        assert_eq!(page("PageSize=2"), json!({ "Things": [0, 1], "NextMarker": "2" }));
        assert_eq!(page("PageSize=2&Marker=2"), json!({ "Things": [2, 3], "NextMarker": "4" }));
        assert_eq!(page("PageSize=2&Marker=4"), json!({ "Things": [4] }));
        assert_eq!(page("Marker=18446744073709551615"), json!({ "Things": [] }));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            if let Ok(query) = Query::parse(&text, &["Names"]) {
                prop_assert!(query.0.len() <= text.len());
                drop(query.page("Things", (0..1000).map(Value::from)));
            }
        }

        #[test]
        fn what_is_encoded_is_decoded(text in "\\PC{0,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let parsed = Query::parse(&format!("Names={encoded}"), &["Names"]).unwrap();
            prop_assert_eq!(parsed.all("Names"), [text.as_str()]);
        }
    }
}
