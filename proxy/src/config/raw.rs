//! The file as written: every key of the resource model, nothing checked.
//!
//! Keys are AWS's names in snake case. Variants are maps with one key, so that
//! an error keeps its full path; unknown keys are errors. Everything is
//! optional here, since decoding takes out what is wrong: the conversion
//! reports what is missing.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{
    scalar::{Number, Span, Text},
    targets_declare::RawTargetsDeclare,
    traces::RawTraces,
};

/// A list; an element that was empty or wrong is `None`.
pub(super) type List<T> = Option<Vec<Option<T>>>;
/// Attributes by AWS's dotted keys.
pub(super) type RawAttributes = Option<BTreeMap<String, Option<Text>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) account_id: Option<Text>,
    pub(super) region: Option<Text>,
    pub(super) certificates: List<RawCertificate>,
    pub(super) trust_stores: List<RawTrustStore>,
    pub(super) load_balancers: List<RawLoadBalancer>,
    pub(super) target_groups: List<RawTargetGroup>,
    pub(super) admin: Option<RawAdmin>,
    pub(super) stickiness_keys: List<RawKeyFile>,
    pub(super) traces: Option<RawTraces>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCertificate {
    pub(super) name: Option<Text>,
    pub(super) certificate: Option<Text>,
    pub(super) private_key: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrustStore {
    pub(super) name: Option<Text>,
    pub(super) ca_certificates_bundle: Option<Text>,
    pub(super) revocation_lists: List<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    pub(super) enabled: Option<bool>,
    pub(super) bind: Option<Text>,
    pub(super) token: Option<Text>,
    pub(super) token_file: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeyFile {
    pub(super) file: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLoadBalancer {
    pub(super) name: Option<Text>,
    pub(super) r#type: Option<Text>,
    pub(super) attributes: RawAttributes,
    pub(super) listeners: List<RawListener>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListener {
    pub(super) protocol: Option<Text>,
    pub(super) address: Option<Text>,
    pub(super) port: Option<Number>,
    pub(super) ssl_policy: Option<Text>,
    pub(super) certificates: List<Text>,
    pub(super) alpn_policy: Option<Text>,
    pub(super) mutual_authentication: Option<RawMutualAuthentication>,
    pub(super) attributes: RawAttributes,
    pub(super) default_actions: List<RawAction>,
    pub(super) rules: List<RawRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMutualAuthentication {
    pub(super) mode: Option<Text>,
    pub(super) trust_store: Option<Text>,
    pub(super) ignore_client_certificate_expiry: Option<bool>,
    pub(super) advertise_trust_store_ca_names: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) priority: Option<Number>,
    pub(super) conditions: List<RawCondition>,
    pub(super) transforms: List<RawTransform>,
    pub(super) actions: List<RawAction>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCondition {
    pub(super) host_header: Option<RawPatterns>,
    pub(super) path_pattern: Option<RawPatterns>,
    pub(super) http_header: Option<RawHttpHeader>,
    pub(super) http_request_method: List<Text>,
    pub(super) query_string: List<RawQueryString>,
    pub(super) source_ip: List<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttpHeader {
    pub(super) name: Option<Text>,
    pub(super) values: List<Text>,
    pub(super) regex_values: List<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQueryString {
    pub(super) key: Option<Text>,
    pub(super) value: Option<Text>,
}

/// A list of patterns, or a map that names them `values` or `regex_values`.
#[derive(Debug)]
pub(super) struct RawPatterns {
    pub(super) values: List<Text>,
    pub(super) regex_values: List<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPatternMap {
    values: List<Text>,
    regex_values: List<Text>,
}

struct PatternsVisitor;

impl<'de> Visitor<'de> for PatternsVisitor {
    type Value = RawPatterns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of patterns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RawPatterns, A::Error> {
        let values = Deserialize::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(RawPatterns { values: Some(values), regex_values: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawPatterns, A::Error> {
        let RawPatternMap { values, regex_values } =
            Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawPatterns { values, regex_values })
    }
}

impl<'de> Deserialize<'de> for RawPatterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PatternsVisitor)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTransform {
    pub(super) host_header_rewrite: Option<RawRewrite>,
    pub(super) url_rewrite: Option<RawRewrite>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRewrite {
    pub(super) regex: Option<Text>,
    pub(super) replace: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAction {
    pub(super) forward: Option<RawForward>,
    pub(super) redirect: Option<RawRedirect>,
    pub(super) fixed_response: Option<RawFixedResponse>,
    pub(super) authenticate_oidc: Option<RawAuthenticateOidc>,
    pub(super) authenticate_cognito: Option<RawAuthenticateCognito>,
    pub(super) jwt_validation: Option<RawJwtValidation>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForward {
    pub(super) target_group: Option<Text>,
    pub(super) target_groups: List<RawWeightedTargetGroup>,
    pub(super) target_group_stickiness_config: Option<RawTargetGroupStickiness>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeightedTargetGroup {
    pub(super) target_group: Option<Text>,
    pub(super) weight: Option<Number>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTargetGroupStickiness {
    pub(super) enabled: Option<bool>,
    pub(super) duration: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRedirect {
    pub(super) protocol: Option<Text>,
    pub(super) host: Option<Text>,
    pub(super) port: Option<Text>,
    pub(super) path: Option<Text>,
    pub(super) query: Option<Text>,
    pub(super) status_code: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFixedResponse {
    pub(super) status_code: Option<Text>,
    pub(super) content_type: Option<Text>,
    pub(super) message_body: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthenticateOidc {
    pub(super) issuer: Option<Text>,
    pub(super) authorization_endpoint: Option<Text>,
    pub(super) token_endpoint: Option<Text>,
    pub(super) user_info_endpoint: Option<Text>,
    pub(super) client_id: Option<Text>,
    pub(super) client_secret: Option<Text>,
    pub(super) session_cookie_name: Option<Text>,
    pub(super) scope: Option<Text>,
    pub(super) session_timeout: Option<Span>,
    pub(super) authentication_request_extra_params: RawAttributes,
    pub(super) on_unauthenticated_request: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthenticateCognito {
    pub(super) user_pool_arn: Option<Text>,
    pub(super) user_pool_client_id: Option<Text>,
    pub(super) user_pool_domain: Option<Text>,
    pub(super) session_cookie_name: Option<Text>,
    pub(super) scope: Option<Text>,
    pub(super) session_timeout: Option<Span>,
    pub(super) authentication_request_extra_params: RawAttributes,
    pub(super) on_unauthenticated_request: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJwtValidation {
    pub(super) jwks_endpoint: Option<Text>,
    pub(super) issuer: Option<Text>,
    pub(super) additional_claims: List<RawClaim>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClaim {
    pub(super) name: Option<Text>,
    pub(super) format: Option<Text>,
    pub(super) values: List<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTargetGroup {
    pub(super) name: Option<Text>,
    pub(super) protocol: Option<Text>,
    pub(super) protocol_version: Option<Text>,
    pub(super) target_type: Option<Text>,
    pub(super) port: Option<Number>,
    pub(super) health_check: Option<RawHealthCheck>,
    pub(super) attributes: RawAttributes,
    pub(super) targets: List<RawTarget>,
    pub(super) targets_declare: Option<RawTargetsDeclare>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHealthCheck {
    pub(super) enabled: Option<bool>,
    pub(super) protocol: Option<Text>,
    pub(super) port: Option<Text>,
    pub(super) path: Option<Text>,
    pub(super) interval: Option<Span>,
    pub(super) timeout: Option<Span>,
    pub(super) healthy_threshold: Option<Number>,
    pub(super) unhealthy_threshold: Option<Number>,
    pub(super) matcher: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    pub(super) id: Option<Text>,
    pub(super) port: Option<Number>,
    pub(super) availability_zone: Option<Text>,
    pub(super) quic_server_id: Option<Text>,
}
