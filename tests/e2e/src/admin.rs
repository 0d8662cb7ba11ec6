//! The admin API: resources as JSON, and actions.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    albeit::Albeit,
    client::{Client, Response},
};

impl Albeit {
    /// A resource of the admin API.
    ///
    /// # Errors
    /// When the answer is not 200 with JSON.
    pub async fn resource(&self, path: &str) -> Result<Value> {
        let answer = self.admin(path).await?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// The elements of a list of the admin API.
    ///
    /// # Errors
    /// When the answer is not 200 with JSON that has the list.
    pub async fn list(&self, path: &str, name: &str) -> Result<Vec<Value>> {
        let answer = self.resource(path).await?;
        let list = answer.get(name).and_then(Value::as_array).cloned();
        list.with_context(|| format!("no {name} in {answer}"))
    }

    /// Asks for an action with these further header lines; the status and the JSON answered.
    ///
    /// # Errors
    /// When the admin API does not answer with JSON.
    pub async fn try_act(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &Value,
    ) -> Result<(u16, Value)> {
        let body = body.to_string();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        let mut client = Client::connect(self.config.admin.addr()).await?;
        client.send(format!("{head}\r\n{body}")).await?;
        let Response { status, body, .. } = client.response().await?;
        Ok((status, serde_json::from_slice(&body)?))
    }

    /// Takes an action as a loopback client without a token.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn act(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let headers = ["Host: localhost", "Content-Type: application/json"];
        let (status, answer) = self.try_act(method, path, &headers, body).await?;
        ensure!(status == 200, "{method} {path} {body}: {status} {answer}");
        Ok(answer)
    }
}
