//! What each frame of a client does.

use std::borrow::Cow;

use bytes::Bytes;
use tokio::time::Duration;

use super::acknowledgement::{AckMode, Reference, Verdict};
use super::transactions::Work;
use super::{Ending, Output, Phase, Session};
use crate::stomp::frame::{Command, Frame, Headers, Version};
use crate::stomp::heart_beat;

/// Longest id of a subscription, in bytes: it is kept, and written in each
/// delivery.
const SUBSCRIPTION_ID_LIMIT: usize = 256;

/// What is wrong with a frame, for the `message` header of the ERROR.
type Fault = Cow<'static, str>;

impl Session {
    pub(super) fn handle_frame(&mut self, frame: Frame) {
        let receipt = frame.headers.value("receipt").map(str::to_owned);
        if let Err(fault) = self.try_handle(frame, receipt.clone()) {
            self.refuse_frame(&fault, receipt.as_deref());
        }
    }

    fn try_handle(&mut self, frame: Frame, receipt: Option<String>) -> Result<(), Fault> {
        let opening = matches!(self.phase, Phase::Opening(_));
        match frame.command {
            Command::Connect | Command::Stomp if opening => self.connect(frame.headers),
            Command::Connect | Command::Stomp => Err("already connected".into()),
            Command::Connected | Command::Message | Command::Receipt | Command::Error => {
                Err(format!("{} is sent by servers only", frame.command).into())
            }
            command if opening => Err(format!("{command} before CONNECT").into()),
            Command::Send => self.send(frame, receipt),
            Command::Subscribe => self.subscribe(frame.headers, receipt),
            Command::Unsubscribe => self.unsubscribe(&frame.headers, receipt),
            Command::Ack => self.settle(Verdict::Ack, &frame, receipt),
            Command::Nack if self.version == Version::V1_0 => Err("NACK is of STOMP 1.1".into()),
            Command::Nack => self.settle(Verdict::Nack, &frame, receipt),
            Command::Begin => self.begin(&frame.headers, receipt.as_deref()),
            Command::Commit => self.commit(&frame.headers, receipt),
            Command::Abort => self.abort(&frame.headers, receipt.as_deref()),
            Command::Disconnect => {
                self.write_receipt(receipt.as_deref());
                self.end(Ending::Disconnect);
                Ok(())
            }
        }
    }

    fn connect(&mut self, headers: Headers) -> Result<(), Fault> {
        let Some(version) = Version::negotiate(headers.value("accept-version")) else {
            let explanation = format!("Supported protocol versions are {}", Version::SUPPORTED);
            let mut error = Frame::new(
                Command::Error,
                [("message", "no common version"), ("version", Version::SUPPORTED)],
            );
            error.headers.push("content-type", "text/plain");
            error.body = explanation.into();
            self.write(&error);
            self.end(Ending::ProtocolError);
            return Ok(());
        };
        let client = match headers.value("heart-beat").map(heart_beat::parse) {
            None => (Duration::ZERO, Duration::ZERO),
            Some(Some(intervals)) => intervals,
            Some(None) => return Err("malformed heart-beat header".into()),
        };
        self.version = version;
        self.decoder.set_version(version);
        self.phase = Phase::Connecting { heart_beat: client };
        self.process(Output::Connect(headers), None);
        Ok(())
    }

    fn send(&mut self, frame: Frame, receipt: Option<String>) -> Result<(), Fault> {
        if frame.headers.value("destination").is_none_or(str::is_empty) {
            return Err("SEND without a destination".into());
        }
        let Some(name) = frame.headers.value("transaction").map(str::to_owned) else {
            self.process(Output::Send(frame), receipt);
            return Ok(());
        };
        let header = |(name, value): (&str, &str)| name.len() + value.len() + size_of::<(String, String)>();
        let size = frame.body.len() + frame.headers.iter().map(header).sum::<usize>();
        // A copy: the body's memory may be shared with all that came with it.
        let frame = Frame { body: Bytes::copy_from_slice(&frame.body), ..frame };
        self.keep(&name, Work { output: Some(Output::Send(frame)), receipt, size })
    }

    fn subscribe(&mut self, headers: Headers, receipt: Option<String>) -> Result<(), Fault> {
        let destination = headers.value("destination").filter(|text| !text.is_empty());
        let destination = destination.ok_or("SUBSCRIBE without a destination")?;
        let id = headers.value("id");
        if id.is_none() && self.version > Version::V1_0 {
            return Err("SUBSCRIBE without an id".into());
        }
        let ack = AckMode::parse(headers.value("ack"))
            .ok_or("ack is none of auto, client and client-individual")?;
        if id.is_some_and(|id| id.len() > SUBSCRIPTION_ID_LIMIT) {
            return Err("subscription id is too long".into());
        }
        let key = id.unwrap_or(destination);
        if self.subscriptions.contains(key) {
            return Err("subscription id is in use".into());
        }
        if self.subscriptions.len() >= self.settings.subscription_limit {
            return Err("too many subscriptions".into());
        }
        self.subscriptions.insert(key.into());
        let (id, destination) = (id.map(str::to_owned), destination.to_owned());
        self.process(Output::Subscribe { id, destination, ack, headers }, receipt);
        Ok(())
    }

    fn unsubscribe(&mut self, headers: &Headers, receipt: Option<String>) -> Result<(), Fault> {
        let key = match (headers.value("id"), self.version) {
            (None, Version::V1_0) => headers.value("destination"),
            (id, _) => id,
        };
        let key = key.ok_or("UNSUBSCRIBE without an id")?;
        // Unsubscribing twice does no harm; the owner knows no such key then.
        self.subscriptions.remove(key);
        self.process(Output::Unsubscribe(key.to_owned()), receipt);
        Ok(())
    }

    fn settle(&mut self, verdict: Verdict, frame: &Frame, receipt: Option<String>) -> Result<(), Fault> {
        let reference = Reference::parse(self.version, &frame.headers)
            .map_err(|missing| format!("{} without {missing}", frame.command))?;
        let size = reference.len();
        let output = Output::Settle(verdict, reference);
        match frame.headers.value("transaction") {
            None => {
                self.process(output, receipt);
                Ok(())
            }
            Some(name) => self.keep(name, Work { output: Some(output), receipt, size }),
        }
    }

    fn begin(&mut self, headers: &Headers, receipt: Option<&str>) -> Result<(), Fault> {
        let name = transaction(Command::Begin, headers)?;
        self.transactions.get_or_insert_default().begin(name).map_err(|error| error.to_string())?;
        self.write_receipt(receipt);
        Ok(())
    }

    fn commit(&mut self, headers: &Headers, receipt: Option<String>) -> Result<(), Fault> {
        let name = transaction(Command::Commit, headers)?;
        let commit = Work { output: None, receipt, size: 0 };
        let transactions = self.transactions.get_or_insert_default();
        transactions.commit(name, commit).map_err(|error| error.to_string().into())
    }

    fn abort(&mut self, headers: &Headers, receipt: Option<&str>) -> Result<(), Fault> {
        let name = transaction(Command::Abort, headers)?;
        self.transactions.get_or_insert_default().abort(name).map_err(|error| error.to_string())?;
        self.write_receipt(receipt);
        Ok(())
    }

    /// Keeps a frame, and its receipt, for the COMMIT.
    fn keep(&mut self, name: &str, work: Work) -> Result<(), Fault> {
        let work = Work { size: work.size + work.receipt.as_ref().map_or(0, String::len), ..work };
        let limit = self.settings.transaction_size_limit;
        let transactions = self.transactions.get_or_insert_default();
        transactions.add(name, work, limit).map_err(|error| error.to_string().into())
    }

    /// What a COMMIT has left to do.
    pub(super) fn next_committed(&mut self) -> Option<Work> {
        let work = self.transactions.as_mut()?.next_committed();
        self.transactions.take_if(|transactions| transactions.is_empty());
        work
    }

    pub(super) fn perform(&mut self, work: Work) {
        match work.output {
            Some(output) => self.process(output, work.receipt),
            None => self.write_receipt(work.receipt.as_deref()),
        }
    }
}

/// The transaction that a frame names.
fn transaction(command: Command, headers: &Headers) -> Result<&str, Fault> {
    let name = headers.value("transaction").filter(|name| !name.is_empty());
    name.ok_or_else(|| format!("{command} without a transaction").into())
}
