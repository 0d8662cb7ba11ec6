//! What the two processes of an upgrade say to each other: messages with their
//! length in front (32 bits, big endian), the first byte of which says what they are.

use std::{io, os::unix::net::UnixStream as StdUnixStream, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use super::state::{MalformedState, State};

/// Longest message: 64 MiB. A state has some hundred bytes per target.
const MAX_MESSAGE: u32 = 64 << 20;

/// What the messages are about.
const STATE: u8 = b'S';
const READY: u8 = b'R';
const REFUSED: u8 = b'F';
const GO: u8 = b'G';

/// The two processes of an upgrade could not speak with each other.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other one is gone, or nothing can be sent.
    #[error("the connection between the two processes of the upgrade broke")]
    Broken(#[from] io::Error),
    /// The other one says nothing.
    #[error("the other process of the upgrade did not answer within {0:?}")]
    Silent(Duration),
    /// The other one speaks of something else.
    #[error("the other process of the upgrade sent an unknown message")]
    Unknown,
    /// The other one's state cannot be read.
    #[error("the state handed over cannot be read")]
    State(#[from] MalformedState),
}

/// What the new process answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It serves.
    Ready,
    /// It cannot serve, for this reason.
    Refused(String),
}

/// One end of the connection.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

impl Channel {
    /// Must be called within a Tokio runtime.
    pub(super) fn new(stream: StdUnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(stream)?))
    }

    pub(super) async fn send_state(&mut self, state: &State) -> Result<(), ChannelError> {
        self.send(STATE, &state.to_bytes()).await
    }

    pub(super) async fn send_ready(&mut self) -> Result<(), ChannelError> {
        self.send(READY, b"").await
    }

    pub(super) async fn send_refused(&mut self, why: &str) -> Result<(), ChannelError> {
        self.send(REFUSED, why.as_bytes()).await
    }

    pub(super) async fn send_go(&mut self) -> Result<(), ChannelError> {
        self.send(GO, b"").await
    }

    pub(super) async fn receive_state(&mut self, limit: Duration) -> Result<State, ChannelError> {
        match self.receive(limit).await? {
            (STATE, bytes) => Ok(State::from_bytes(&bytes)?),
            _ => Err(ChannelError::Unknown),
        }
    }

    pub(super) async fn receive_answer(&mut self, limit: Duration) -> Result<Answer, ChannelError> {
        match self.receive(limit).await? {
            (READY, _) => Ok(Answer::Ready),
            (REFUSED, why) => Ok(Answer::Refused(String::from_utf8_lossy(&why).into_owned())),
            _ => Err(ChannelError::Unknown),
        }
    }

    pub(super) async fn receive_go(&mut self, limit: Duration) -> Result<(), ChannelError> {
        match self.receive(limit).await? {
            (GO, _) => Ok(()),
            _ => Err(ChannelError::Unknown),
        }
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> Result<(), ChannelError> {
        let length = u32::try_from(body.len()).ok().filter(|length| *length <= MAX_MESSAGE);
        let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut message = Vec::with_capacity(body.len().saturating_add(5));
        message.extend_from_slice(&length.to_be_bytes());
        message.push(kind);
        message.extend_from_slice(body);
        Ok(self.0.write_all(&message).await?)
    }

    async fn receive(&mut self, limit: Duration) -> Result<(u8, Vec<u8>), ChannelError> {
        timeout(limit, self.read()).await.map_err(|_| ChannelError::Silent(limit))?
    }

    async fn read(&mut self) -> Result<(u8, Vec<u8>), ChannelError> {
        let length = self.0.read_u32().await?;
        let kind = self.0.read_u8().await?;
        if length > MAX_MESSAGE {
            return Err(ChannelError::Unknown);
        }
        let mut body = Vec::new();
        let read = (&mut self.0).take(u64::from(length)).read_to_end(&mut body).await?;
        if u32::try_from(read) != Ok(length) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok((kind, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn pair() -> (Channel, Channel) {
        let (one, two) = StdUnixStream::pair().unwrap();
        (Channel::new(one).unwrap(), Channel::new(two).unwrap())
    }

    #[tokio::test]
    async fn messages_arrive_as_what_they_are() {
        let (mut old, mut new) = pair();
        let state = State::default();
        old.send_state(&state).await.unwrap();
        assert_eq!(new.receive_state(LIMIT).await.unwrap(), state);
        new.send_refused("alb.yaml:3: no").await.unwrap();
        new.send_ready().await.unwrap();
        let refused = Answer::Refused("alb.yaml:3: no".to_owned());
        assert_eq!(old.receive_answer(LIMIT).await.unwrap(), refused);
        assert_eq!(old.receive_answer(LIMIT).await.unwrap(), Answer::Ready);
        old.send_go().await.unwrap();
        new.receive_go(LIMIT).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_says_something_else_or_nothing_is_not_waited_for() {
        let (mut old, mut new) = pair();
        assert!(matches!(old.receive_answer(Duration::from_millis(1)).await, Err(ChannelError::Silent(_))));
        new.send_go().await.unwrap();
        assert!(matches!(old.receive_answer(LIMIT).await, Err(ChannelError::Unknown)));
        new.0.write_all(&[0xFF; 5]).await.unwrap();
        assert!(matches!(old.receive_answer(LIMIT).await, Err(ChannelError::Unknown)));
        new.0.write_all(b"\0\0\0\x04F123").await.unwrap();
        drop(new);
        assert!(matches!(old.receive_answer(LIMIT).await, Err(ChannelError::Broken(_))));
    }
}
