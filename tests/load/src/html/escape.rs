//! Text of others in HTML: services, files and people name things as they like.

use std::fmt::{self, Display, Write as _};

/// Text that stays text in HTML and in SVG, in elements and in attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                // Neither HTML nor XML has a way to write these.
                c if c.is_control() && c != '\n' && c != '\t' => self.0.write_char('\u{fffd}')?,
                '\u{fffe}' | '\u{ffff}' => self.0.write_char('\u{fffd}')?,
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Escaped(text).to_string(), expected);
    }

    #[test]
    fn nothing_leaves_its_element_or_attribute() {
        check("60 s ± 1 s", "60 s ± 1 s");
        check("</script><b>", "&lt;/script&gt;&lt;b&gt;");
        check("\" onload='x'", "&quot; onload=&#39;x&#39;");
        check("&amp;", "&amp;amp;");
        check("a\u{0}b\u{1b}[2J", "a\u{fffd}b\u{fffd}[2J");
    }
}
