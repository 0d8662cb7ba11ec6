//! 500 of a transform, 503 and 507: what the configuration brings about.

use albeit_e2e::{
    Albeit, Answer, Config, ElbError, ElbErrors, Group, Listener, Target, config::forward_weighted, forward,
};
use anyhow::Result;
use serde_json::{Value, json};

const INTERNAL: &str = "500 Internal Server Error";
const UNAVAILABLE: &str = "503 Service Temporarily Unavailable";

#[tokio::test]
async fn groups_without_targets_are_503() -> Result<()> {
    let target = Target::saying("ok")?;
    let listener = Listener::http(forward("empty"))?
        .with_rule(
            1,
            json!({ "path_pattern": ["/two"] }),
            forward_weighted(&[("empty", 1), ("none", 1)], None),
        )
        .with_rule(2, json!({ "path_pattern": ["/weightless"] }), forward_weighted(&[("web", 0)], None));
    let config = Config::try_new()?
        .with_group(Group::new("empty", &[]))
        .with_group(Group::new("none", &[]))
        .with_group(Group::new("web", &[target.addr()]))
        .with_listener(listener);
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let mut client = albeit.client().await?;
    for path in ["/one", "/two", "/weightless"] {
        let answer = client.get(path).await?;
        let expected = ElbError::new(UNAVAILABLE).forwarding();
        errors.expect_elb_error(path, Answer::Http1(&answer), &expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn transforms_that_fail_are_500() -> Result<()> {
    let target = Target::saying("ok")?;
    let rule = |priority: u16, path: &str, kind: &str, regex: &str, replace: &str| -> Value {
        json!({
            "priority": priority,
            "conditions": [{ "path_pattern": [path] }],
            "transforms": [{ kind: { "regex": regex, "replace": replace } }],
            "actions": [forward("web")],
        })
    };
    let rules = json!([
        rule(1, "/host*", "host_header_rewrite", "^(.*)$", "a b"),
        rule(2, "/path*", "url_rewrite", "^/path", "x"),
        rule(3, "/long*", "url_rewrite", "^(.*)$", "$1$1$1$1$1$1$1$1$1"),
    ]);
    let listener = Listener::http(forward("web"))?.with("rules", rules);
    let config = Config::try_new()?.with_group(Group::new("web", &[target.addr()])).with_listener(listener);
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let mut client = albeit.client().await?;
    let long = format!("/long{}", "g".repeat(3_000));
    for (path, status) in
        [("/host", "InvalidHost"), ("/path", "InvalidPath"), (long.as_str(), "TransformBufferTooSmall")]
    {
        let answer = client.get(path).await?;
        let record =
            errors.expect_elb_error(status, Answer::Http1(&answer), &ElbError::new(INTERNAL)).await?;
        assert_eq!(record["request_transform_status"], status);
    }
    Ok(())
}

#[tokio::test]
async fn a_location_of_more_than_8_kb_is_507() -> Result<()> {
    let redirect = json!({ "redirect": { "host": "elsewhere.test", "status_code": "HTTP_302" } });
    let config = Config::try_new()?.with_group(Group::new("empty", &[])).with_listener(
        Listener::http(redirect)?.with_rule(1, json!({ "path_pattern": ["/empty"] }), forward("empty")),
    );
    let albeit = Albeit::start(config).await?;
    let mut errors = ElbErrors::of(&albeit);
    let mut client = albeit.client().await?;
    assert_eq!(client.get(&format!("/{}", "a".repeat(7_000))).await?.status, 302);
    errors.pass(&["HTTP_Redirect_Count", "HTTPCode_ELB_3XX_Count"]);
    let answer = client.get(&format!("/{}", "b".repeat(9_000))).await?;
    let expected =
        ElbError::new("507 Insufficient Storage").counted("HTTP_Redirect_Url_Limit_Exceeded_Count");
    errors.expect_elb_error("507", Answer::Http1(&answer), &expected).await?;
    Ok(())
}
