//! Other people's programs before and behind the balancer, as child processes.
//! `scripts/install-peers` installs them where that is allowed; a test that
//! lacks one says so and goes on.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    client::Client,
    log_tools::in_path,
    ports::HeldPort,
    process::Process,
    wait::{SOON, eventually},
};

/// A running peer. Killed when dropped.
#[derive(Debug)]
pub struct Peer {
    _process: Process,
    _ready: HeldPort,
}

impl Peer {
    /// Starts `HAProxy` with these sections of its configuration besides `global` and `defaults`, in which the
    /// mode is `tcp`. It shares held ports by itself. `None` if it is not installed.
    ///
    /// # Errors
    /// When it rejects them or is not ready soon.
    pub async fn haproxy(dir: &Path, sections: &str) -> Result<Option<Self>> {
        let Some(program) = program("haproxy") else {
            return Ok(skipped("HAProxy"));
        };
        let ready = HeldPort::try_new()?;
        let configuration = format!(
            "global\n  nbthread 1\n\
             defaults\n  mode tcp\n  timeout connect 20s\n  timeout client 60s\n  timeout server 60s\n\
             frontend ready\n  mode http\n  bind {}\n  http-request return status 200\n{sections}",
            ready.addr()
        );
        let file = dir.join("haproxy.cfg");
        fs::write(&file, configuration)?;
        Self::start("haproxy", &program, [Path::new("-db"), "-f".as_ref(), &file], dir, ready).await.map(Some)
    }

    /// Starts nginx with these servers in its `http` and `stream` blocks; for held ports they say `reuseport`.
    /// `None` if it is not installed or has no stream module.
    ///
    /// # Errors
    /// When it rejects them or is not ready soon.
    pub async fn nginx(dir: &Path, http: &str, stream: &str) -> Result<Option<Self>> {
        let (Some(program), Some(module)) = (program("nginx"), stream_module()) else {
            return Ok(skipped("nginx with its stream module"));
        };
        let ready = HeldPort::try_new()?;
        let own = dir.display();
        // Without a master process, killing it leaves no workers behind.
        let configuration = format!(
            "load_module {};\ndaemon off;\nmaster_process off;\npid {own}/nginx.pid;\nerror_log stderr;\n\
             events {{}}\n\
             http {{\n  access_log off;\n  default_type text/plain;\n  client_body_temp_path {own}/nginx-body;\n  \
             proxy_temp_path {own}/nginx-proxy;\n  fastcgi_temp_path {own}/nginx-fastcgi;\n  \
             uwsgi_temp_path {own}/nginx-uwsgi;\n  scgi_temp_path {own}/nginx-scgi;\n  \
             server {{ listen {} reuseport; return 200; }}\n{http}}}\n\
             stream {{\n{stream}}}\n",
            module.display(),
            ready.addr()
        );
        let file = dir.join("nginx.conf");
        fs::write(&file, configuration)?;
        let arguments = [Path::new("-e"), "stderr".as_ref(), "-p".as_ref(), dir, "-c".as_ref(), &file];
        Self::start("nginx", &program, arguments, dir, ready).await.map(Some)
    }

    /// Waits until a port of its own answers: a look at the others could be a flow.
    async fn start<const N: usize>(
        name: &str,
        program: &Path,
        arguments: [&Path; N],
        dir: &Path,
        ready: HeldPort,
    ) -> Result<Self> {
        let mut process = Process::spawn(name, program, arguments, dir)?;
        let addr = ready.addr();
        let answered = eventually(SOON, &format!("answer of {name}"), || async {
            ensure!(Client::connect(addr).await?.get("/").await?.status == 200);
            Ok(())
        })
        .await;
        process.still_running()?;
        answered.map(|()| Self { _process: process, _ready: ready })
    }
}

/// A server that a script of Node.js or Python is. Killed when dropped.
#[derive(Debug)]
pub struct Scripted {
    _process: Process,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Scripted {
    /// Runs `script` with `interpreter`, such as `node`. It listens on a port of 127.0.0.1 that it is given by
    /// the system, and prints the number. `None` if the interpreter is not installed.
    ///
    /// # Errors
    /// When it ends or prints no number soon.
    pub async fn start(dir: &Path, interpreter: &'static str, script: &str) -> Result<Option<Self>> {
        let Some(program) = program(interpreter) else {
            return Ok(skipped(interpreter));
        };
        let file = dir.join(format!("{interpreter}.script"));
        fs::write(&file, script)?;
        let process = Process::spawn(interpreter, &program, [&file], dir)?;
        let port = eventually(SOON, &format!("the port of {interpreter}"), || async {
            let printed = process.stdout();
            let line = printed.split_once('\n').context("nothing printed")?.0;
            line.trim().parse::<u16>().context("not a port")
        })
        .await?;
        Ok(Some(Self { _process: process, addr: SocketAddr::from(([127, 0, 0, 1], port)) }))
    }
}

/// Where a program is; users other than root seldom have `/usr/sbin` in their path.
fn program(name: &str) -> Option<PathBuf> {
    in_path(name).or_else(|| Some(Path::new("/usr/sbin").join(name)).filter(|file| file.is_file()))
}

fn stream_module() -> Option<PathBuf> {
    let directories = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];
    let files = directories.map(|directory| Path::new(directory).join("ngx_stream_module.so"));
    files.into_iter().find(|file| file.is_file())
}

/// Where curl is. `None` if it is not installed.
#[must_use]
pub fn curl() -> Option<PathBuf> {
    program("curl").or_else(|| skipped("curl"))
}

#[expect(clippy::print_stderr, reason = "test runners show it on request")]
fn skipped<T>(peer: &str) -> Option<T> {
    eprintln!("SKIPPED what {peer} sends or sees: it is not installed (scripts/install-peers)");
    None
}
