//! How a target is named on the command line, and which one is meant.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use serde_json::{Value, json};

use super::api::{Api, Group, Id, Problem, Target};

/// `IP`, `IP:PORT`, `HOST`, `HOST:PORT`, each with `GROUP/` before it, or the ARN of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    group: Option<String>,
    id: String,
    port: Option<u16>,
}

/// One target of one group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) group: String,
    pub(super) id: String,
    /// None is the group's.
    pub(super) port: Option<u16>,
}

impl Wanted {
    /// Reads an argument.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("arn:") {
            return Ok(Self { group: None, id: text.to_owned(), port: None });
        }
        let (group, target) = match text.split_once('/') {
            Some((group, target)) => (Some(group.to_owned()), target),
            None => (None, text),
        };
        let (id, port) = if let Ok(address) = target.parse::<SocketAddr>() {
            (address.ip().to_string(), Some(address.port()))
        } else if let Ok(ip) = target.parse::<IpAddr>() {
            (ip.to_string(), None)
        } else if let Some((host, port)) = target.split_once(':') {
            (host.to_owned(), Some(port.parse().map_err(|_| format!("'{port}' is not a port"))?))
        } else {
            (target.to_owned(), None)
        };
        let is_name =
            |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace());
        if !is_name(&id) || group.as_deref().is_some_and(|group| !is_name(group)) || port == Some(0) {
            return Err("a target is IP, IP:PORT, HOST or GROUP/IP:PORT".to_owned());
        }
        Ok(Self { group, id, port })
    }

    /// The registered or draining target that is meant. A host name, whose addresses are the targets, is
    /// taken as it is.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(super) fn find(&self, groups: &[Group]) -> Result<Place, Problem> {
        let places = self.candidates(groups);
        match places.as_slice() {
            [only] => Ok(only.clone()),
            [] if self.is_host_name() => self.place(groups),
            [] => {
                let all = Self { group: None, id: String::new(), port: None }.candidates(groups);
                Err(Problem::Argument(format!("there is no target {self} (have: {})", list(&all))))
            }
            several => {
                Err(Problem::Argument(format!("{self} may be any of {}: name one of them", list(several))))
            }
        }
    }

    /// Where a target is to be: in the group that is named, or the only one.
    ///
    /// # Errors
    /// When it is not clear which group, or there is none of the name.
    pub(super) fn place(&self, groups: &[Group]) -> Result<Place, Problem> {
        let names: Vec<&str> = groups.iter().map(|group| group.target_group_name.as_str()).collect();
        let group = match (&self.group, names.as_slice()) {
            (Some(name), names) if names.contains(&name.as_str()) => name.as_str(),
            (None, [only]) => only,
            (Some(name), _) => {
                let have = names.join(", ");
                return Err(Problem::Argument(format!("there is no target group {name} (have: {have})")));
            }
            (None, names) => {
                let choices: Vec<_> = names.iter().map(|group| format!("{group}/{self}")).collect();
                let choices = choices.join(", ");
                return Err(Problem::Argument(format!("which target group? Name one of {choices}")));
            }
        };
        Ok(Place { group: group.to_owned(), id: self.id.clone(), port: self.port })
    }

    /// Whether it is this one.
    pub(super) fn is(&self, id: &Id) -> bool {
        self.id == id.id && self.port.is_none_or(|port| port == id.port)
    }

    fn is_host_name(&self) -> bool {
        !self.id.starts_with("arn:") && self.id.parse::<IpAddr>().is_err()
    }

    /// All targets that fit; an empty `id` fits all.
    fn candidates(&self, groups: &[Group]) -> Vec<Place> {
        let fits = |group: &Group, target: &Target| {
            self.group.as_ref().is_none_or(|name| *name == group.target_group_name)
                && (self.id.is_empty() || self.id == target.target.id)
                && self.port.is_none_or(|port| port == target.target.port)
        };
        let mut places = Vec::new();
        for group in groups {
            let targets = group.targets.iter().filter(|target| fits(group, target));
            places.extend(targets.map(|target| Place {
                group: group.target_group_name.clone(),
                id: target.target.id.clone(),
                port: Some(target.target.port),
            }));
        }
        // One that was registered again while it drained is there twice.
        places.sort();
        places.dedup();
        places
    }
}

impl Place {
    /// Its descriptions: none once it is gone.
    pub(super) fn of<'g>(&self, groups: &'g [Group]) -> Vec<&'g Target> {
        let group = groups.iter().filter(|group| group.target_group_name == self.group);
        let targets = group.flat_map(|group| &group.targets);
        let is = |target: &&Target| {
            target.target.id == self.id && self.port.is_none_or(|port| port == target.target.port)
        };
        targets.filter(is).collect()
    }

    /// The body of an action on it.
    pub(super) fn body(&self) -> Value {
        let target = match self.port {
            Some(port) => json!({ "Id": self.id, "Port": port }),
            None => json!({ "Id": self.id }),
        };
        json!({ "TargetGroupName": self.group, "Targets": [target] })
    }
}

/// All groups with their targets.
pub(super) async fn groups(api: &Api) -> Result<Vec<Group>, Problem> {
    api.all("/targets?PageSize=400", "TargetGroups").await
}

fn list(places: &[Place]) -> String {
    if places.is_empty() {
        return "none".to_owned();
    }
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn target(f: &mut fmt::Formatter<'_>, group: Option<&str>, id: &str, port: Option<u16>) -> fmt::Result {
    if let Some(group) = group {
        write!(f, "{group}/")?;
    }
    match (id.parse(), port) {
        (Ok(ip), Some(port)) => write!(f, "{}", SocketAddr::new(ip, port)),
        (Err(_), Some(port)) => write!(f, "{id}:{port}"),
        (_, None) => f.write_str(id),
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        target(f, self.group.as_deref(), &self.id, self.port)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        target(f, Some(&self.group), &self.id, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Vec<Group> {
        let target = |id: &str, port: u16, state: &str| json!({ "Target": { "Id": id, "Port": port }, "TargetHealth": { "State": state } });
        let group = |name: &str, targets: Vec<Value>| json!({ "TargetGroupName": name, "TargetGroupArn": name, "TargetHealthDescriptions": targets });
        let groups = json!([
            group(
                "web",
                vec![
                    target("10.0.0.1", 80, "healthy"),
                    target("10.0.0.2", 80, "healthy"),
                    target("10.0.0.2", 80, "draining"),
                    target("::1", 80, "healthy"),
                ]
            ),
            group(
                "api",
                vec![target("10.0.0.1", 81, "healthy"), target("arn:aws:lb/app/x/1", 80, "healthy")]
            ),
        ]);
        serde_json::from_value(groups).unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = Wanted::parse(text).unwrap().find(&groups());
        let found = found.map(|place| place.to_string()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn a_target_is_found_by_what_is_known_of_it() {
        check("10.0.0.2", Ok("web/10.0.0.2:80"));
        check("10.0.0.1:81", Ok("api/10.0.0.1:81"));
        check("web/10.0.0.1", Ok("web/10.0.0.1:80"));
        check("::1", Ok("web/[::1]:80"));
        check("[::1]:80", Ok("web/[::1]:80"));
        check("arn:aws:lb/app/x/1", Ok("api/arn:aws:lb/app/x/1:80"));
        check("web/backend", Ok("web/backend"));
        check("web/backend:8080", Ok("web/backend:8080"));
    }

    #[test]
    fn what_is_not_clear_lists_the_choices() {
        check("10.0.0.1", Err("10.0.0.1 may be any of api/10.0.0.1:81, web/10.0.0.1:80: name one of them"));
        check(
            "10.0.0.9",
            Err("there is no target 10.0.0.9 (have: api/10.0.0.1:81, api/arn:aws:lb/app/x/1:80, \
                 web/10.0.0.1:80, web/10.0.0.2:80, web/[::1]:80)"),
        );
        check("backend:80", Err("which target group? Name one of web/backend:80, api/backend:80"));
        check("nope/backend", Err("there is no target group nope (have: web, api)"));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for wrong in ["", "/", "web/", "/10.0.0.1", "a b", "a:b", "10.0.0.1:0", "10.0.0.1:70000", "\u{1b}[1m"]
        {
            assert!(Wanted::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
