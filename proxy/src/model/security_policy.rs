//! TLS security policies by AWS name.
//!
//! ELB page: "Security policies for your Application Load Balancer".

/// A TLS security policy.
#[derive(Debug, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// Full name, `ELBSecurityPolicy-…`.
    pub name: &'static str,
}
