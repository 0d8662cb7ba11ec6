//! Fields of a query, or of a form that is sent like one.

/// The first field of this name, with its escapes undone (`%41`, `+`). A `%`
/// that is no escape stands for itself.
#[must_use]
pub fn field(form: &str, name: &str) -> Option<Vec<u8>> {
    form.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then(|| unescape(value))
    })
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, tail @ ..]) => {
                if let (Some(high), Some(low)) = (nibble(*high), nibble(*low)) {
                    bytes.push(high << 4 | low);
                    rest = tail;
                } else {
                    bytes.push(b'%');
                }
            }
            (other, _) => bytes.push(*other),
        }
    }
    bytes
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: &str, expected: Option<&[u8]>) {
        assert_eq!(field(form, "d").as_deref(), expected, "{form:?}");
    }

    #[test]
    fn a_field_is_found_and_its_escapes_are_undone() {
        check("d=%5B%22x%2b+y%22%5D", Some(b"[\"x+ y\"]"));
        check("a=1&d=2&d=3", Some(b"2"));
        check("dd=1&d", Some(b""));
        check("d=%ff%C3%A4", Some(b"\xff\xc3\xa4"));
        check("D=1", None);
        check("", None);
    }

    #[test]
    fn a_percent_sign_alone_is_itself() {
        check("d=%", Some(b"%"));
        check("d=%4", Some(b"%4"));
        check("d=%zz%41", Some(b"%zzA"));
    }
}
