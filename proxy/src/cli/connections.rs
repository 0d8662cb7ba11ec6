//! `albeit connections`: what clients have open, and when the idle timeout will cut it.

mod text;

use std::{io::IsTerminal as _, net::IpAddr, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{
    api::{AdminArgs, Api, Connection, Problem, block_on},
    exit::Exit,
    say, show,
    target::Wanted,
};

/// How often --watch looks.
const REFRESH: Duration = Duration::from_secs(1);
/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Debug, Args)]
pub(super) struct ConnectionsArgs {
    /// Only WebSockets.
    #[arg(long)]
    websocket: bool,
    /// Only WebSockets at this target: IP, IP:PORT.
    #[arg(long, value_name = "TARGET", value_parser = Wanted::parse)]
    target: Option<Wanted>,
    /// Only those of this client.
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// Which come first; else in the order they were accepted.
    #[arg(long, value_name = "ORDER", value_enum)]
    order: Option<Order>,
    /// How many to list at most.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
struct Output {
    /// Look again every second, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Write them as a JSON array, as the admin API has them.
    #[arg(long)]
    json: bool,
}

/// Which connections come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Those that the idle timeout will cut next.
    Idle,
    /// The oldest.
    Age,
    /// Those with most bytes in both directions.
    Bytes,
}

/// A connection as it was answered, and as it is understood.
#[derive(Debug, Clone)]
struct Listed {
    answered: Value,
    connection: Connection,
}

/// Lists once, or again and again.
pub(super) fn connections(args: &ConnectionsArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let api = args.admin.api()?;
        if !args.output.watch {
            let (total, listed) = args.list(&api).await?;
            if args.output.json {
                let answered: Value = listed.into_iter().map(|it| it.answered).collect();
                say(&serde_json::to_string_pretty(&answered)?);
            } else {
                show(&text::text(total, &listed));
            }
            return Ok(Exit::Done.into());
        }
        tokio::select! {
            watched = args.watch(&api) => Err(watched.into()),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted.map(|()| Exit::Done.into())?),
        }
    })
}

impl ConnectionsArgs {
    /// Shows them until it fails.
    async fn watch(&self, api: &Api) -> Problem {
        let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
        loop {
            match self.list(api).await {
                Ok((total, listed)) => show(&format!("{clear}{}", text::text(total, &listed))),
                Err(problem) => return problem,
            }
            tokio::time::sleep(REFRESH).await;
        }
    }

    /// How many fit, and those that are listed.
    async fn list(&self, api: &Api) -> Result<(usize, Vec<Listed>), Problem> {
        let client = self.client.map(|ip| format!("&Client={ip}")).unwrap_or_default();
        let all: Vec<Value> = api.all(&format!("/connections?PageSize=400{client}"), "Connections").await?;
        let understood = all.into_iter().filter_map(|answered| {
            let connection = serde_json::from_value(answered.clone()).ok()?;
            Some(Listed { answered, connection })
        });
        let mut listed: Vec<Listed> = understood.filter(|it| self.wants(&it.connection)).collect();
        if let Some(order) = self.order {
            order.sort(&mut listed);
        }
        let total = listed.len();
        listed.truncate(self.limit.unwrap_or(total));
        Ok((total, listed))
    }

    fn wants(&self, connection: &Connection) -> bool {
        let at = connection.web_socket_target.as_ref();
        (!self.websocket || connection.protocol == "websocket")
            && self.target.as_ref().is_none_or(|wanted| at.is_some_and(|id| wanted.is(id)))
    }
}

impl Order {
    fn sort(self, listed: &mut [Listed]) {
        let by = |key: fn(&Connection) -> f64| {
            move |a: &Listed, b: &Listed| key(&a.connection).total_cmp(&key(&b.connection))
        };
        match self {
            Self::Idle => listed.sort_by(by(|it| it.seconds_to_idle_timeout)),
            Self::Age => listed.sort_by(by(|it| -it.age_seconds)),
            Self::Bytes => listed.sort_by_key(|it| {
                let Connection { received_bytes, sent_bytes, .. } = it.connection;
                std::cmp::Reverse(received_bytes.saturating_add(sent_bytes))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed() -> Vec<Listed> {
        let connection = |client: &str, left: f64, age: f64, sent: u64| {
            let answered = json!({
                "Client": client,
                "Protocol": "websocket",
                "WebSocketTarget": { "Id": "10.0.0.1", "Port": 80 },
                "AgeSeconds": age,
                "IdleSeconds": 60.0 - left,
                "SecondsToIdleTimeout": left,
                "RequestCount": 1,
                "ReceivedBytes": 10,
                "SentBytes": sent,
            });
            Listed { connection: serde_json::from_value(answered.clone()).unwrap(), answered }
        };
        vec![
            connection("c:1", 30.5, 100.0, 5_000_000),
            connection("c:2", 9.0, 4_000.0, 7),
            connection("c:3", 40.0, 1.0, 2_000),
        ]
    }

    #[track_caller]
    fn check(order: Order, expected: [&str; 3]) {
        let mut listed = listed();
        order.sort(&mut listed);
        let clients: Vec<_> = listed.iter().map(|it| it.connection.client.as_str()).collect();
        assert_eq!(clients, expected);
    }

    #[test]
    fn each_order_puts_what_is_looked_for_first() {
        check(Order::Idle, ["c:2", "c:1", "c:3"]);
        check(Order::Age, ["c:2", "c:1", "c:3"]);
        check(Order::Bytes, ["c:1", "c:3", "c:2"]);
    }

    #[test]
    fn the_table_counts_down() {
        let text = text::text(5, &listed());
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @r"
        CLIENT  PROTOCOL   TARGET       AGE     IDLE  CUT IN  RECEIVED  SENT     REQUESTS
        c:1     websocket  10.0.0.1:80  1m 40s  29s   30s     10 B      4.7 MiB  1
        c:2     websocket  10.0.0.1:80  1h 6m   51s   9s      10 B      7 B      1
        c:3     websocket  10.0.0.1:80  1s      20s   40s     10 B      1.9 KiB  1
        3 of 5 connections
        ");
    }
}
