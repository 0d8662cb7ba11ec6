//! `scripts/elbv2-dump` with a command `aws` that answers from a file.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use super::{notes, outline, system_of};

/// Answers as `aws` would for two listeners and one target group; writes down what it was asked.
const AWS: &str = r#"#!/usr/bin/env bash
echo "$*" >> "$ASKED"
balancer=arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/a
listener=arn:aws:elasticloadbalancing:r:1:listener/app/web/a
group=arn:aws:elasticloadbalancing:r:1:targetgroup/web/b
case "$*" in
*"--output text"*describe-*) exit 2 ;;
*describe-load-balancers*"--output text"*) echo "$balancer" ;;
*describe-listeners*"--output text"*) printf '%s\t%s\n' "$listener/1" "$listener/2" ;;
*describe-target-groups*"--output text"*) echo "$group" ;;
*describe-load-balancers*) echo "{\"LoadBalancers\": [{\"LoadBalancerArn\": \"$balancer\", \"LoadBalancerName\": \"web\"}]}" ;;
*describe-load-balancer-attributes*--query\ {LoadBalancerArn:\ \`\"$balancer\"\`,\ Attributes:\ Attributes}*)
    echo "{\"LoadBalancerArn\": \"$balancer\", \"Attributes\": [{\"Key\": \"idle_timeout.timeout_seconds\", \"Value\": \"90\"}]}" ;;
*describe-listeners*) echo "{\"Listeners\": [
    {\"ListenerArn\": \"$listener/1\", \"LoadBalancerArn\": \"$balancer\", \"Port\": 80, \"Protocol\": \"HTTP\"},
    {\"ListenerArn\": \"$listener/2\", \"LoadBalancerArn\": \"$balancer\", \"Port\": 443, \"Protocol\": \"HTTPS\"}]}" ;;
*describe-listener-attributes*) echo "argument operation: Invalid choice" >&2; exit 252 ;;
*describe-rules*) echo '{"Rules": []}' ;;
*describe-target-groups*) echo "{\"TargetGroups\": [{\"TargetGroupArn\": \"$group\", \"TargetGroupName\": \"web\", \"Protocol\": \"HTTP\"}]}" ;;
*describe-target-group-attributes*) echo "{\"TargetGroupArn\": \"$group\", \"Attributes\": [{\"Key\": \"stickiness.enabled\", \"Value\": \"true\"}]}" ;;
*describe-target-health*) echo "{\"TargetGroupArn\": \"$group\", \"TargetHealthDescriptions\": [{}]}" ;;
*) exit 3 ;;
esac
"#;

#[test]
fn the_script_writes_all_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let (aws, asked) = (directory.path().join("aws"), directory.path().join("asked"));
    fs::write(&aws, AWS).unwrap();
    fs::set_permissions(&aws, fs::Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/elbv2-dump");
    let search = format!("{}:{}", directory.path().display(), env::var("PATH").unwrap());
    let output = Command::new(script)
        .args(["--region", "r", "--profile", "p q"])
        .env("PATH", search)
        .env("ASKED", &asked)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("no attributes of arn:aws:elasticloadbalancing:r:1:listener/app/web/a/1"),
        "{stderr}"
    );

    let system = system_of(&[("dump.json", &String::from_utf8(output.stdout).unwrap())]).unwrap();
    insta::assert_snapshot!(outline(&system), @"
    load balancer web dump.json:1:99
      listener HTTP:80 of web dump.json:4:168
        default [] 
      listener HTTPS:443 of web dump.json:5:169
        default [] 
    target group web dump.json:8:92
    ");
    assert_eq!(notes(&system), [""; 0]);
    let balancer = &system.load_balancers[0];
    assert_eq!(balancer.attributes.seconds("idle_timeout.timeout_seconds").unwrap().value.as_secs(), 90);
    assert!(system.target_groups[0].attributes.flag("stickiness.enabled").unwrap().value);
    assert_eq!(system.target_groups[0].targets.as_ref().unwrap().value, 1);
    let asked = fs::read_to_string(asked).unwrap();
    assert!(asked.lines().all(|call| call.contains("--region r --profile p q")), "{asked}");
}
