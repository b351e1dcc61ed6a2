//! Single requests, where speed does not matter.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::load::parse_head;
use crate::request;

const READ_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT_BYTES: usize = 1024 * 1024;

/// What `GET /ready` says, whether it is a yes or a no.
pub(crate) fn ready(address: SocketAddr) -> Result<Value> {
    let (_, body) = get(address, "/ready")?;
    serde_json::from_str(&body).with_context(|| format!("read {body:?}"))
}

/// Asks for a path on a new connection; the answer's status and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    ask(address, &request::get(path))
}

/// The same as the caller who has this key.
pub(crate) fn get_with_key(address: SocketAddr, path: &str, key: &str) -> Result<(u16, String)> {
    ask(address, &request::get_with(path, &request::authorization(key)))
}

fn ask(address: SocketAddr, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while answer.len() < ANSWER_LIMIT_BYTES {
        if let Some(head) = parse_head(&answer)?
            && answer.len() >= head.answer_bytes()
        {
            let body = &answer[head.head_bytes..head.answer_bytes()];
            return Ok((head.status, String::from_utf8_lossy(body).into_owned()));
        }
        match stream.read(&mut buffer).context("read an answer")? {
            0 => bail!("the server closed the connection"),
            read_bytes => answer.extend_from_slice(&buffer[..read_bytes]),
        }
    }
    bail!("an answer of more than {ANSWER_LIMIT_BYTES} bytes")
}
