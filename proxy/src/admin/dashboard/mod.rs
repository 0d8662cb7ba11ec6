//! The dashboard: a page that shows what the balancer does while it does it.

mod assets;

pub(super) use self::assets::{PREFIX, asset, page, wants_page};
