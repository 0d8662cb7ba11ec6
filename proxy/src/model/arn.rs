//! ARN-like names and ids, derived from names so that they are the same at every start.
//!
//! ELB page: "Resource types defined by Elastic Load Balancing".

use super::{ListenerProtocol, LoadBalancerType};

/// Account and region that stand in ARNs and log paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Twelve digits. Default `000000000000`.
    pub account_id: String,
    /// Default `local`.
    pub region: String,
}

impl Default for Scope {
    fn default() -> Self {
        Self { account_id: "000000000000".to_owned(), region: "local".to_owned() }
    }
}

impl Scope {
    /// `arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID`.
    #[must_use]
    pub fn load_balancer(&self, kind: LoadBalancerType, name: &str) -> String {
        format!("{}loadbalancer/{}", self.prefix(), load_balancer_path(kind, name))
    }

    /// `…:listener/app/NAME/LBID/ID`.
    #[must_use]
    pub fn listener(
        &self,
        kind: LoadBalancerType,
        name: &str,
        protocol: ListenerProtocol,
        port: u16,
    ) -> String {
        let path = load_balancer_path(kind, name);
        let id = id(&format!("listener/{path}/{}/{port}", protocol.as_str()));
        format!("{}listener/{path}/{id}", self.prefix())
    }

    /// `…:targetgroup/NAME/ID`.
    #[must_use]
    pub fn target_group(&self, name: &str) -> String {
        format!("{}{}", self.prefix(), target_group_path(name))
    }

    /// `arn:aws:acm:REGION:ACCOUNT:certificate/NAME`.
    #[must_use]
    pub fn certificate(&self, name: &str) -> String {
        format!("arn:aws:acm:{}:{}:certificate/{name}", self.region, self.account_id)
    }

    /// `…:truststore/NAME/ID`.
    #[must_use]
    pub fn trust_store(&self, name: &str) -> String {
        format!("{}truststore/{name}/{}", self.prefix(), id(&format!("truststore/{name}")))
    }

    /// The DNS name: `NAME-DIGITS.REGION.elb.amazonaws.com`, `NAME-HEX.elb.REGION.amazonaws.com` for a
    /// network load balancer.
    #[must_use]
    pub fn dns_name(&self, kind: LoadBalancerType, name: &str) -> String {
        let region = &self.region;
        let hash = hash(&load_balancer_path(kind, name));
        match kind {
            LoadBalancerType::Application => {
                format!("{name}-{}.{region}.elb.amazonaws.com", hash % 10_000_000_000)
            }
            LoadBalancerType::Network => format!("{name}-{hash:016x}.elb.{region}.amazonaws.com"),
        }
    }

    fn prefix(&self) -> String {
        format!("arn:aws:elasticloadbalancing:{}:{}:", self.region, self.account_id)
    }
}

/// `…:listener-rule/app/NAME/LBID/LISTENERID/ID` of the rule with `priority` of `listener`, an ARN.
/// The default rule has priority 0.
#[must_use]
pub fn rule(listener: &str, priority: u16) -> String {
    let id = id(&format!("{listener}/{priority}"));
    format!("{}/{id}", listener.replacen(":listener/", ":listener-rule/", 1))
}

/// `app/NAME/ID` or `net/NAME/ID`: the load balancer's name in logs and metrics.
#[must_use]
pub fn load_balancer_path(kind: LoadBalancerType, name: &str) -> String {
    let kind = match kind {
        LoadBalancerType::Application => "app",
        LoadBalancerType::Network => "net",
    };
    format!("{kind}/{name}/{}", id(&format!("loadbalancer/{kind}/{name}")))
}

/// Whether a [`load_balancer_path`] is that of a Network Load Balancer.
#[must_use]
pub fn is_network(load_balancer_path: &str) -> bool {
    load_balancer_path.starts_with("net/")
}

/// `targetgroup/NAME/ID`: the target group's name in metrics.
#[must_use]
pub fn target_group_path(name: &str) -> String {
    format!("targetgroup/{name}/{}", id(&format!("targetgroup/{name}")))
}

/// Sixteen hex digits from a name.
fn id(name: &str) -> String {
    format!("{:016x}", hash(name))
}

/// FNV-1a, 64 bit: stable, not secret.
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_differ_by_name() {
        let scope = Scope::default();
        let arn = scope.target_group("web");
        assert_eq!(arn, scope.target_group("web"));
        assert_ne!(arn, scope.target_group("api"));
        assert!(arn.starts_with("arn:aws:elasticloadbalancing:local:000000000000:targetgroup/web/"));
        assert_eq!(arn.rsplit('/').next().map(str::len), Some(16));
    }

    #[test]
    fn a_load_balancers_log_name_is_the_tail_of_its_arn() {
        let scope = Scope::default();
        let arn = scope.load_balancer(LoadBalancerType::Application, "edge");
        let path = load_balancer_path(LoadBalancerType::Application, "edge");
        assert!(arn.ends_with(&format!("loadbalancer/{path}")));
        assert!(path.starts_with("app/edge/"));
    }
}
