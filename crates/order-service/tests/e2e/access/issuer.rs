//! An issuer of tokens: keys, a server that publishes them, or does worse, and tokens, right and wrong.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::crypto::ring as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use test_servers::Certificate;

/// A private key for these tests alone, in PKCS #8: ring makes none of this kind.
const RSA: &[u8] = include_bytes!("rsa.pk8");

pub(crate) const AUDIENCE: &str = "orders";

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair),
    /// With this secret.
    Hmac(Vec<u8>),
    /// An empty signature.
    None,
}

impl Signer {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(RSA).unwrap())
    }

    /// A new key.
    pub(crate) fn curve() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Curve(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Curve(_) => "ES256",
            Self::Hmac(_) => "HS256",
            Self::None => "none",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Curve(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Hmac(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
            }
            Self::None => Vec::new(),
        }
    }

    /// The public key as its issuer publishes it.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public());
                let (n, e) = (base64(n), base64(e));
                json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": n, "e": e})
            }
            Self::Curve(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": base64(x), "y": base64(y)})
            }
            Self::Hmac(secret) => json!({"kty": "oct", "kid": id, "k": base64(secret)}),
            Self::None => Value::Null,
        }
    }

    /// A token with this header, besides the algorithm, and these claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let mut header = header.clone();
        header["alg"] = self.algorithm().into();
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = base64(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// What the server does.
pub(crate) enum Behaviour {
    Answers {
        status: &'static str,
        body: String,
    },
    Hangs,
    /// It never comes to an end.
    Floods,
}

impl Behaviour {
    pub(crate) fn publishes(keys: &[Value]) -> Self {
        Self::Answers { status: "200 OK", body: json!({"keys": keys}).to_string() }
    }
}

/// A server of keys.
pub(crate) struct KeyServer {
    scheme: &'static str,
    port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::start_with("http", behaviour, serve)
    }

    /// The same over HTTPS, with the certificate that is in those files when it is asked.
    pub(crate) fn start_encrypted(behaviour: Behaviour, files: Certificate) -> Self {
        let serve_encrypted = move |stream: TcpStream, behaviour: &Behaviour| {
            let session = ServerConnection::new(Arc::new(configured(&files))).unwrap();
            serve(StreamOwned::new(session, stream), behaviour);
            None
        };
        Self::start_with("https", behaviour, serve_encrypted)
    }

    /// `serve` answers with the connection if it is to stay open.
    fn start_with(
        scheme: &'static str,
        behaviour: Behaviour,
        serve: impl Fn(TcpStream, &Behaviour) -> Option<TcpStream> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour = Arc::new(Mutex::new(behaviour));
        let asked = Arc::new(AtomicUsize::new(0));
        let (does, count) = (Arc::clone(&behaviour), Arc::clone(&asked));
        // Ends with the tests.
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                held.extend(serve(stream, &does.lock().unwrap()));
            }
        });
        Self { scheme, port, behaviour, asked }
    }

    pub(crate) fn now(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/keys", self.scheme, self.port)
    }

    /// The name of the issuer whose keys they are.
    pub(crate) fn issuer(&self) -> String {
        format!("https://login.example.com/{}", self.port)
    }

    /// Its lines for the access file.
    pub(crate) fn entry(&self) -> String {
        format!(
            "[[issuers]]\nissuer = '{}'\naudience = '{AUDIENCE}'\nalgorithms = ['RS256', 'ES256']\njwks = '{}'\n",
            self.issuer(),
            self.url()
        )
    }

    /// What a good token of it says.
    pub(crate) fn claims(&self, scope: &str) -> Value {
        let expires = now() + 3_600;
        json!({"iss": self.issuer(), "aud": AUDIENCE, "sub": "alice", "exp": expires, "scope": scope})
    }
}

/// What a server with these files is set to.
fn configured(files: &Certificate) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    builder.with_single_cert(chain, key).unwrap()
}

/// Answers with the connection if it is to stay open. Whoever does not trust this server hangs up.
fn serve<S: Read + Write>(mut stream: S, behaviour: &Behaviour) -> Option<S> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request);
    match behaviour {
        Behaviour::Answers { status, body } => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 location: http://127.0.0.1:1/\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
            None
        }
        Behaviour::Hangs => Some(stream),
        Behaviour::Floods => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&[b' '; 64 * 1024]).is_ok() {}
            None
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tokens say until when they hold")]
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
