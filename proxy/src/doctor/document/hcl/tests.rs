//! What becomes of HCL.

use proptest::prelude::*;

use super::*;

/// The tree of a file, its own `locals` and the defaults of its variables known.
#[track_caller]
fn tree(text: &str) -> Node {
    let hcl = Hcl::parse(&"main.tf".into(), text).unwrap();
    let mut scope = Scope::default();
    for attribute in hcl.blocks("locals").flat_map(|block| block.body.attributes()) {
        scope.define(format!("local.{}", attribute.key.as_str()), &hcl, &attribute.value);
    }
    hcl.tree(&scope)
}

#[track_caller]
fn check(expression: &str, expected: &str) {
    let text = format!("locals {{\n  one = 1\n  list = [1, {{ a = 2 }}]\n}}\nx = {expression}\n");
    assert_eq!(tree(&text).get("x").unwrap().to_string(), expected);
}

#[test]
fn expressions_are_known_or_stand_for_themselves() {
    for (expression, expected) in [
        ("60", "60"),
        ("true", "true"),
        ("null", "null"),
        ("\"a\"", "a"),
        ("24 * 60 * 60", "86400"),
        ("-(1 + 1) / 4", "-0.5"),
        ("local.one", "1"),
        ("local.list[1].a", "2"),
        ("local.list.0", "1"),
        ("\"web-${local.one}\"", "web-1"),
        ("\"${local.list}\"", "[1, {a: 2}]"),
        ("local.one == 1 ? \"yes\" : \"no\"", "yes"),
        ("!(local.one > 1 || false)", "true"),
        ("jsonencode([{ name = \"app\", \"port\" : local.one }])", "[{name: app, port: 1}]"),
        ("concat([1], local.list)", "[1, 1, {a: 2}]"),
        ("merge({ a = 1, b = 1 }, { a = 2 })", "{b: 1, a: 2}"),
        ("<<EOT\nline\nEOT", "line\n"),
        // What Terraform alone knows.
        ("var.idle", "${var.idle}"),
        ("\"${var.env}-web\"", "${var.env}-web"),
        ("aws_lb.web.arn", "${aws_lb.web.arn}"),
        ("var.on ? 1 : 2", "${var.on ? 1 : 2}"),
        ("aws_lb.web.arn == \"\" ? 1 : 2", "${aws_lb.web.arn == \"\" ? 1 : 2}"),
        ("[for i in local.list : i]", "${[for i in local.list : i]}"),
        ("lookup(var.map, \"a\", 1)", "${lookup(var.map, \"a\", 1)}"),
        ("1 / 0", "inf"),
    ] {
        check(expression, expected);
    }
}

#[test]
fn blocks_are_lists_or_lie_below_their_labels() {
    let tree = tree("resource \"aws_lb\" \"web\" {\n  idle_timeout = 60\n  a {\n    b = 1\n  }\n  a {}\n}\n");
    let web = tree.at(&["resource", "aws_lb", "web"]).unwrap();
    assert_eq!(web.to_string(), "{idle_timeout: 60, a: [{b: 1}, {}]}");
    assert_eq!(web.place.to_string(), "main.tf:1:1");
    assert_eq!(web.get("idle_timeout").unwrap().place.to_string(), "main.tf:2:3");
    assert_eq!(web.get("a").unwrap().items()[0].get("b").unwrap().place.to_string(), "main.tf:4:5");
}

#[test]
fn values_that_lead_to_themselves_end() {
    let text = "locals {\n  a = local.b\n  b = local.a\n}\nx = local.a\n";
    assert_eq!(tree(text).get("x").unwrap().to_string(), "${local.a}");
}

#[test]
fn repeated_values_cannot_grow_without_bound() {
    let doubled: String =
        (1..31).map(|n| format!("  a{n} = [local.a{}, local.a{}]\n", n - 1, n - 1)).collect();
    let tree = tree(&format!("locals {{\n  a0 = 1\n{doubled}}}\nx = local.a30\n"));
    assert!(tree.get("x").is_some());
}

#[test]
fn repeated_text_cannot_grow_without_bound() {
    let long = "x".repeat(100_000);
    let doubled: String =
        (1..31).map(|n| format!("  a{n} = \"${{local.a{}}}${{local.a{}}}\"\n", n - 1, n - 1)).collect();
    let written = tree(&format!("locals {{\n  a0 = \"{long}\"\n{doubled}}}\nx = local.a30\n")).to_string();
    assert!(written.len() < 20_000_000, "{}", written.len());
    let unknown: String = (1..1000).map(|_| "local.a, ").collect();
    let written = tree(&format!("locals {{\n  a = [f(\"{long}\")]\n}}\nx = [{unknown}]\n")).to_string();
    assert!(written.len() < 20_000_000, "{}", written.len());
}

#[test]
fn columns_far_along_a_line_are_bytes() {
    let tree = tree(&format!("x = [\"\u{e4}\", {}]\n", "1, ".repeat(2000)));
    let column = |item: usize| tree.get("x").unwrap().items()[item].place.to_string();
    assert_eq!((column(1).as_str(), column(2000).as_str()), ("main.tf:1:11", "main.tf:1:6009"));
}

#[test]
fn a_file_that_nobody_wrote_is_refused() {
    let error = Hcl::parse(&"main.tf".into(), &" ".repeat(LONGEST_FILE + 1)).unwrap_err();
    assert_eq!(error.to_string(), "main.tf:1:1: is longer than 4194304 bytes");
}

#[test]
fn what_is_no_hcl_is_refused_with_its_place() {
    let error = Hcl::parse(&"main.tf".into(), "a = 1\nb = [\n").unwrap_err();
    assert!(error.to_string().starts_with("main.tf:"), "{error}");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in r#"[a-c0-9 \n={}\[\]()"$\\.,:?!+*/<-]{0,60}"#) {
        if let Ok(hcl) = Hcl::parse(&"main.tf".into(), &text) {
            drop(hcl.tree(&Scope::default()).to_string());
        }
    }
}
