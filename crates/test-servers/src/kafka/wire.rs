//! The two requests that this crate itself makes: a client library would be much to build for that.
//!
//! <https://kafka.apache.org/protocol>: numbers are big-endian, strings and lists have their length before them.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};

use crate::http::connect;

/// The versions are the last ones in which lengths have a fixed width.
const METADATA: (i16, i16) = (3, 4);
const CREATE_TOPICS: (i16, i16) = (19, 4);

/// How long the servers may take to create a topic.
const CREATE_LIMIT_MILLISECONDS: i32 = 30_000;

/// More than any answer has: what stands on the port may be no Kafka.
const LARGEST_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What a server knows of its cluster.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) cluster: String,
    /// The servers that serve clients, by their number.
    pub(super) servers: Vec<i32>,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) topic: String,
    pub(super) number: i32,
    /// Negative if there is none.
    pub(super) leader: i32,
    pub(super) replicas: Vec<i32>,
    /// Those that have caught up.
    pub(super) in_sync: Vec<i32>,
}

pub(super) fn metadata(port: u16) -> Result<Metadata> {
    // All topics; none is created.
    let body = [&(-1_i32).to_be_bytes()[..], &[0]].concat();
    let answer = ask(port, METADATA, &body)?;
    let mut fields = Fields(&answer);
    let _throttled_milliseconds = fields.i32()?;
    let servers = fields.list(|fields| {
        let server = fields.i32()?;
        let (_host, _port, _rack) = (fields.string()?, fields.i32()?, fields.string()?);
        Ok(server)
    })?;
    let (cluster, _controller) = (fields.string()?, fields.i32()?);
    let topics = fields.list(|fields| {
        let _error = fields.i16()?;
        let topic = fields.string()?;
        let _is_internal = fields.bytes::<1>()?;
        fields.list(|fields| partition(fields, &topic))
    })?;
    Ok(Metadata { cluster, servers, partitions: topics.into_iter().flatten().collect() })
}

/// As many replicas as are usual on that server.
pub(super) fn create_topic(port: u16, topic: &str, partitions: i32) -> Result<()> {
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.extend(string(topic)?);
    body.extend(partitions.to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    // No assignments of replicas, no settings.
    body.extend([0; 8]);
    body.extend(CREATE_LIMIT_MILLISECONDS.to_be_bytes());
    // Not only to see whether it would do.
    body.push(0);
    let answer = ask(port, CREATE_TOPICS, &body)?;
    let mut fields = Fields(&answer);
    let _throttled_milliseconds = fields.i32()?;
    let errors = fields.list(|fields| {
        let _topic = fields.string()?;
        Ok((fields.i16()?, fields.string()?))
    })?;
    match errors.as_slice() {
        [(0, _)] => Ok(()),
        errors => bail!("create the topic {topic}: {errors:?}"),
    }
}

fn partition(fields: &mut Fields<'_>, topic: &str) -> Result<Partition> {
    let _error = fields.i16()?;
    Ok(Partition {
        topic: topic.to_owned(),
        number: fields.i32()?,
        leader: fields.i32()?,
        replicas: fields.list(Fields::i32)?,
        in_sync: fields.list(Fields::i32)?,
    })
}

fn ask(port: u16, (request, version): (i16, i16), body: &[u8]) -> Result<Vec<u8>> {
    let number = 1_i32.to_be_bytes();
    let head = [&request.to_be_bytes()[..], &version.to_be_bytes(), &number, &string("test")?].concat();
    let length = i32::try_from(head.len() + body.len())?.to_be_bytes();
    let mut stream = connect(port)?;
    stream.write_all(&[&length[..], &head, body].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length))?;
    ensure!((4..=LARGEST_ANSWER_BYTES).contains(&length), "an answer of {length} bytes");
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    ensure!(answer.starts_with(&number), "the answer is to another request");
    Ok(answer.split_off(number.len()))
}

fn string(text: &str) -> Result<Vec<u8>> {
    Ok([&i16::try_from(text.len())?.to_be_bytes()[..], text.as_bytes()].concat())
}

/// The fields of an answer that are still to be read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.bytes()?))
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.bytes()?))
    }

    /// Empty if there is none.
    fn string(&mut self) -> Result<String> {
        let length = usize::try_from(self.i16()?).unwrap_or_default();
        let (text, rest) = self.0.split_at_checked(length).context("the answer is cut short")?;
        self.0 = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        (0..self.i32()?).map(|_| item(self)).collect()
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (&bytes, rest) = self.0.split_first_chunk().context("the answer is cut short")?;
        self.0 = rest;
        Ok(bytes)
    }
}
