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
use serde_json::{Value, json};

/// A private key for these tests alone, in PKCS #8: ring makes none of this kind.
const RSA: &[u8] = include_bytes!("rsa.pk8");

pub(super) const AUDIENCE: &str = "orders";

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) enum Signer {
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair),
    /// With this secret.
    Hmac(Vec<u8>),
    /// An empty signature.
    None,
}

impl Signer {
    pub(super) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(RSA).unwrap())
    }

    /// A new key.
    pub(super) fn curve() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Curve(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    pub(super) fn algorithm(&self) -> &'static str {
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
    pub(super) fn jwk(&self, id: &str) -> Value {
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
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let mut header = header.clone();
        header["alg"] = self.algorithm().into();
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = base64(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// What the server does.
pub(super) enum Behaviour {
    Answers {
        status: &'static str,
        body: String,
    },
    Hangs,
    /// It never comes to an end.
    Floods,
}

impl Behaviour {
    pub(super) fn publishes(keys: &[Value]) -> Self {
        Self::Answers { status: "200 OK", body: json!({"keys": keys}).to_string() }
    }
}

/// A server of keys.
pub(super) struct KeyServer {
    port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    pub(super) fn start(behaviour: Behaviour) -> Self {
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
        Self { port, behaviour, asked }
    }

    pub(super) fn now(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/keys", self.port)
    }

    /// The name of the issuer whose keys they are.
    pub(super) fn issuer(&self) -> String {
        format!("https://login.example.com/{}", self.port)
    }

    /// Its lines for the access file.
    pub(super) fn entry(&self) -> String {
        format!(
            "[[issuers]]\nissuer = '{}'\naudience = '{AUDIENCE}'\nalgorithms = ['RS256', 'ES256']\njwks = '{}'\n",
            self.issuer(),
            self.url()
        )
    }

    /// What a good token of it says.
    pub(super) fn claims(&self, scope: &str) -> Value {
        let expires = now() + 3_600;
        json!({"iss": self.issuer(), "aud": AUDIENCE, "sub": "alice", "exp": expires, "scope": scope})
    }
}

/// A connection that is to stay open.
fn serve(mut stream: TcpStream, behaviour: &Behaviour) -> Option<TcpStream> {
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
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
