//! The errors of one balancer: what each brings about, and what all of them add up to.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;

use super::ElbError;
use crate::{
    access_log::Record,
    albeit::Albeit,
    client::Response,
    wait::{SOON, eventually},
};

/// The counters that are compared, by their names in `CloudWatch`.
pub(super) const COUNTERS: [&str; 22] = [
    "HTTPCode_ELB_3XX_Count",
    "HTTPCode_ELB_4XX_Count",
    "HTTPCode_ELB_5XX_Count",
    "HTTPCode_ELB_500_Count",
    "HTTPCode_ELB_502_Count",
    "HTTPCode_ELB_503_Count",
    "HTTPCode_ELB_504_Count",
    "HTTPCode_Target_2XX_Count",
    "HTTPCode_Target_3XX_Count",
    "HTTPCode_Target_4XX_Count",
    "HTTPCode_Target_5XX_Count",
    "RequestCount",
    "GrpcRequestCount",
    "TargetConnectionErrorCount",
    "TargetTLSNegotiationErrorCount",
    "HTTP_Redirect_Count",
    "HTTP_Redirect_Url_Limit_Exceeded_Count",
    "DesyncMitigationMode_NonCompliant_Request_Count",
    "ELBAuthError",
    "ELBAuthFailure",
    "ELBAuthUserClaimsSizeExceeded",
    "JWTValidationFailureCount",
];

/// What the client got.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// A response in HTTP/1.1.
    Http1(&'a Response),
    /// A response in HTTP/2.
    Http2(&'a http::Response<Bytes>),
    /// A response in HTTP/2 to a gRPC call.
    Grpc(&'a http::Response<Bytes>),
    /// Nothing: it had gone.
    Nothing,
}

/// The errors of one balancer, one after the other, from its start.
#[derive(Debug)]
pub struct ElbErrors<'a> {
    albeit: &'a Albeit,
    records: usize,
    counted: BTreeMap<&'static str, f64>,
}

impl<'a> ElbErrors<'a> {
    /// Begins with a balancer that has served nothing yet.
    #[must_use]
    pub const fn of(albeit: &'a Albeit) -> Self {
        Self { albeit, records: 0, counted: BTreeMap::new() }
    }

    /// Accounts for a request that was no error, and for what it counts in.
    pub fn pass(&mut self, counters: &[&'static str]) {
        self.records += 1;
        self.count(counters);
    }

    fn count(&mut self, counters: &[&'static str]) {
        for counter in counters {
            *self.counted.entry(*counter).or_default() += 1.0;
        }
    }

    /// Checks answer, record and metrics of the request that has just ended; `what` names it in failures. Gives
    /// the record, which is the only new one.
    ///
    /// # Errors
    /// When any of them is not as expected, or not soon.
    pub async fn expect_elb_error(
        &mut self,
        what: &str,
        answer: Answer<'_>,
        expected: &ElbError,
    ) -> Result<Record> {
        expected.check_answer(answer).with_context(|| what.to_owned())?;
        self.records += 1;
        let mut records = self.albeit.records("", self.records).await.with_context(|| what.to_owned())?;
        let record = records.pop().context("no record")?;
        expected.check_record(&record).with_context(|| what.to_owned())?;
        let sent = match answer {
            Answer::Http1(answer) => Some(answer.head.len() + answer.body.len()),
            Answer::Http2(_) | Answer::Grpc(_) => None,
            Answer::Nothing => Some(0),
        };
        if let Some(sent) = sent {
            ensure!(record["sent_bytes"] == sent.to_string(), "{what}: {sent} bytes came: {record:?}");
        }
        self.count(&expected.counters());
        self.expect_counts(what).await?;
        Ok(record)
    }

    /// Checks that the counters are exactly what was accounted for.
    ///
    /// # Errors
    /// When they are not soon.
    pub async fn expect_counts(&self, what: &str) -> Result<()> {
        eventually(SOON, &format!("the metrics after {what}"), || async {
            let metrics = self.albeit.metrics().await?;
            for counter in COUNTERS {
                let (found, expected) =
                    (metrics.cloudwatch(counter)?, self.counted.get(counter).copied().unwrap_or_default());
                ensure!((found - expected).abs() < 0.5, "{counter} is {found}, not {expected}");
            }
            Ok(())
        })
        .await
    }
}
