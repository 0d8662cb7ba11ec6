//! The ports of the files in `conf/`: those that they name, those that the
//! environment names, or held ones.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result};

use super::Way;
use crate::ports::HeldPort;

/// A port that the files leave to the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Of the application load balancer.
    Https,
    /// Of the network load balancer.
    Nlb,
    /// Of the first target.
    Backend1,
    /// Of the second target.
    Backend2,
    /// Of the admin API.
    Admin,
    /// Of the admin API of the process in front, where there are two.
    AdminFront,
}

impl Name {
    const ALL: [Self; 6] =
        [Self::Https, Self::Nlb, Self::Backend1, Self::Backend2, Self::Admin, Self::AdminFront];

    /// The environment variable, and the port without it.
    const fn default(self) -> (&'static str, u16) {
        match self {
            Self::Https => ("ALBEIT_HTTPS_PORT", 58080),
            Self::Nlb => ("ALBEIT_NLB_PORT", 33335),
            Self::Backend1 => ("ALBEIT_BACKEND_1_PORT", 9001),
            Self::Backend2 => ("ALBEIT_BACKEND_2_PORT", 9002),
            Self::Admin => ("ALBEIT_ADMIN_BIND", 9901),
            Self::AdminFront => ("ALBEIT_ADMIN_BIND", 9902),
        }
    }

    /// Whether `way` listens on it.
    fn is_of(self, way: Way) -> bool {
        match self {
            Self::Https => !matches!(way, Way::NlbTls | Way::NlbTcp),
            Self::Nlb => way != Way::Alb,
            Self::AdminFront => way == Way::NlbProxyAlb,
            Self::Backend1 | Self::Backend2 | Self::Admin => true,
        }
    }
}

/// The ports of one way.
#[derive(Debug)]
pub struct Ports {
    numbers: Vec<(Name, u16)>,
    /// Whoever listens must set `SO_REUSEPORT` beside these.
    held: Vec<HeldPort>,
}

impl Ports {
    /// As the files say, or the environment of this process.
    ///
    /// # Errors
    /// When the environment has something else than a port number.
    pub fn of_files() -> Result<Self> {
        let number = |name: Name| -> Result<u16> {
            let (variable, default) = name.default();
            match std::env::var(variable) {
                Ok(_) if matches!(name, Name::Admin | Name::AdminFront) => Ok(default),
                Ok(text) => text.parse().with_context(|| format!("{variable} is {text:?}, not a port")),
                Err(_) => Ok(default),
            }
        };
        let numbers = Name::ALL.into_iter().map(|name| Ok((name, number(name)?))).collect::<Result<_>>()?;
        Ok(Self { numbers, held: Vec::new() })
    }

    /// Free ports that nobody else gets.
    ///
    /// # Errors
    /// When there are none.
    pub fn held() -> Result<Self> {
        let held = Name::ALL.into_iter().map(|_| HeldPort::try_new()).collect::<Result<Vec<_>>>()?;
        let numbers = Name::ALL.into_iter().zip(held.iter().map(HeldPort::port)).collect();
        Ok(Self { numbers, held })
    }

    /// The number of a port.
    #[must_use]
    pub fn number(&self, name: Name) -> u16 {
        self.numbers.iter().find(|(of, _)| *of == name).map_or(0, |(_, number)| *number)
    }

    /// Where it is.
    #[must_use]
    pub fn addr(&self, name: Name) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number(name)).into()
    }

    /// The port that the file has in the place of `number`.
    #[must_use]
    pub fn in_files(&self, number: u16) -> u16 {
        let named = self.numbers.iter().find(|(_, of)| *of == number);
        named.map_or(number, |(name, _)| name.default().1)
    }

    /// Whether whoever listens must set `SO_REUSEPORT`.
    #[must_use]
    pub fn are_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Environment of `albeit` for the admin API at `admin`.
    #[must_use]
    pub fn environment(&self, admin: Name) -> Vec<(&'static str, String)> {
        let plain = [Name::Https, Name::Nlb, Name::Backend1, Name::Backend2];
        let mut variables: Vec<_> =
            plain.map(|name| (name.default().0, self.number(name).to_string())).to_vec();
        variables.push((admin.default().0, self.addr(admin).to_string()));
        variables
    }

    /// Checks that nobody listens on the ports of `way`.
    ///
    /// # Errors
    /// Which port is taken, and what can be done.
    pub fn check_free(&self, way: Way) -> Result<()> {
        if self.are_held() {
            return Ok(());
        }
        for (name, number) in self.numbers.iter().filter(|(name, _)| name.is_of(way)) {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, *number));
            drop(free.with_context(|| {
                let hint = match name {
                    Name::Admin | Name::AdminFront => "end what has it (another albeit?)".to_owned(),
                    _ => format!("end what has it, or set {} to another", name.default().0),
                };
                format!("port {number} of 127.0.0.1 is taken: {hint}")
            })?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_way_out() -> Result<()> {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let number = taken.local_addr()?.port();
        let ports = Ports { numbers: vec![(Name::Nlb, number)], held: Vec::new() };
        let error = ports.check_free(Way::NlbTcp).unwrap_err().to_string();
        let expected = format!(
            "port {number} of 127.0.0.1 is taken: end what has it, or set ALBEIT_NLB_PORT to another"
        );
        assert_eq!(error, expected);
        ports.check_free(Way::Alb)
    }
}
