//! A connection attempt in the connection log.
//!
//! ELB page: "Connection logs for your Application Load Balancer".

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    access_log::{ConnectionRecord, connection::LeafClientCertificate, record::ConnTraceId},
    alb::state::LoadBalancerState,
    tls::{
        accept::{HandshakeError, TlsInfo},
        client_certificate::ClientCertificate,
        verify_status::VerifyStatus,
    },
};

/// What is known of an attempt before its handshake.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) trace_id: ConnTraceId,
}

/// What became of the handshake.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tls<'a> {
    /// The listener speaks clear text.
    None,
    /// It succeeded, after `latency`.
    Established(&'a TlsInfo, Duration),
    /// It failed.
    Failed(&'a HandshakeError),
}

impl Attempt {
    /// Writes the attempt, if the load balancer has a connection log.
    pub(super) fn log(
        &self,
        load_balancer: &LoadBalancerState,
        tls: Tls<'_>,
        now: impl FnOnce() -> SystemTime,
    ) {
        let Some(log) = &load_balancer.connection_log else {
            return;
        };
        let clear = ConnectionRecord {
            timestamp: now(),
            client: self.client,
            listener_port: self.local.port(),
            tls_protocol: None,
            tls_cipher: None,
            tls_handshake_latency: None,
            client_certificate: None,
            tls_verify_status: None,
            conn_trace_id: self.trace_id,
            tls_keyexchange: None,
            elb: &load_balancer.log_name,
            ip_address: self.local.ip(),
        };
        log.record(&match tls {
            Tls::None => clear,
            Tls::Established(info, latency) => ConnectionRecord {
                tls_protocol: Some(info.protocol),
                tls_cipher: Some(info.cipher),
                tls_handshake_latency: Some(latency),
                client_certificate: leaf(info.client_certificate.as_ref()),
                tls_verify_status: Some(VerifyStatus::Success.as_str()),
                tls_keyexchange: Some(info.key_exchange),
                ..clear
            },
            Tls::Failed(error) => ConnectionRecord {
                client_certificate: leaf(error.client_certificate()),
                tls_verify_status: Some(error.verify_status().as_str()),
                ..clear
            },
        });
    }
}

/// The certificate as the log tells it.
fn leaf(certificate: Option<&Arc<ClientCertificate>>) -> Option<LeafClientCertificate<'_>> {
    certificate.map(|certificate| LeafClientCertificate {
        subject: certificate.subject.as_bytes(),
        validity: certificate.validity.as_bytes(),
        serial_number: certificate.serial_number.as_bytes(),
    })
}
