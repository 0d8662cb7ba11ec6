//! Both ends of flows through a network load balancer, as bare TCP connections
//! in the hands of the test.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::{
    Albeit,
    access_log::{Log, Record},
    config::{Config, Group},
    ports::HeldPort,
    wait::{SOON, eventually, within},
};

/// A target whose connections the test accepts itself. Health checks go to a port of their own, so
/// that every connection is a flow.
#[derive(Debug)]
pub struct FlowTarget {
    port: HeldPort,
    listener: TcpListener,
    health: HeldPort,
    _tasks: JoinSet<()>,
}

impl FlowTarget {
    /// Starts a target on 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        Self::start_on([127, 0, 0, 1].into())
    }

    /// Starts a target on another loopback address.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start_on(ip: IpAddr) -> Result<Self> {
        let (port, health) = (HeldPort::on(ip)?, HeldPort::on(ip)?);
        let mut tasks = JoinSet::new();
        let checked = health.listen()?;
        tasks.spawn(async move { while checked.accept().await.is_ok() {} });
        Ok(Self { listener: port.listen()?, port, health, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// A group of protocol TCP with this target alone.
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        Group::tcp(name, &[self.addr()]).with_health("port", self.health.port().to_string())
    }

    /// A network load balancer with one TCP listener in front of this target.
    ///
    /// # Errors
    /// When no directory or port can be had.
    pub fn network(&self) -> Result<Config> {
        Ok(Config::network(&[])?.map_group(|_| self.group("flows")))
    }

    /// The next flow.
    ///
    /// # Errors
    /// When none comes soon.
    pub async fn accept(&self) -> Result<TcpStream> {
        let (stream, _) = within(SOON, "a flow at the target", self.listener.accept()).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A flow through the listener at `index`: the client's end and the target's.
    ///
    /// # Errors
    /// When it does not begin soon.
    pub async fn flow_through(&self, albeit: &Albeit, index: usize) -> Result<(TcpStream, TcpStream)> {
        let client = connect(albeit.listener(index)?).await?;
        Ok((client, self.accept().await?))
    }

    /// A flow through the first listener.
    ///
    /// # Errors
    /// When it does not begin soon.
    pub async fn flow(&self, albeit: &Albeit) -> Result<(TcpStream, TcpStream)> {
        self.flow_through(albeit, 0).await
    }
}

/// A target that says its name to everyone who connects, and closes.
#[derive(Debug)]
pub struct Greeter {
    port: HeldPort,
    _tasks: JoinSet<()>,
}

impl Greeter {
    /// Starts it.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(name: &'static str) -> Result<Self> {
        let port = HeldPort::try_new()?;
        let (mut tasks, listener) = (JoinSet::new(), port.listen()?);
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // A health check may have gone meanwhile.
                drop(stream.write_all(name.as_bytes()).await);
            }
        });
        Ok(Self { port, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }
}

/// Connects to `addr`.
///
/// # Errors
/// When the connection is refused.
pub async fn connect(addr: SocketAddr) -> Result<TcpStream> {
    let stream = within(SOON, "connect", TcpStream::connect(addr)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects to `addr` from another loopback address.
///
/// # Errors
/// When the connection is refused.
pub async fn connect_from(source: impl Into<IpAddr>, addr: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source.into(), 0))?;
    let stream = within(SOON, "connect", socket.connect(addr)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads exactly the bytes `expected`.
///
/// # Errors
/// When others come, or not all of them soon.
pub async fn expect(stream: &mut TcpStream, expected: &[u8]) -> Result<()> {
    let mut got = vec![0; expected.len()];
    within(SOON, "bytes", stream.read_exact(&mut got)).await??;
    ensure!(got == expected, "{:?} came", String::from_utf8_lossy(&got));
    Ok(())
}

/// Reads to the peer's FIN: what came before.
///
/// # Errors
/// When the connection is reset or does not end soon.
pub async fn to_end(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    within(SOON, "end of the stream", stream.read_to_end(&mut bytes)).await??;
    Ok(bytes)
}

/// Sends `bytes` and reads exactly them at the other end.
///
/// # Errors
/// When they do not come soon as they are.
pub async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    from.write_all(bytes).await?;
    expect(to, bytes).await
}

/// Waits until the peer resets the connection.
///
/// # Errors
/// When it ends otherwise, bytes come, or nothing happens soon.
pub async fn expect_reset(stream: &mut TcpStream) -> Result<()> {
    let mut byte = [0];
    match within(SOON, "a reset", stream.read(&mut byte)).await? {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        other => bail!("{other:?} instead of a reset"),
    }
}

/// Connects to `addr`, only to be reset.
///
/// # Errors
/// When the connection ends otherwise or goes on.
pub async fn expect_refusal(addr: SocketAddr) -> Result<()> {
    // The reset may come before the program learns that it is connected.
    match within(SOON, "connect", TcpStream::connect(addr)).await? {
        Ok(mut stream) => expect_reset(&mut stream).await,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Watches that nothing comes for `time`: no byte, no end, no reset.
///
/// # Errors
/// When something does.
pub async fn expect_silence(stream: &mut TcpStream, time: Duration) -> Result<()> {
    let mut byte = [0];
    match tokio::time::timeout(time, stream.read(&mut byte)).await {
        Err(_) => Ok(()),
        Ok(other) => bail!("{other:?} instead of silence"),
    }
}

/// Closes with a RST.
///
/// # Errors
/// When the system refuses.
pub fn reset(stream: TcpStream) -> Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

/// Waits until a log of `albeit` has exactly `count` records.
///
/// # Errors
/// When there are fewer or more after a while.
pub async fn records(albeit: &Albeit, log: Log, count: usize) -> Result<Vec<Record>> {
    eventually(SOON, &format!("{count} records"), || async {
        let records = albeit.log(log)?;
        ensure!(records.len() == count, "{} records: {records:?}", records.len());
        Ok(records)
    })
    .await
}

/// Waits for the only record of the flow log.
///
/// # Errors
/// When there is none soon, or more than one.
pub async fn only_flow(albeit: &Albeit) -> Result<Record> {
    records(albeit, Log::Flow, 1).await?.pop().context("no record")
}

/// Waits until a metric, by its `CloudWatch` name, has `value`.
///
/// # Errors
/// When it has not soon.
pub async fn metric(albeit: &Albeit, name: &str, value: f64) -> Result<()> {
    eventually(SOON, name, || async {
        let seen = albeit.metrics().await?.network_cloudwatch(name)?;
        // Counted in ones.
        ensure!((seen - value).abs() < 0.5, "{name} is {seen}, not {value}");
        Ok(())
    })
    .await
}
