//! The words for a flow, one connection through a Network Load Balancer.
//!
//! ELB page: "What is a Network Load Balancer?". One flow from a client is one
//! flow to a target. Logs and metrics speak of flows in these words; what moves
//! their bytes is not here.

/// What a flow's listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Bytes pass as they are.
    Tcp,
    /// TLS ends at the listener.
    Tls,
}

impl Protocol {
    /// The name in logs: `tcp`, `tls`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

macro_rules! close_reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal,)+) => {
        /// Why a flow ended. The first cause counts: what follows from it has no line of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum CloseReason {
            $($(#[$doc])* #[doc = concat!("`", $name, "`.")] $reason,)+
        }

        impl CloseReason {
            /// Every reason, in the order of their discriminants.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// The name in logs and metric labels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }
        }
    };
}

close_reasons! {
    /// Both sides ended their stream, the client first:
    ClientFin = "client_fin",
    /// Both sides ended their stream, the target first:
    TargetFin = "target_fin",
    /// The client's connection was reset:
    ClientReset = "client_reset",
    /// The target's connection was reset after it was established:
    TargetReset = "target_reset",
    /// The client's connection broke in another way, such as TLS that cannot be read:
    ClientError = "client_error",
    /// The target's connection broke in another way after it was established:
    TargetError = "target_error",
    /// No byte passed in either direction for the idle timeout:
    IdleTimeout = "idle_timeout",
    /// The target turned unhealthy and `target_health_state.unhealthy.connection_termination.enabled` is on:
    UnhealthyTarget = "unhealthy_target",
    /// The target's deregistration delay is over and `deregistration_delay.connection_termination.enabled` is
    /// on:
    DeregisteredTarget = "deregistered_target",
    /// There was no target to choose:
    NoTarget = "no_target",
    /// The target refused the connection or could not be reached:
    ConnectFailed = "connect_failed",
    /// The target did not take the connection in time:
    ConnectTimeout = "connect_timeout",
    /// No source port or address was free for the connection to the target:
    PortAllocationError = "port_allocation_error",
    /// The client's TLS handshake failed or took too long:
    ClientTlsError = "client_tls_error",
    /// The target's TLS handshake failed or took too long:
    TargetTlsError = "target_tls_error",
    /// The target group has had weight 0 for a while:
    Removed = "removed",
    /// A fault on purpose reset it (`albeit.fault.reset`):
    Fault = "fault",
    /// The load balancer went away:
    Shutdown = "shutdown",
    /// The load balancer failed:
    InternalError = "internal_error",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own_that_is_one_word() {
        let names: HashSet<&str> = CloseReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), CloseReason::ALL.len());
        let is_word = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(names.iter().all(is_word), "{names:?}");
    }

    #[test]
    fn reasons_are_numbered_by_their_place() {
        let numbers: Vec<usize> = CloseReason::ALL.iter().map(|&reason| usize::from(reason as u8)).collect();
        assert!(numbers.into_iter().eq(0..CloseReason::ALL.len()));
    }
}
