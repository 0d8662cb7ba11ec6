//! One connection of a scripted target: reads requests, runs the steps.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Result, ensure};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Reads, Request, Shared, Step, response};

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection until its end; a failing peer ends it too.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut connection = Connection { stream, buffer: Vec::new(), index: None, served: 0 };
    while let Ok(Some(request)) = connection.read_request(&shared).await {
        if !matches!(connection.answer(request, &shared).await, Ok(true)) {
            break;
        }
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Number of the connection, given with its first request that is no health check.
    index: Option<usize>,
    served: usize,
}

impl Connection {
    async fn fill(&mut self) -> Result<usize> {
        Ok(self.stream.read_buf(&mut self.buffer).await?)
    }

    /// The next request, or `None` at the end of the stream.
    async fn read_request(&mut self, shared: &Shared) -> Result<Option<Request>> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut request = Request { head, body: Vec::new(), connection: 0, number: self.served };
        if shared.reads == Reads::Requests {
            request.body = self.read_body(&request).await?;
        }
        if !is_health_check(&request) {
            let index = *self.index.get_or_insert_with(|| shared.connections.fetch_add(1, Ordering::Relaxed));
            request.connection = index;
            self.served += 1;
        }
        Ok(Some(request))
    }

    async fn read_body(&mut self, request: &Request) -> Result<Vec<u8>> {
        if let Some(length) = request.headers("content-length").first() {
            return self.take(length.parse()?).await;
        }
        let mut body = Vec::new();
        if !request.headers("transfer-encoding").is_empty() {
            loop {
                let size = self.take_line().await?;
                let size = usize::from_str_radix(size.trim(), 16)?;
                body.extend(self.take(size).await?);
                self.take_line().await?;
                if size == 0 {
                    break;
                }
            }
        }
        Ok(body)
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            ensure!(self.fill().await? > 0, "the request ends early");
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn take_line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            ensure!(self.fill().await? > 0, "the request ends early");
        }
    }

    /// Answers one request; whether the connection goes on.
    async fn answer(&mut self, request: Request, shared: &Shared) -> Result<bool> {
        if is_health_check(&request) {
            shared.health_checks.send_modify(|checks| checks.push(request.head));
            if shared.health_silent.load(Ordering::Relaxed) {
                self.collect(shared, Echo::Off).await?;
                return Ok(false);
            }
            let status = shared.health_status.load(Ordering::Relaxed);
            self.stream.write_all(&response(&format!("{status} Scripted"), &[], "")).await?;
            return Ok(true);
        }
        let steps = (shared.script)(&request);
        shared.requests.send_modify(|requests| requests.push(request));
        for step in steps {
            match step {
                Step::Send(bytes) => self.stream.write_all(&bytes).await?,
                Step::Pause(time) => tokio::time::sleep(time).await,
                Step::Await(gate) => gate.wait().await,
                Step::LimitSendBuffer(bytes) => SockRef::from(&self.stream).set_send_buffer_size(bytes)?,
                Step::FinishWriting => self.stream.shutdown().await?,
                Step::Relay => self.tunnel(shared, Echo::On).await?,
                Step::Collect => self.tunnel(shared, Echo::Off).await?,
                Step::Close => return Ok(false),
                Step::Reset => {
                    SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn tunnel(&mut self, shared: &Shared, echo: Echo) -> Result<()> {
        let result = self.collect(shared, echo).await;
        shared.tunnelled.send_modify(|tunnelled| tunnelled.ended += 1);
        result
    }

    async fn collect(&mut self, shared: &Shared, echo: Echo) -> Result<()> {
        loop {
            let bytes = std::mem::take(&mut self.buffer);
            if matches!(echo, Echo::On) {
                self.stream.write_all(&bytes).await?;
            }
            shared.tunnelled.send_modify(|tunnelled| tunnelled.bytes.extend(bytes));
            if self.fill().await? == 0 {
                return Ok(());
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Echo {
    On,
    Off,
}

fn is_health_check(request: &Request) -> bool {
    request.headers("user-agent").iter().any(|agent| agent.starts_with("ELB-HealthChecker/"))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
