//! Who is asking: the client behind trusted proxies, the web page that opens a
//! session, the user whom a token names, and what that user may do.

mod authenticator;
mod forwarded;
mod jwt;
mod origin;
mod permission;
mod principal;
mod secret;
mod security;
mod sources;

pub use authenticator::{AuthError, Authenticator, Token};
pub use forwarded::{Forwarded, Hop, Proto, Proxies, resolve};
pub use jwt::{Jwt, JwtSettings, KeyError, KeySources};
pub use origin::{OriginError, Origins, Policy, is_origin};
pub use permission::{Access, Action, Denied, Rule, Rules};
pub use principal::{Client, Principal};
pub use secret::Secret;
pub use security::Security;
pub use sources::{Sources, of_connect, of_frame};
