//! References between resources: an ARN, or a template with one address in it.

use crate::doctor::document::hcl::UNKNOWN;

/// What resources are called whose addresses are looked for.
const PREFIX: &str = "aws_";

/// The id that a text refers to. Addresses are those of a module: `module` stands before them.
///
/// A template of several addresses, or of none, refers to nothing that can be known: it stays as it is.
pub(super) fn id(module: &str, text: &str) -> String {
    if !text.contains(UNKNOWN) {
        return text.to_owned();
    }
    let mut addresses: Vec<_> = addresses(text).collect();
    addresses.sort_unstable();
    addresses.dedup();
    match addresses.as_slice() {
        [only] => of(module, only),
        _ => text.to_owned(),
    }
}

/// The id of the resource at an address.
pub(super) fn of(module: &str, address: &str) -> String {
    format!("{module}{}", bare(address))
}

/// An address without the index of an instance: `aws_lb.web[0]` → `aws_lb.web`.
fn bare(address: &str) -> &str {
    match address.rsplit_once('[') {
        Some((resource, index)) if index.ends_with(']') => resource,
        _ => address,
    }
}

/// Every `aws_….NAME` in a text, with `data.` before it where it stands there.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let part = |letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    text.split(part).filter_map(|path| {
        let mut parts = path.splitn(4, '.');
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
        let names = match (first, third) {
            ("data", Some(third)) if second.starts_with(PREFIX) => {
                2 + first.len() + second.len() + third.len()
            }
            _ if first.starts_with(PREFIX) => 1 + first.len() + second.len(),
            _ => return None,
        };
        path.get(..names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(id("m/", text), expected);
    }

    #[test]
    fn one_address_is_a_reference() {
        check("arn:aws:x", "arn:aws:x");
        check("${aws_lb.web.arn}", "m/aws_lb.web");
        check("${aws_lb.web[0].arn}", "m/aws_lb.web");
        check("${one(aws_lb.web[*].arn)}", "m/aws_lb.web");
        check(
            "${aws_ecs_task_definition.a.family}:${aws_ecs_task_definition.a.revision}",
            "m/aws_ecs_task_definition.a",
        );
        check("${data.aws_lb.web.arn}", "m/data.aws_lb.web");
    }

    #[test]
    fn the_index_of_an_instance_is_no_part_of_an_id() {
        assert_eq!(of("", "module.lb[\"a.b\"].aws_lb.web[0]"), "module.lb[\"a.b\"].aws_lb.web");
        assert_eq!(of("infra#", "aws_lb.web"), "infra#aws_lb.web");
    }

    #[test]
    fn what_cannot_be_known_stays_as_it_is() {
        for text in ["${var.x ? aws_lb.a.arn : aws_lb.b.arn}", "${module.lb.arn}", "${var.arn}"] {
            check(text, text);
        }
    }
}
