//! Rules of the code base that the compiler cannot check: which module may use
//! which, who may use which library, sizes of files, and what documents name.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// A file longer than this fails.
const LINES_MAX: usize = 800;

/// A file longer than this is listed: think about taking it apart.
const LINES_TO_THINK_ABOUT: usize = 500;

/// What the modules of one crate may use.
struct Layers {
    /// The crate's directory.
    source: &'static str,
    /// Module → modules of the same crate it may use.
    modules: &'static [(&'static str, &'static [&'static str])],
    /// Modules that compose the rest and may use everything.
    composition: &'static [&'static str],
    /// Library (first path segment, `*` at the end for a prefix) → module paths that alone may use it.
    libraries: &'static [(&'static str, &'static [&'static str])],
}

const PROXY: Layers = Layers {
    source: "proxy/src",
    modules: &[
        ("model", &[]),
        ("client_socket", &[]),
        ("cut", &[]),
        ("error_chain", &[]),
        ("tasks", &[]),
        ("time_scale", &[]),
        ("flow", &[]),
        ("metrics", &["flow"]),
        ("tunnel", &[]),
        ("proxy_protocol", &[]),
        ("rules", &["model"]),
        ("balance", &[]),
        ("stickiness", &["model", "balance"]),
        ("fault", &["model", "balance", "metrics", "time_scale", "tunnel"]),
        ("headers", &["model"]),
        ("desync", &["model"]),
        // HTTPS checks, and those that begin with a PROXY protocol header.
        ("health", &["model", "proxy_protocol", "tls"]),
        (
            "target_groups",
            &["cut", "model", "access_log", "balance", "health", "metrics", "stickiness", "time_scale"],
        ),
        // Development certificates come with a stickiness key.
        ("tls", &["model", "stickiness"]),
        ("access_log", &["model", "flow", "metrics"]),
        ("client", &["client_socket", "tls", "access_log", "metrics"]),
        ("authenticate", &["error_chain", "model", "headers", "stickiness", "tasks", "time_scale"]),
        ("traces", &["access_log", "error_chain", "headers", "metrics", "model", "tasks", "time_scale"]),
        (
            "alb",
            &[
                "model",
                "time_scale",
                "rules",
                "balance",
                "stickiness",
                "headers",
                "desync",
                "target_groups",
                "tls",
                "tunnel",
                "access_log",
                "metrics",
                "client",
                "authenticate",
                "fault",
                "traces",
            ],
        ),
        (
            "nlb",
            &[
                "model",
                "client_socket",
                "cut",
                "fault",
                "flow",
                "time_scale",
                "balance",
                "stickiness",
                "target_groups",
                "tls",
                "tunnel",
                "proxy_protocol",
                "access_log",
                "metrics",
            ],
        ),
        (
            "listener",
            &[
                "model",
                "client_socket",
                "flow",
                "time_scale",
                "tls",
                "proxy_protocol",
                "access_log",
                "metrics",
                "client",
                "alb",
                "nlb",
            ],
        ),
        ("probe", &["error_chain", "time_scale", "tls"]),
        // What is compiled at load is tried when it is read.
        ("config", &["model", "rules"]),
        ("doctor", &["model", "rules", "config", "probe", "time_scale"]),
        (
            "admin",
            &[
                "model",
                "health",
                "target_groups",
                "tls",
                "metrics",
                "client",
                "nlb",
                "config",
                "authenticate",
                "doctor",
                "time_scale",
                "access_log",
            ],
        ),
    ],
    composition: &["server", "cli", "dev", "main", "lib"],
    libraries: &[
        ("pingora*", &["alb", "client"]),
        (
            "serde*",
            &[
                "config",
                "admin",
                "authenticate",
                "doctor/report",
                "probe/told_target",
                "cli",
                "server/upgrade/state",
            ],
        ),
        ("albeit_backend", &[]),
        ("tokio_websockets", &[]),
    ],
};

const BACKEND: Layers = Layers {
    source: "backend/src",
    modules: &[
        ("metrics", &[]),
        ("logging", &[]),
        ("stomp", &[]),
        ("proxy_protocol", &[]),
        ("engine_io", &[]),
        ("socket_io", &[]),
        ("sock_js", &[]),
        ("transport", &[]),
        ("link", &[]),
        ("limits", &["metrics"]),
        ("presence", &[]),
        ("reload", &[]),
        ("tls", &["metrics", "reload"]),
        ("ws", &["transport"]),
        ("auth", &["broker", "limits", "metrics", "reload"]),
        ("config", &["auth", "broker", "limits", "logging", "stomp", "ws"]),
        ("broker", &["metrics"]),
        ("relay", &["config", "metrics"]),
        ("store", &["config", "metrics"]),
        ("health", &["metrics"]),
        ("app", &["auth", "broker", "health"]),
        (
            "endpoint",
            &[
                "app",
                "auth",
                "broker",
                "config",
                "engine_io",
                "health",
                "limits",
                "link",
                "metrics",
                "presence",
                "relay",
                "sock_js",
                "socket_io",
                "stomp",
                "store",
                "ws",
            ],
        ),
    ],
    composition: &["server", "main", "lib"],
    libraries: &[
        ("tokio_websockets", &["ws"]),
        (
            "serde*",
            &[
                "config",
                "app",
                "auth/jwt",
                "health",
                "presence",
                "metrics/meter",
                "server/response",
                "relay/envelope",
                "engine_io",
                "socket_io",
                "endpoint/socket_io",
            ],
        ),
        ("jsonwebtoken", &["auth/jwt"]),
        ("redis", &["relay/redis"]),
        ("sqlx", &["store"]),
        ("albeit_proxy", &[]),
    ],
};

fn root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().context("the workspace")
}

/// All files below `dir` with this extension, tests' fixtures and build output left out.
fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", "node_modules", ".git", "logs"].contains(&name.as_str()) {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for dir in ["proxy", "backend", "tests"] {
        all.extend(files(&root.join(dir), "rs")?);
    }
    Ok(all)
}

/// The production part of a source file: no comments, no inline tests.
fn production(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line.trim() == "#[cfg(test)]" {
            break;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// First segments of all paths after `prefix`, such as the modules after `crate::`; groups in braces are opened.
fn first_segments(code: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let (before, path) = code.split_at(at);
        let before = before.chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || matches!(before, '_' | ':' | '$') {
            continue;
        }
        let rest = path.trim_start_matches(prefix);
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(group_segments(group));
        } else {
            found.push(identifier(rest));
        }
    }
    found.retain(|segment| !segment.is_empty());
    found
}

/// First segments inside a group, whose opening brace is already gone.
fn group_segments(group: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut item_starts = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => item_starts = true,
            c if item_starts && !c.is_whitespace() => {
                found.push(identifier(group.split_at(at).1));
                item_starts = false;
            }
            _ => {}
        }
    }
    found
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// A file's module path below `src`, such as `health/check`; `mod.rs` stands for its directory.
fn module_path(source: &Path, file: &Path) -> Result<String> {
    let path = file.strip_prefix(source)?.with_extension("");
    let path = path.to_string_lossy().into_owned();
    Ok(path.strip_suffix("/mod").unwrap_or(&path).to_owned())
}

/// Own modules that the file uses, by `crate::` or by a `super::` that reaches the root.
fn own_modules(code: &str, module: &str) -> Vec<String> {
    let to_root = "super::".repeat(module.split('/').count());
    let mut used = first_segments(code, "crate::");
    used.extend(first_segments(code, &to_root));
    used.retain(|segment| segment.starts_with(char::is_lowercase) && segment != "super");
    used
}

fn breaches(root: &Path, layers: &Layers) -> Result<Vec<String>> {
    let source = root.join(layers.source);
    let mut found = Vec::new();
    for file in files(&source, "rs")? {
        let module = module_path(&source, &file)?;
        let top = module.split('/').next().unwrap_or_default();
        if module.ends_with("/tests") {
            continue;
        }
        let code = production(&fs::read_to_string(&file)?);
        found.extend(library_breaches(layers, &code, &module));
        if layers.composition.contains(&top) {
            continue;
        }
        let Some((_, allowed)) = layers.modules.iter().find(|(name, _)| *name == top) else {
            found.push(format!("{}/{module}: the layer table has no module {top}", layers.source));
            continue;
        };
        for used in own_modules(&code, &module) {
            if used != top && !allowed.contains(&used.as_str()) {
                found.push(format!("{}/{module} uses {used}", layers.source));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn library_breaches(layers: &Layers, code: &str, module: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (library, owners) in layers.libraries {
        let name = library.trim_end_matches('*');
        let used = code.match_indices(name).any(|(at, _)| {
            let (before, path) = code.split_at(at);
            let before = before.chars().next_back().unwrap_or(' ');
            let rest = path.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            let exact = library.ends_with('*') || identifier(path) == name;
            exact
                && !(before.is_alphanumeric() || matches!(before, '_' | ':' | '.' | '"'))
                && rest.starts_with("::")
        });
        let is_owner =
            owners.iter().any(|owner| module == *owner || module.starts_with(&format!("{owner}/")));
        if used && !is_owner {
            found.push(format!("{}/{module} uses the library {library}", layers.source));
        }
    }
    found
}

#[test]
fn modules_use_only_what_lies_below_them() -> Result<()> {
    let root = root()?;
    let mut found = breaches(&root, &PROXY)?;
    found.extend(breaches(&root, &BACKEND)?);
    assert!(found.is_empty(), "layers point down:\n{}", found.join("\n"));
    Ok(())
}

#[test]
fn the_layer_table_grants_nothing_that_nobody_uses() -> Result<()> {
    let source = root()?.join(PROXY.source);
    let mut used = BTreeSet::new();
    for file in files(&source, "rs")? {
        let module = module_path(&source, &file)?;
        let top = identifier(&module);
        let code = production(&fs::read_to_string(&file)?);
        used.extend(own_modules(&code, &module).into_iter().map(|other| (top.clone(), other)));
    }
    let mut unused = Vec::new();
    for (module, allowed) in PROXY.modules {
        let idle =
            allowed.iter().filter(|other| !used.contains(&((*module).to_owned(), (**other).to_owned())));
        unused.extend(idle.map(|other| format!("{module} may use {other}")));
    }
    assert!(unused.is_empty(), "and does not:\n{}", unused.join("\n"));
    Ok(())
}

#[test]
fn the_reader_of_use_lines_sees_groups_and_super() {
    let code =
        "use crate::{a::b, c::{d, e}, f};\nlet x = crate::g::h();\nuse super::{i, Type};\nuse mycrate::k;";
    assert_eq!(own_modules(code, "z"), ["a", "c", "f", "g", "i"]);
    assert_eq!(own_modules("use super::super::m::N; use super::o;", "y/z"), ["m"]);
    assert_eq!(module_path(Path::new("s"), Path::new("s/health/mod.rs")).expect("below s"), "health");
    assert_eq!(production("a // b\n#[cfg(test)]\nmod tests;"), "a \n");
    let uses = |code: &str| library_breaches(&PROXY, code, "rules").len();
    assert_eq!(uses("use pingora_core::x;") + uses("#[derive(serde::Serialize)]"), 2);
    assert_eq!(uses("// a word like pingora") + uses("let serde_like = 1;"), 0);
}

#[test]
fn crates_do_not_depend_on_each_other() -> Result<()> {
    let root = root()?;
    for (manifest, foreign) in [
        ("proxy", "albeit-backend"),
        ("backend", "albeit-proxy"),
        ("tests/e2e", "albeit-proxy"),
        ("tests/e2e", "albeit-backend"),
    ] {
        let text = fs::read_to_string(root.join(manifest).join("Cargo.toml"))?;
        let depends = text.lines().any(|line| line.trim_start().starts_with(foreign));
        assert!(!depends, "{manifest} depends on {foreign}");
    }
    Ok(())
}

#[test]
fn no_file_is_too_long() -> Result<()> {
    let root = root()?;
    let mut too_long = Vec::new();
    for file in rust_files(&root)? {
        let lines = fs::read_to_string(&file)?.lines().count();
        let entry = format!("{}: {lines} lines", file.strip_prefix(&root)?.display());
        if lines > LINES_MAX {
            too_long.push(entry);
        } else if lines > LINES_TO_THINK_ABOUT {
            println!("{entry}: think about taking it apart");
        }
    }
    assert!(too_long.is_empty(), "more than {LINES_MAX} lines:\n{}", too_long.join("\n"));
    Ok(())
}

#[test]
fn no_blanket_exceptions_and_no_loose_ends() -> Result<()> {
    let root = root()?;
    // Put together here, so that this file does not find itself.
    let banned = [
        concat!("#[", "allow"),
        concat!("#![", "allow"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut found = Vec::new();
    for file in rust_files(&root)? {
        for (number, line) in fs::read_to_string(&file)?.lines().enumerate() {
            if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
                found.push(format!("{}:{}: {word}", file.strip_prefix(&root)?.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "use #[expect(…, reason)], open an issue:\n{}", found.join("\n"));
    Ok(())
}

#[test]
fn the_parity_table_names_tests_that_exist() -> Result<()> {
    let root = root()?;
    let table = fs::read_to_string(root.join("docs/parity.md")).context("docs/parity.md")?;
    let named: Vec<&str> = table
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| {
            name.contains('/') && [".rs", ".js", ".mjs", ".yaml"].iter().any(|end| name.ends_with(end))
        })
        .collect();
    assert!(!named.is_empty(), "docs/parity.md names no test file in backticks");
    let missing: Vec<&&str> = named.iter().filter(|name| !root.join(name).exists()).collect();
    assert!(missing.is_empty(), "docs/parity.md names files that are not there: {missing:?}");
    let functions = test_functions(&root)?;
    let missing: Vec<&str> = table
        .lines()
        .filter_map(|line| line.trim_end_matches([' ', '|']).rsplit_once('|'))
        .flat_map(|(_, tests)| tests.split('`').skip(1).step_by(2))
        .filter(|name| name.contains("::") && !name.contains('/'))
        .filter(|name| !functions.contains(name.rsplit("::").next().unwrap_or_default()))
        .collect();
    assert!(missing.is_empty(), "docs/parity.md names tests that are not there:\n{}", missing.join("\n"));
    Ok(())
}

/// Names of all functions in the sources.
fn test_functions(root: &Path) -> Result<BTreeSet<String>> {
    let mut functions = BTreeSet::new();
    for file in rust_files(root)? {
        let text = fs::read_to_string(file)?;
        functions.extend(text.split("fn ").skip(1).map(identifier));
    }
    Ok(functions)
}

#[test]
fn every_configuration_is_mentioned_somewhere() -> Result<()> {
    let root = root()?;
    let mut mentions = String::new();
    for extension in ["md", "rs", "yml"] {
        for file in files(&root, extension)? {
            mentions.push_str(&fs::read_to_string(file)?);
        }
    }
    for file in ["Makefile", "Dockerfile"] {
        mentions.push_str(&fs::read_to_string(root.join(file)).unwrap_or_default());
    }
    for file in files(&root.join("conf"), "yaml")? {
        let name = file.strip_prefix(root.join("conf"))?.display().to_string();
        assert!(mentions.contains(&name), "conf/{name} is mentioned nowhere");
    }
    Ok(())
}
