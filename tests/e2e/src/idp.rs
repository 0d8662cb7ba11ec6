//! An identity provider that logs everybody in at once and fails in the ways it is told to.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::{ca::Ca, ports::HeldPort};

/// `client_id` of the one client.
pub const CLIENT_ID: &str = "albeit e2e";
/// `client_secret` of the one client.
pub const CLIENT_SECRET: &str = "s3cret/+";

/// What an endpoint does wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It answers after this time.
    Slow(Duration),
    /// It answers with this status and body.
    Answer(u16, String),
}

/// How the provider behaves; can be changed at any time.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Faults by path, such as `/token`.
    pub faults: BTreeMap<&'static str, Fault>,
    /// `error` of the authorization endpoint's answer, in the place of a code.
    pub denied: Option<&'static str>,
    /// What the user info endpoint says.
    pub userinfo: Value,
    /// Members that replace those of an ID token; null takes one away.
    pub id_token: Value,
    /// Members that replace those of the token endpoint's answer; null takes one away.
    pub tokens: Value,
    /// How many further keys the JWKS holds.
    pub further_keys: usize,
}

struct Shared {
    url: String,
    behaviour: Behaviour,
    kid: String,
    codes: HashSet<String>,
    refresh_tokens: HashSet<String>,
    issued: usize,
    calls: Vec<String>,
}

/// A running identity provider.
pub struct Idp {
    addr: SocketAddr,
    key: Arc<KeyPair>,
    shared: Arc<Mutex<Shared>>,
    _tasks: JoinSet<()>,
}

impl Idp {
    /// Starts a provider whose certificate `ca` issues; its files go to `dir`.
    ///
    /// # Errors
    /// When no port, key or certificate can be had.
    pub fn start(ca: &Ca, dir: &Path) -> Result<Self> {
        let port = HeldPort::try_new()?;
        let certificate = ca.issue(dir, "idp", &["localhost"])?;
        let chain = CertificateDer::pem_file_iter(&certificate.certificate)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&certificate.private_key)?;
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let key = Arc::new(KeyPair::generate(KeySize::Rsa2048).ok().context("an RSA key")?);
        let shared = Arc::new(Mutex::new(Shared {
            url: format!("https://localhost:{}", port.port()),
            behaviour: Behaviour {
                faults: BTreeMap::new(),
                denied: None,
                userinfo: json!({ "sub": "user-1", "email": "user@example.com" }),
                id_token: json!({}),
                tokens: json!({}),
                further_keys: 0,
            },
            kid: "key-1".to_owned(),
            codes: HashSet::new(),
            refresh_tokens: HashSet::new(),
            issued: 0,
            calls: Vec::new(),
        }));
        let listener = port.listen()?;
        let addr = port.addr();
        let mut tasks = JoinSet::new();
        let (acceptor, service) = (TlsAcceptor::from(Arc::new(tls)), (Arc::clone(&shared), Arc::clone(&key)));
        tasks.spawn(async move {
            let _port = port;
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(acceptor.clone(), stream, service.0.clone(), service.1.clone()));
            }
        });
        Ok(Self { addr, key, shared, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL of `path`; without one, its issuer.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.shared.lock().url)
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.lock().behaviour);
    }

    /// Makes the endpoint at `path` fail.
    pub fn fail(&self, path: &'static str, fault: Fault) {
        self.behave(|behaviour| drop(behaviour.faults.insert(path, fault)));
    }

    /// How often `path` was called.
    #[must_use]
    pub fn calls(&self, path: &str) -> usize {
        self.shared.lock().calls.iter().filter(|call| *call == path).count()
    }

    /// Forgets all refresh tokens, as at a logout.
    pub fn log_out(&self) {
        self.shared.lock().refresh_tokens.clear();
    }

    /// The action `authenticate_oidc` for this provider, with `settings` besides.
    #[must_use]
    pub fn authenticate_oidc(&self, settings: Value) -> Value {
        let action = json!({
            "issuer": self.url(""),
            "authorization_endpoint": self.url("/authorize"),
            "token_endpoint": self.url("/token"),
            "user_info_endpoint": self.url("/userinfo"),
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        });
        json!({ "authenticate_oidc": with(action, settings) })
    }

    /// The action `jwt_validation` for this provider, with `settings` besides.
    #[must_use]
    pub fn jwt_validation(&self, settings: Value) -> Value {
        let action = json!({ "jwks_endpoint": self.url("/jwks"), "issuer": self.url("") });
        json!({ "jwt_validation": with(action, settings) })
    }

    /// A token with the usual claims, some of them replaced; null takes one away.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, claims: Value) -> Result<String> {
        let (url, kid) = (self.url(""), self.shared.lock().kid.clone());
        let now = now();
        let usual = json!({ "iss": url, "exp": now + 600, "iat": now, "sub": "service" });
        sign(&self.key, &json!({ "alg": "RS256", "typ": "JWT", "kid": kid }), &with(usual, claims))
    }

    /// A token with this header, signed by the provider's key.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token_with_header(&self, header: &Value) -> Result<String> {
        let claims = json!({ "iss": self.url(""), "exp": now() + 600 });
        sign(&self.key, header, &claims)
    }

    /// Calls its key by another id from now on.
    pub fn rename_key(&self, kid: &str) {
        self.shared.lock().kid = kid.to_owned();
    }
}

/// `value` with the members of `changes` in the place of its own; null takes one away.
fn with(mut value: Value, changes: Value) -> Value {
    if let (Value::Object(members), Value::Object(changes)) = (&mut value, changes) {
        for (name, change) in changes {
            if change.is_null() {
                members.remove(&name);
            } else {
                members.insert(name, change);
            }
        }
    }
    value
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn sign(key: &KeyPair, header: &Value, claims: &Value) -> Result<String> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).ok().context("a signature")?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, shared: Arc<Mutex<Shared>>, key: Arc<KeyPair>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(|request| {
        let (shared, key) = (Arc::clone(&shared), Arc::clone(&key));
        async move { Ok::<_, Infallible>(answer(request, &shared, &key).await) }
    });
    // How the connection ends shows in the requests on it.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(request: Request<Incoming>, shared: &Mutex<Shared>, key: &KeyPair) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path().to_owned();
    let fault = {
        let mut shared = shared.lock();
        shared.calls.push(path.clone());
        shared.behaviour.faults.get(path.as_str()).cloned()
    };
    match fault {
        Some(Fault::Answer(status, body)) => return response(status, body),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        None => {}
    }
    let authorization = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let mut shared = shared.lock();
    match path.as_str() {
        "/authorize" => shared.authorize(head.uri.query().unwrap_or_default()),
        "/token" => shared.token(authorization, &String::from_utf8_lossy(&body), key),
        "/userinfo" => shared.userinfo(authorization),
        "/jwks" => shared.jwks(key),
        _ => response(404, String::new()),
    }
}

impl Shared {
    fn authorize(&mut self, query: &str) -> Response<Full<Bytes>> {
        let parameters: BTreeMap<&str, &str> = query.split('&').filter_map(|it| it.split_once('=')).collect();
        let get = |name: &str| parameters.get(name).copied().unwrap_or_default();
        let is_right = get("client_id") == CLIENT_ID.replace(' ', "%20") && get("response_type") == "code";
        if !is_right {
            return response(400, format!("not the parameters of a login: {query}"));
        }
        let back = get("redirect_uri").replace("%3A", ":").replace("%2F", "/");
        let outcome = match self.behaviour.denied {
            Some(error) => format!("error={error}"),
            None => {
                self.issued += 1;
                let code = format!("code-{}", self.issued);
                self.codes.insert(code.clone());
                format!("code={code}")
            }
        };
        let location = format!("{back}?{outcome}&state={}", get("state"));
        let mut response = response(302, String::new());
        if let Ok(location) = location.parse() {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    fn token(&mut self, authorization: Option<&str>, form: &str, key: &KeyPair) -> Response<Full<Bytes>> {
        let credentials = STANDARD.encode("albeit%20e2e:s3cret%2F%2B");
        if authorization != Some(format!("Basic {credentials}").as_str()) {
            return response(401, json!({ "error": "invalid_client" }).to_string());
        }
        let parameters: BTreeMap<&str, &str> = form.split('&').filter_map(|it| it.split_once('=')).collect();
        let get = |name: &str| parameters.get(name).copied().unwrap_or_default();
        // Each is good for one use.
        let is_granted = match get("grant_type") {
            "authorization_code" => {
                self.codes.remove(get("code")) && get("redirect_uri").ends_with("%2Foauth2%2Fidpresponse")
            }
            "refresh_token" => self.refresh_tokens.remove(get("refresh_token")),
            _ => false,
        };
        if !is_granted {
            return response(400, json!({ "error": "invalid_grant" }).to_string());
        }
        self.issued += 1;
        let refresh_token = format!("refresh-{}", self.issued);
        self.refresh_tokens.insert(refresh_token.clone());
        let usual = json!({ "iss": self.url, "aud": CLIENT_ID, "exp": now() + 600, "sub": "user-1" });
        let claims = with(usual, self.behaviour.id_token.clone());
        let Ok(id_token) = sign(key, &json!({ "alg": "RS256", "kid": self.kid }), &claims) else {
            return response(500, String::new());
        };
        let tokens = json!({
            "access_token": format!("access-{}", self.issued),
            "token_type": "Bearer",
            "id_token": id_token,
            "refresh_token": refresh_token,
            "expires_in": 3600,
        });
        response(200, with(tokens, self.behaviour.tokens.clone()).to_string())
    }

    fn userinfo(&self, authorization: Option<&str>) -> Response<Full<Bytes>> {
        if !authorization.is_some_and(|it| it.starts_with("Bearer access-")) {
            return response(401, String::new());
        }
        response(200, self.behaviour.userinfo.to_string())
    }

    fn jwks(&self, key: &KeyPair) -> Response<Full<Bytes>> {
        // RSAPublicKey (RFC 8017 appendix A.1.1): the 256 bytes of a modulus follow nine of framing.
        let modulus = key.public_key().as_ref().get(9..265).unwrap_or_default();
        let jwk = |kid: &str| {
            json!({
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
                "n": URL_SAFE_NO_PAD.encode(modulus),
                "e": "AQAB",
            })
        };
        let further = (0..self.behaviour.further_keys).map(|number| jwk(&format!("further-{number}")));
        let keys: Vec<Value> = std::iter::once(jwk(&self.kid)).chain(further).collect();
        response(200, json!({ "keys": keys }).to_string())
    }
}

fn response(status: u16, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
