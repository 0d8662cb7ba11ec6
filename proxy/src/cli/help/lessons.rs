//! The examples, signals and exit statuses of each command.

use super::{Lesson, Purpose};
use crate::cli::exit::Exit;

const CHECKED: &[(Exit, &str)] =
    &[(Exit::Done, "it can be served"), (Exit::Wrong, "it has mistakes: all of them are on standard error")];

/// What the commands that ask a running load balancer have in common.
const TOKEN: &[(&str, &str)] =
    &[("ALBEIT_ADMIN_TOKEN", "the admin API's token, unless a file is named; never an argument")];

const RUN_STATUSES: &[(Exit, &str)] = &[
    (Exit::Done, "ended after SIGTERM or SIGINT, everything drained"),
    (Exit::Failed, "could not start (a port is taken), or a second signal cut the drain short"),
    (Exit::Wrong, "the configuration or the arguments are wrong"),
];

const UNREACHABLE: (Exit, &str) = (Exit::Failed, "the load balancer cannot be reached, or could not do it");
const REFUSED: (Exit, &str) = (Exit::Wrong, "the arguments or the token are wrong");

/// One for each command, in the order of the overview.
pub(in crate::cli) const LESSONS: &[Lesson] = &[
    Lesson {
        command: "run",
        purpose: Purpose::Run,
        examples: &[
            ("Run what the file describes; it is read again when it changes", "albeit run -c conf/alb.yaml"),
            (
                "As a service: a minute to drain, the log as JSON",
                "albeit run -c /etc/albeit/albeit.yaml --drain 60s --log-format json",
            ),
            (
                "See in a minute what takes an hour: idle timeouts, draining, stickiness",
                "albeit run -c conf/alb.yaml --time-scale 60",
            ),
        ],
        signals: &[
            ("SIGHUP", "reads the configuration and all files it names again; a mistake changes nothing"),
            (
                "SIGTERM, SIGINT",
                "refuses new work, lets open work end for up to --drain, ends; a second one ends at once",
            ),
            (
                "SIGUSR2",
                "starts the program anew with the same sockets; once it serves, open work has --upgrade-drain to end",
            ),
        ],
        environment: &[
            ("RUST_LOG", "what is logged, such as warn or info,albeit::admin=off"),
            (
                "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES",
                "sockets that are open already, as systemd passes them",
            ),
            ("NOTIFY_SOCKET, WATCHDOG_USEC", "where systemd is told of start, reload and end, and how often"),
        ],
        statuses: RUN_STATUSES,
        page: "docs/configuration.md, docs/logs.md",
    },
    Lesson {
        command: "status",
        purpose: Purpose::Look,
        examples: &[
            ("How is it?", "albeit status"),
            ("Of the load balancer that runs with this file", "albeit status -c conf/alb.yaml"),
            (
                "In a script: the names of groups without a healthy target",
                "albeit status --json | jq -r '.TargetGroups[] | select(.Health == \"error\") | .TargetGroupName'",
            ),
        ],
        signals: &[],
        environment: TOKEN,
        statuses: &[
            (Exit::Done, "ready, and all targets in use are healthy"),
            UNREACHABLE,
            REFUSED,
            (
                Exit::Warning,
                "a target is unhealthy or initial, a certificate expires soon, or albeit itself starts or drains",
            ),
            (Exit::Error, "a target group in use has no healthy target, or a certificate in use has expired"),
        ],
        page: "docs/cli.md, docs/admin.md",
    },
    Lesson {
        command: "connections",
        purpose: Purpose::Look,
        examples: &[
            (
                "Which WebSockets will the idle timeout cut next?",
                "albeit connections --websocket --order idle --limit 20",
            ),
            ("Watch what one client has open", "albeit connections --client 203.0.113.7 --watch"),
            (
                "How many WebSockets are at a target?",
                "albeit connections --websocket --target 10.0.0.5:8080 --json | jq length",
            ),
        ],
        signals: &[("SIGINT", "ends --watch")],
        environment: TOKEN,
        statuses: &[(Exit::Done, "listed, be there any or none"), UNREACHABLE, REFUSED],
        page: "docs/cli.md, docs/admin.md",
    },
    Lesson {
        command: "drain",
        purpose: Purpose::Act,
        examples: &[
            (
                "Take a target out of service; what it has open may go on for the deregistration delay",
                "albeit drain 10.0.0.5:8080",
            ),
            (
                "Wait until it is empty, then stop it",
                "albeit drain web/10.0.0.5:8080 --wait && ssh 10.0.0.5 systemctl stop web",
            ),
            ("Wait for two minutes at most", "albeit drain 10.0.0.5 --wait --timeout 2m"),
        ],
        signals: &[("SIGINT", "ends --wait; the target drains nevertheless")],
        environment: TOKEN,
        statuses: &[
            (Exit::Done, "it drains; with --wait: nothing is in flight at it any more"),
            (
                Exit::Failed,
                "the load balancer cannot be reached, or the target was registered again meanwhile",
            ),
            (Exit::Wrong, "the arguments or the token are wrong, there is no such target, or several"),
            (Exit::TimedOut, "something is still in flight at it"),
        ],
        page: "docs/cli.md, docs/admin.md",
    },
    Lesson {
        command: "register",
        purpose: Purpose::Act,
        examples: &[
            ("Put a target into service", "albeit register web/10.0.0.5:8080"),
            (
                "Deploy: in with the new one, out with the old one",
                "albeit register web/10.0.0.6:8080 --wait --timeout 2m && albeit drain web/10.0.0.5:8080 --wait",
            ),
        ],
        signals: &[("SIGINT", "ends --wait; the target stays registered")],
        environment: TOKEN,
        statuses: &[
            (Exit::Done, "it is registered; with --wait: it is healthy"),
            (Exit::Failed, "the load balancer cannot be reached, or the target was deregistered meanwhile"),
            (Exit::Wrong, "the arguments or the token are wrong, or there is no such target group"),
            (Exit::TimedOut, "it is not healthy yet"),
        ],
        page: "docs/cli.md, docs/admin.md",
    },
    Lesson {
        command: "reload",
        purpose: Purpose::Act,
        examples: &[
            (
                "Read the file again; mistakes are shown with their places, and change nothing",
                "albeit reload",
            ),
            (
                "Look first, then reload and wait for new targets' first health checks",
                "albeit check -c conf/alb.yaml && albeit reload -c conf/alb.yaml --wait",
            ),
        ],
        signals: &[("SIGINT", "ends --wait; what was loaded stays in force")],
        environment: TOKEN,
        statuses: &[
            (Exit::Done, "in force; with --wait: and all targets in use are healthy"),
            UNREACHABLE,
            (Exit::Wrong, "refused: the configuration, the arguments or the token are wrong"),
            (Exit::Warning, "with --wait: in force, and `albeit status` has a warning"),
            (Exit::Error, "with --wait: in force, and `albeit status` has an error"),
            (Exit::TimedOut, "in force, and targets are still initial"),
        ],
        page: "docs/cli.md, docs/configuration.md",
    },
    Lesson {
        command: "check",
        purpose: Purpose::Find,
        examples: &[
            ("Is it right, and what would listen where?", "albeit check -c conf/alb.yaml"),
            (
                "In a hook, before a reload",
                "albeit check -c /etc/albeit/albeit.yaml && systemctl reload albeit",
            ),
        ],
        signals: &[],
        environment: &[],
        statuses: CHECKED,
        page: "docs/configuration.md",
    },
    Lesson {
        command: "doctor",
        purpose: Purpose::Find,
        examples: &[
            (
                "Do the timeouts of balancer and application fit?",
                "albeit doctor conf/alb.yaml src/main/resources/application.yml",
            ),
            (
                "What AWS really runs",
                "aws elbv2 describe-load-balancer-attributes --load-balancer-arn ARN > attributes.json; albeit doctor attributes.json",
            ),
            (
                "Measure a target's keep-alive timeout and header limits",
                "albeit doctor --probe http://10.0.0.5:8080/",
            ),
            (
                "In CI: fail on warnings, too, and show findings in the code host",
                "albeit doctor conf/alb.yaml --deny warnings --format sarif -o doctor.sarif",
            ),
        ],
        signals: &[],
        environment: &[],
        statuses: &[
            (Exit::Done, "nothing that is denied was found"),
            (Exit::Failed, "an address cannot be reached, or the output not be written"),
            (Exit::Wrong, "the arguments or the files are wrong"),
            (Exit::Warning, "the worst denied finding is a warning or less"),
            (Exit::Error, "the worst denied finding is an error"),
        ],
        page: "docs/doctor.md",
    },
    Lesson {
        command: "dev",
        purpose: Purpose::Develop,
        examples: &[
            ("A demo: HTTPS, HTTP and a network load balancer before two backends", "albeit dev"),
            ("The same with every timer a minute for an hour", "albeit dev --time-scale 60"),
        ],
        signals: &[("SIGINT, SIGTERM", "drains for up to --drain, then ends backends and balancer")],
        environment: &[("RUST_LOG", "what is logged, such as warn or debug")],
        statuses: RUN_STATUSES,
        page: "docs/configuration.md",
    },
    Lesson {
        command: "certs",
        purpose: Purpose::Develop,
        examples: &[
            ("Into certs/, where the files in conf/ look for them", "albeit certs"),
            (
                "Elsewhere; then trust the CA",
                "albeit certs --dir /tmp/certs && curl --cacert /tmp/certs/ca.pem https://localhost:8443/",
            ),
        ],
        signals: &[],
        environment: &[],
        statuses: &[(Exit::Done, "all are there now"), (Exit::Failed, "a file cannot be written")],
        page: "docs/configuration.md",
    },
    Lesson {
        command: "completions",
        purpose: Purpose::Develop,
        examples: &[
            ("In this shell only", "source <(albeit completions bash)"),
            ("For good, bash", "albeit completions bash > ~/.local/share/bash-completion/completions/albeit"),
            ("For good, zsh (a directory of $fpath)", "albeit completions zsh > ~/.zfunc/_albeit"),
            ("For good, fish", "albeit completions fish > ~/.config/fish/completions/albeit.fish"),
        ],
        signals: &[],
        environment: &[],
        statuses: &[(Exit::Done, "written to standard output"), (Exit::Wrong, "no such shell")],
        page: "docs/cli.md",
    },
    Lesson {
        command: "man",
        purpose: Purpose::Develop,
        examples: &[
            ("Read the page of a command", "albeit man drain | man -l -"),
            ("Install all pages", "albeit man --dir /usr/local/share/man/man1"),
        ],
        signals: &[],
        environment: &[],
        statuses: &[
            (Exit::Done, "written"),
            (Exit::Failed, "the directory cannot be written to"),
            (Exit::Wrong, "no such command"),
        ],
        page: "docs/cli.md",
    },
];
