//! Listener attributes.

use super::{
    AppliesTo, Attribute,
    DefaultValue::Always,
    Resource, Support,
    ValueType::{self, Boolean, Cidrs, FrameOptions, HeaderName, HeaderValue, Integer, OneOf},
};

/// Longest value of an inserted response header, in bytes.
const LONGEST_HEADER_VALUE: usize = 1024;
/// Longest name of a renamed request header, in characters.
const LONGEST_HEADER_NAME: usize = 40;

const fn application(
    key: &'static str,
    value: ValueType,
    default: &'static str,
    doc: &'static str,
) -> Attribute {
    Attribute {
        key,
        resource: Resource::Listener,
        applies_to: AppliesTo::Application,
        value,
        default: Always(default),
        support: Support::Acts,
        doc,
    }
}

/// A response header that is inserted or overwritten.
const fn inserted(key: &'static str, doc: &'static str) -> Attribute {
    application(key, HeaderValue(LONGEST_HEADER_VALUE), "", doc)
}

/// A request header that is sent under another name.
const fn renamed(key: &'static str, default: &'static str, doc: &'static str) -> Attribute {
    application(key, HeaderName(LONGEST_HEADER_NAME), default, doc)
}

/// Every listener attribute.
pub(super) const TABLE: &[Attribute] = &[
    Attribute {
        key: "tcp.idle_timeout.seconds",
        resource: Resource::Listener,
        applies_to: AppliesTo::Network,
        value: Integer(60, 6000),
        default: Always("350"),
        support: Support::Acts,
        doc: "Seconds without a packet after which a TCP flow is forgotten.",
    },
    Attribute {
        key: "albeit.proxy_protocol",
        resource: Resource::Listener,
        applies_to: AppliesTo::Both,
        value: OneOf(&["off", "optional", "required"]),
        default: Always("off"),
        support: Support::Acts,
        doc: "Whether connections begin with a PROXY protocol header, version 1 or 2; believed only from `albeit.proxy_protocol.trusted_cidrs`. It must be complete within 10 seconds; if it is optional, whoever says nothing for so long has none.",
    },
    Attribute {
        key: "albeit.proxy_protocol.trusted_cidrs",
        resource: Resource::Listener,
        applies_to: AppliesTo::Both,
        value: Cidrs,
        default: Always(""),
        support: Support::Acts,
        doc: "Whose PROXY protocol headers are believed: CIDR blocks, separated by commas, such as the subnets of a network load balancer in front.",
    },
    application(
        "routing.http.response.server.enabled",
        Boolean,
        "true",
        "Responses made by the load balancer carry the header `server: awselb/2.0`.",
    ),
    inserted(
        "routing.http.response.strict_transport_security.header_value",
        "Value of Strict-Transport-Security in responses.",
    ),
    inserted(
        "routing.http.response.access_control_allow_origin.header_value",
        "Value of Access-Control-Allow-Origin in responses.",
    ),
    inserted(
        "routing.http.response.access_control_allow_methods.header_value",
        "Value of Access-Control-Allow-Methods in responses.",
    ),
    inserted(
        "routing.http.response.access_control_allow_headers.header_value",
        "Value of Access-Control-Allow-Headers in responses.",
    ),
    application(
        "routing.http.response.access_control_allow_credentials.header_value",
        OneOf(&["", "true"]),
        "",
        "Value of Access-Control-Allow-Credentials in responses.",
    ),
    inserted(
        "routing.http.response.access_control_expose_headers.header_value",
        "Value of Access-Control-Expose-Headers in responses.",
    ),
    inserted(
        "routing.http.response.access_control_max_age.header_value",
        "Value of Access-Control-Max-Age in responses, in seconds.",
    ),
    inserted(
        "routing.http.response.content_security_policy.header_value",
        "Value of Content-Security-Policy in responses.",
    ),
    application(
        "routing.http.response.x_content_type_options.header_value",
        OneOf(&["", "nosniff"]),
        "",
        "Value of X-Content-Type-Options in responses.",
    ),
    application(
        "routing.http.response.x_frame_options.header_value",
        FrameOptions(LONGEST_HEADER_VALUE),
        "",
        "Value of X-Frame-Options in responses: DENY, SAMEORIGIN or ALLOW-FROM with an origin.",
    ),
    renamed(
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        "X-Amzn-Mtls-Clientcert-Serial-Number",
        "Name of the header with the client certificate's serial number.",
    ),
    renamed(
        "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
        "X-Amzn-Mtls-Clientcert-Issuer",
        "Name of the header with the client certificate's issuer.",
    ),
    renamed(
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        "X-Amzn-Mtls-Clientcert-Subject",
        "Name of the header with the client certificate's subject.",
    ),
    renamed(
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        "X-Amzn-Mtls-Clientcert-Validity",
        "Name of the header with the client certificate's validity.",
    ),
    renamed(
        "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
        "X-Amzn-Mtls-Clientcert-Leaf",
        "Name of the header with the client's leaf certificate.",
    ),
    renamed(
        "routing.http.request.x_amzn_mtls_clientcert.header_name",
        "X-Amzn-Mtls-Clientcert",
        "Name of the header with the client's certificate chain (passthrough).",
    ),
    renamed(
        "routing.http.request.x_amzn_tls_version.header_name",
        "X-Amzn-Tls-Version",
        "Name of the header with the negotiated TLS version.",
    ),
    renamed(
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        "X-Amzn-Tls-Cipher-Suite",
        "Name of the header with the negotiated cipher suite.",
    ),
];
