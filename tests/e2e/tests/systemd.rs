//! What systemd does with the balancer: sockets that are open before it starts, what it is told, and its unit files.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::unix::net::UnixDatagram as StdUnixDatagram,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use albeit_e2e::{
    Albeit, Client, Config, Generations, Group, Listener, Target,
    albeit::binary,
    eventually, forward,
    generations::signal,
    process,
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use tokio::{net::UnixDatagram, time::timeout};

const ACTIVATE: &str = "/usr/bin/systemd-socket-activate";

/// Whether there is a tool of systemd's; says what is skipped if there is none.
fn is_there(tool: &Path) -> bool {
    let is_there = tool.is_file();
    if !is_there {
        eprintln!("SKIPPED what systemd does: {} is missing (the package systemd)", tool.display());
    }
    is_there
}

/// An address that no other test has: its port is held on another one.
fn address(config: &Config, last: u8) -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    SocketAddr::new(Ipv4Addr::new(127, 64 | (high >> 2), low, last).into(), config.admin.port())
}

/// One HTTP listener at this address.
fn listening_at(config: Config, address: SocketAddr) -> Result<Config> {
    let listener = Listener::http(forward("web"))?;
    let listener = listener.with("address", address.ip().to_string()).with("port", address.port());
    Ok(config.with_listener(listener))
}

/// The balancer as systemd starts it: with sockets at these addresses, at the first connection.
fn activated(config: Config, datagram: bool, addresses: &[SocketAddr]) -> Result<Albeit> {
    let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let mut args: Vec<&str> = addresses.iter().flat_map(|address| ["-l", address]).collect();
    if datagram {
        args.push("--datagram");
    }
    args.push("--fdname=web.socket");
    let binary = binary()?;
    args.push(binary.to_str().context("not UTF-8")?);
    Albeit::spawn(config, (Path::new(ACTIVATE), &args), &[], &[])
}

/// Waits until the log has `text`.
async fn logged(albeit: &Albeit, text: &str) -> Result<()> {
    eventually(SOON, &format!("\"{text}\" in the log"), || async {
        let log = albeit.process.stderr();
        ensure!(log.contains(text), "{log}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_listener_takes_the_socket_that_systemd_has_opened() -> Result<()> {
    if !is_there(Path::new(ACTIVATE)) {
        return Ok(());
    }
    let target = Target::saying("activated")?;
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()]));
    let (ours, nobodys) = (address(&config, 1), address(&config, 2));
    let albeit = activated(listening_at(config, ours)?, false, &[nobodys, ours])?;
    // Connecting starts it. The connection waits in the socket's queue and is served.
    let mut client = eventually(SOON, "a socket", || Client::connect(ours)).await?;
    assert_eq!(client.get("/").await?.text(), "activated");
    logged(&albeit, &format!("socket inherited address={ours} name=descriptor 4")).await?;
    let closed = "inherited socket closed: no listener is configured for its address";
    logged(&albeit, &format!("{closed} address={nobodys} name=descriptor 3")).await
}

#[tokio::test]
async fn a_socket_that_is_not_tcp_is_refused_by_name() -> Result<()> {
    if !is_there(Path::new(ACTIVATE)) {
        return Ok(());
    }
    let config = Config::try_new()?.with_group(Group::new("web", &[]));
    let ours = address(&config, 3);
    let mut albeit = activated(listening_at(config, ours)?, true, &[ours])?;
    logged(&albeit, "Listening on").await?;
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"start", ours)?;
    assert_eq!(albeit.process.exited(SOON).await?.code(), Some(1));
    let log = albeit.process.stderr();
    assert!(
        log.contains("descriptor 3 (\"web.socket\") that the process was started with is no TCP socket"),
        "{log}"
    );
    Ok(())
}

/// The service manager's end of `NOTIFY_SOCKET`.
struct Notices(UnixDatagram);

impl Notices {
    fn at(path: &Path) -> Result<Self> {
        let socket = StdUnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self(UnixDatagram::from_std(socket)?))
    }

    /// The next message, those to the watchdog left out.
    async fn next(&self) -> Result<String> {
        loop {
            let text = within(SOON, "a message to systemd", self.any()).await??;
            if text != "WATCHDOG=1\n" {
                return Ok(text);
            }
        }
    }

    async fn any(&self) -> Result<String> {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).await?;
        Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
    }

    /// Checks the next message but for its numbers; the message.
    async fn expect(&self, expected: &str) -> Result<String> {
        let text = self.next().await?;
        let without = |line: &str| match line.split_once('=') {
            Some((key @ ("MONOTONIC_USEC" | "MAINPID"), _)) => key.to_owned(),
            _ => line.to_owned(),
        };
        let shown: Vec<String> = text.lines().map(without).collect();
        ensure!(shown.join(" ") == expected, "{text:?} instead of {expected:?}");
        Ok(text)
    }
}

#[tokio::test]
async fn systemd_is_told_of_each_step_in_order() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let socket = config.dir().join("notify");
    let notices = Notices::at(&socket)?;
    let environment = [("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", PathBuf::from("600000"))];
    let mut generations = Generations::start_from(&binary()?, config, &environment).await?;
    notices.expect("READY=1 STATUS=Serving").await?;

    generations.albeit.process.signal("HUP").await?;
    notices.expect("RELOADING=1 MONOTONIC_USEC STATUS=Reloading").await?;
    notices.expect("READY=1 STATUS=Serving").await?;

    let before = generations.current()?;
    let pid = generations.upgrade().await?;
    notices.expect("STATUS=Starting the program again").await?;
    assert_eq!(notices.expect("MAINPID").await?, format!("MAINPID={pid}\n"));
    // The new process speaks only once systemd listens to it.
    notices.expect("READY=1 STATUS=Serving").await?;
    generations.ended(before).await?;
    // Whoever is watched is the new one.
    eventually(SOON, "food for the watchdog", || async {
        let food = timeout(Duration::from_secs(5), notices.any()).await??;
        ensure!(food == "WATCHDOG=1\n", "{food}");
        Ok(())
    })
    .await?;

    signal(pid, "TERM").await?;
    notices.expect("STOPPING=1 STATUS=Draining").await?;
    generations.ended(pid).await
}

/// The unit files that are for production.
fn units() -> Result<PathBuf> {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/systemd");
    units.canonicalize().context("conf/systemd")
}

#[test]
fn the_unit_files_are_valid_and_let_the_service_do_little() -> Result<()> {
    let analyze = Path::new("/usr/bin/systemd-analyze");
    if !is_there(analyze) {
        return Ok(());
    }
    // The program is where the units say only where it is installed.
    let dir = tempfile::tempdir()?;
    for name in ["albeit.service", "albeit.socket"] {
        let text = std::fs::read_to_string(units()?.join(name))?;
        let text = text.replace("/usr/local/bin/albeit", binary()?.to_str().context("not UTF-8")?);
        std::fs::write(dir.path().join(name), text)?;
    }
    let run = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(analyze);
        let files = ["albeit.service", "albeit.socket"].map(|name| dir.path().join(name));
        let files = if arguments[0] == "verify" { &files[..] } else { &files[..1] };
        let output = command.args(arguments).args(files).output()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success(), "{arguments:?}: {text}");
        Ok(text)
    };
    let verified = run(&["verify", "--man=no"])?;
    let ours: Vec<&str> = verified.lines().filter(|line| line.contains("albeit")).collect();
    assert!(ours.is_empty(), "{verified}");
    // Of 0 to 100, in tenths of what it shows; it fails when it is more.
    let security = run(&["security", "--offline=true", "--threshold=20", "--no-pager"])?;
    assert!(security.contains("Overall exposure level"), "{security}");
    Ok(())
}

#[tokio::test]
async fn the_unit_starts_the_program_with_arguments_that_it_knows() -> Result<()> {
    let unit = std::fs::read_to_string(units()?.join("albeit.service"))?;
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).context("no ExecStart")?;
    let arguments: Vec<&str> = start.split_whitespace().skip(1).collect();
    assert_eq!(arguments.first(), Some(&"run"));
    let config = Config::forwarding_to(&[])?;
    config.write()?;
    // Known arguments lead to the file, which is not there: exit status 2, and its name.
    let output = process::run(&binary()?, arguments, config.dir()).await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("/etc/albeit/albeit.yaml") && output.status.code() == Some(2), "{text}");
    Ok(())
}
