//! The gauges of load balancers, out of the Prometheus text of `/metrics`.

/// Values by the name of the gauge and its load balancer.
#[derive(Debug, Default)]
pub(super) struct Gauges(Vec<(String, String, u64)>);

impl Gauges {
    /// Keeps the samples whose one label is `load_balancer`.
    pub(super) fn read(text: &str) -> Self {
        let samples = text.lines().filter_map(|line| {
            let (name, rest) = line.split_once("{load_balancer=\"")?;
            let (load_balancer, value) = rest.split_once("\"} ")?;
            Some((name.to_owned(), load_balancer.to_owned(), value.trim().parse().ok()?))
        });
        Self(samples.collect())
    }

    /// The gauge `name` of the load balancer with this ARN, the end of which is the label.
    pub(super) fn of(&self, name: &str, arn: &str) -> Option<u64> {
        let found = self.0.iter().find(|(known, load_balancer, _)| {
            known == name && !load_balancer.is_empty() && arn.ends_with(&format!("/{load_balancer}"))
        });
        found.map(|(.., value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_found_by_name_and_load_balancer() {
        let gauges = Gauges::read(
            "# HELP a b\na{load_balancer=\"app/web/12\"} 3\na{load_balancer=\"app/web/13\"} 4\n\
             b{load_balancer=\"app/web/12\",az=\"x\"} 5\nb{load_balancer=\"app/web/12\"} x\nc 1\n",
        );
        assert_eq!(gauges.of("a", "arn:aws:elb:local:0:loadbalancer/app/web/13"), Some(4));
        assert_eq!(gauges.of("a", "arn:aws:elb:local:0:loadbalancer/app/web/1"), None);
        assert_eq!(gauges.of("b", "arn:aws:elb:local:0:loadbalancer/app/web/12"), None);
    }
}
