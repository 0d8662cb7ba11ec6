//! What a peer does when a client ends its side of the connection after a request.
//!
//! RFC 9112 section 9.6: a client may close its sending side. Some servers and
//! balancers take that for the end of the client and answer nothing (an
//! application load balancer logs 460).

use std::{fmt, time::Duration};

use super::{Ending, Unmeasured, connection::Dialer, timing::Seconds};

/// How a peer takes a half-close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HalfClose {
    /// It answers with this status all the same.
    Answered(u16),
    /// It ends the connection without an answer.
    Ended(Ending),
    /// It did neither in this time.
    Silent(Duration),
}

impl fmt::Display for HalfClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "still answers ({status})"),
            Self::Ended(ending) => write!(f, "closes without an answer ({ending})"),
            Self::Silent(time) => write!(f, "no answer within {}", Seconds(*time)),
        }
    }
}

/// Measures it.
pub(super) async fn measure(dialer: &Dialer<'_>) -> Result<HalfClose, Unmeasured> {
    let mut connection = dialer.connect().await?;
    let sent = async {
        connection.send(dialer.get("").as_bytes()).await?;
        connection.finish().await
    };
    if let Err(ending) = sent.await {
        return Ok(HalfClose::Ended(ending));
    }
    match connection.answer(dialer.budget).await {
        Ok(answer) => Ok(HalfClose::Answered(answer.status)),
        Err(Unmeasured::ClosedEarly(ending)) => Ok(HalfClose::Ended(ending)),
        Err(Unmeasured::NoAnswer(time)) => Ok(HalfClose::Silent(time)),
        Err(other) => Err(other),
    }
}
