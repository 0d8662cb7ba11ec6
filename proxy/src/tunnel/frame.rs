//! What all tunnels share: two directions, their idle timer, and why they end.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    CloseReason, Connection, Keepalive, Settings, Side,
    direction::{Bulk, Direction, Progress},
    idle::{Silence, keep_alive, packets},
};

/// How often a connection is looked at that nobody reads from, because what was read is not taken
/// or because its peer has ended its stream: a RST on it would not be noticed.
const UNREAD_LOOK: Duration = Duration::from_secs(1);

/// The state of a tunnel.
pub(super) struct Relay<'a, U, D> {
    upward: Direction<U>,
    downward: Direction<D>,
    first: Option<Side>,
    last_byte: Instant,
    settings: Settings<'a>,
}

/// Runs a tunnel to its end.
///
/// No `async fn`, which would keep a second copy of its arguments: there is one such future per flow.
pub(super) fn run<C, T, U, D>(
    mut relay: Relay<'_, U, D>,
    client: &mut C,
    target: &mut T,
    terminated: impl Future<Output = ()>,
) -> impl Future<Output = CloseReason>
where
    C: Connection,
    T: Connection,
    U: Bulk<C, T>,
    D: Bulk<T, C>,
{
    let Settings { idle_timeout, keepalive, .. } = relay.settings;
    let mut silence = Silence::new(relay.last_byte, idle_timeout, keepalive);
    async move {
        let mut timer = pin!(tokio::time::sleep_until(silence.due()));
        let mut terminated = pin!(terminated);
        let mut woken = relay.last_byte;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(reason) = relay.poll(cx, client, target) {
                return Poll::Ready(reason);
            }
            if terminated.as_mut().poll(cx).is_ready() {
                return Poll::Ready(CloseReason::Terminated);
            }
            let unread = relay.has_unread::<C, T>();
            if unread {
                let soon = relay.last_byte.max(woken) + UNREAD_LOOK;
                if soon < timer.deadline() {
                    timer.as_mut().reset(soon);
                }
            }
            // The timer is moved only when it fires: activity just leaves its mark.
            while timer.as_mut().poll(cx).is_ready() {
                if let Some(reason) = unread.then(|| broken(client, target)).flatten() {
                    return Poll::Ready(reason);
                }
                woken = Instant::now();
                if woken >= silence.due() && !look(&mut silence, woken, relay.last_byte, client, target) {
                    return Poll::Ready(CloseReason::IdleTimeout);
                }
                let due = silence.due();
                timer.as_mut().reset(if unread { due.min(woken + UNREAD_LOOK) } else { due });
            }
            Poll::Pending
        })
        .await
    }
}

/// Looks whether the silence lasts, and has keepalives answered or no longer; `false`: it has lasted too long.
fn look<C: Connection, T: Connection>(
    silence: &mut Silence,
    now: Instant,
    last_byte: Instant,
    client: &C,
    target: &T,
) -> bool {
    let answered = silence.answers();
    let lasts = silence.look(now, last_byte, || [packets(client.tcp()), packets(target.tcp())]).is_some();
    if silence.answers() != answered {
        keep_alive(client.tcp(), silence.answers());
        keep_alive(target.tcp(), silence.answers());
    }
    lasts
}

/// The error that one of the connections has and that nobody has read from it.
fn broken<C: Connection, T: Connection>(client: &C, target: &T) -> Option<CloseReason> {
    let error = |tcp: Option<&tokio::net::TcpStream>| tcp?.take_error().ok()?;
    let failed = |side| move |error| CloseReason::Failed { side, error };
    error(client.tcp()).map(failed(Side::Client)).or_else(|| error(target.tcp()).map(failed(Side::Target)))
}

impl<'a, U, D> Relay<'a, U, D> {
    pub(super) fn new(upward: Direction<U>, downward: Direction<D>, settings: Settings<'a>) -> Self {
        Self { upward, downward, first: None, last_byte: Instant::now(), settings }
    }

    fn poll<C, T>(&mut self, cx: &mut Context<'_>, client: &mut C, target: &mut T) -> Poll<CloseReason>
    where
        C: Connection,
        T: Connection,
        U: Bulk<C, T>,
        D: Bulk<T, C>,
    {
        let up = self.upward.poll(cx, Pin::new(&mut *client), Pin::new(&mut *target));
        let passed = self.upward.take_passed();
        if let Some(reason) = self.note(up, passed, Side::Client) {
            return Poll::Ready(reason);
        }
        let down = self.downward.poll(cx, Pin::new(target), Pin::new(client));
        let passed = self.downward.take_passed();
        if let Some(reason) = self.note(down, passed, Side::Target) {
            return Poll::Ready(reason);
        }
        match (self.upward.is_done() && self.downward.is_done(), self.first) {
            (true, Some(first)) => Poll::Ready(CloseReason::Closed { first }),
            _ => Poll::Pending,
        }
    }

    /// Whether a connection is not read from at present, on layer 4. A WebSocket's bytes reach the
    /// client first, however slow it is, before it is told that its target has gone.
    fn has_unread<C, T>(&self) -> bool
    where
        U: Bulk<C, T>,
        D: Bulk<T, C>,
    {
        self.settings.keepalive != Keepalive::DoesNotCount
            && !(self.upward.waits_for_reader() && self.downward.waits_for_reader())
    }

    /// Takes in what one direction did. `reader` is the side it reads from.
    fn note(&mut self, progress: Progress, passed: u64, reader: Side) -> Option<CloseReason> {
        if let Some(traffic) = self.settings.traffic.filter(|_| passed > 0) {
            traffic.add(reader, passed);
        }
        let writer = match reader {
            Side::Client => Side::Target,
            Side::Target => Side::Client,
        };
        match progress {
            Progress::Idle if passed == 0 => {}
            Progress::Idle | Progress::Moved => self.last_byte = Instant::now(),
            Progress::Ended => {
                self.last_byte = Instant::now();
                self.first.get_or_insert(reader);
            }
            Progress::ReadFailed(error) => return Some(CloseReason::Failed { side: reader, error }),
            Progress::WriteFailed(error) => return Some(CloseReason::Failed { side: writer, error }),
        }
        None
    }
}
