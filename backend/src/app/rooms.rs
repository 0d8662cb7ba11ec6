//! Which destinations belong to a room, an auction or a user of the demo.

use super::Rejection;

/// Longest id of a room or an auction, in bytes.
const ID_LIMIT: usize = 64;

/// Longest name of a user, in bytes.
const USER_LIMIT: usize = 128;

/// Where the subscribers of a room are.
///
/// # Errors
///
/// The id is none.
pub fn room(id: &str) -> Result<String, Rejection> {
    checked_id(id).map(|id| format!("/topic/room.{id}"))
}

/// Where the subscribers of an auction are.
///
/// # Errors
///
/// The id is none.
pub fn auction(id: &str) -> Result<String, Rejection> {
    checked_id(id).map(|id| format!("/topic/auction.{id}"))
}

/// Letters, digits, `-` and `_`, so that an id cannot look like another
/// destination.
fn checked_id(id: &str) -> Result<&str, Rejection> {
    let allowed = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > ID_LIMIT || !id.chars().all(allowed) {
        let rule = format!("an id is 1 to {ID_LIMIT} bytes of letters, digits, - and _");
        return Err(Rejection::new("invalid destination", rule));
    }
    Ok(id)
}

/// The name of a user as tokens have it: a number, an address, `issuer|id`.
pub(super) fn user(name: &str) -> Result<&str, Rejection> {
    let forbidden = |c: char| c == '/' || c.is_control() || c.is_whitespace();
    if name.is_empty() || name.len() > USER_LIMIT || name.contains(forbidden) {
        let rule = format!("a user is 1 to {USER_LIMIT} bytes without blanks and slashes");
        return Err(Rejection::new("invalid destination", rule));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_users_cannot_look_like_another_destination() {
        assert_eq!(room("général-1_a").unwrap(), "/topic/room.général-1_a");
        assert_eq!(auction("42").unwrap(), "/topic/auction.42");
        assert_eq!(user("auth0|ann@example.com"), Ok("auth0|ann@example.com"));
        let long = "x".repeat(200);
        for id in ["", "a.b", "a/b", "*", "a b", "a\n", &long] {
            assert!(room(id).is_err() && auction(id).is_err(), "{id}");
        }
        for name in ["", "a/b", "a b", "a\n", &long] {
            assert!(user(name).is_err(), "{name}");
        }
    }
}
