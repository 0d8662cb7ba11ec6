//! What the admin API is sent.

use albeit_proxy::admin;
use http::Method;

/// The body of each action.
pub(crate) fn body(data: &[u8]) {
    let actions = [
        (Method::POST, "/targets/register"),
        (Method::POST, "/targets/health"),
        (Method::PUT, "/attributes"),
        (Method::POST, "/reload"),
    ];
    for (method, path) in actions {
        let checked = admin::check_body(&method, path, data);
        assert!(
            checked.is_some_and(|checked| checked.map_or_else(|error| !error.is_empty(), |()| true)),
            "{path}"
        );
    }
}
