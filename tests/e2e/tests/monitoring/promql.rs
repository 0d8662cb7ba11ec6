//! Which series an expression in `PromQL` asks for: names, matchers, grouping labels. The same reader takes the
//! series of an exposition, whose labels are matchers that say `=`.

use std::iter::Peekable;

use anyhow::{Context as _, Result, bail, ensure};

/// Words that bring a list of labels.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Words that stand between or before expressions.
const KEYWORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// What an expression asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expression {
    /// In the order of the text.
    pub(super) selectors: Vec<Selector>,
    /// Labels after `by` and its like.
    pub(super) grouping: Vec<String>,
}

/// A metric, and which of its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) name: String,
    pub(super) matchers: Vec<Matcher>,
}

/// `label="value"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matcher {
    pub(super) label: String,
    pub(super) operator: String,
    pub(super) value: String,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is none, or has a selector without a name.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let read = || -> Result<Self> {
            let mut tokens = tokens(text)?.into_iter().peekable();
            let mut expression = Self::default();
            while let Some(token) = tokens.next() {
                match token {
                    Token::Word(word) => expression.word(word, &mut tokens)?,
                    Token::Mark(mark) => ensure!(mark != "{", "a selector without a name"),
                    Token::Text(_) => {}
                }
            }
            Ok(expression)
        };
        read().with_context(|| text.to_owned())
    }

    fn word(&mut self, word: String, tokens: &mut Peekable<impl Iterator<Item = Token>>) -> Result<()> {
        let is_call = tokens.peek() == Some(&Token::Mark("(".to_owned()));
        if GROUPING.contains(&word.as_str()) && is_call {
            tokens.next();
            loop {
                match tokens.next().context("a list of labels without an end")? {
                    Token::Word(label) => self.grouping.push(label),
                    Token::Mark(mark) if mark == ")" => return Ok(()),
                    Token::Mark(_) | Token::Text(_) => {}
                }
            }
        }
        // `sum by (job) (…)`: the brackets of the call come later.
        let is_aggregation =
            matches!(tokens.peek(), Some(Token::Word(next)) if ["by", "without"].contains(&next.as_str()));
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        if is_call || is_aggregation || is_number || KEYWORDS.contains(&word.as_str()) {
            return Ok(());
        }
        let mut matchers = Vec::new();
        if tokens.next_if_eq(&Token::Mark("{".to_owned())).is_some() {
            while tokens.next_if_eq(&Token::Mark("}".to_owned())).is_none() {
                matchers.push(matcher(tokens)?);
                tokens.next_if_eq(&Token::Mark(",".to_owned()));
            }
        }
        self.selectors.push(Selector { name: word, matchers });
        Ok(())
    }
}

fn matcher(tokens: &mut impl Iterator<Item = Token>) -> Result<Matcher> {
    match (tokens.next(), tokens.next(), tokens.next()) {
        (Some(Token::Word(label)), Some(Token::Mark(operator)), Some(Token::Text(value))) => {
            Ok(Matcher { label, operator, value })
        }
        other => bail!("not a matcher: {other:?}"),
    }
}

impl Selector {
    /// The series of one line of an exposition; `None` for other lines.
    ///
    /// # Errors
    /// When the line is malformed.
    pub(super) fn of_sample(line: &str) -> Result<Option<Self>> {
        if line.starts_with('#') || line.is_empty() {
            return Ok(None);
        }
        let (series, _value) = line.rsplit_once(' ').context("no value")?;
        let expression = Expression::parse(series)?;
        Ok(Some(expression.selectors.into_iter().next().context("no series")?))
    }

    /// The value of a label, of a sample.
    pub(super) fn label(&self, label: &str) -> &str {
        let found = self.matchers.iter().find(|matcher| matcher.label == label);
        found.map_or("", |matcher| &matcher.value)
    }

    /// Whether it selects this sample.
    ///
    /// # Errors
    /// When a matcher is a regular expression beyond alternatives and a trailing `.*`.
    pub(super) fn selects(&self, sample: &Self) -> Result<bool> {
        if self.name != sample.name {
            return Ok(false);
        }
        for matcher in &self.matchers {
            if !matcher.accepts(sample.label(&matcher.label))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Matcher {
    fn accepts(&self, value: &str) -> Result<bool> {
        let one_of = || -> Result<bool> {
            let mut found = false;
            for alternative in self.value.split('|') {
                let (prefix, is_prefix) = match alternative.strip_suffix(".*") {
                    Some(prefix) => (prefix, true),
                    None => (alternative, false),
                };
                ensure!(
                    !prefix.contains(['*', '+', '.', '(', '[']),
                    "cannot read the regular expression {self:?}"
                );
                found |= if is_prefix { value.starts_with(prefix) } else { value == prefix };
            }
            Ok(found)
        };
        match self.operator.as_str() {
            "=" => Ok(value == self.value),
            "!=" => Ok(value != self.value),
            "=~" => one_of(),
            "!~" => Ok(!one_of()?),
            other => bail!("no operator: {other}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A name, keyword, number or duration.
    Word(String),
    /// What was in quotation marks.
    Text(String),
    /// Operators and brackets.
    Mark(String),
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.';
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        tokens.push(match first {
            '"' => Token::Text(quoted(&mut rest)?),
            _ if first.is_whitespace() => continue,
            _ if is_word(first) => {
                let mut word = first.to_string();
                while let Some(next) = rest.next_if(|c| is_word(*c)) {
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => {
                let mut mark = first.to_string();
                if matches!(first, '=' | '!')
                    && let Some(second) = rest.next_if(|c| matches!(c, '=' | '~'))
                {
                    mark.push(second);
                }
                Token::Mark(mark)
            }
        });
    }
    Ok(tokens)
}

/// The rest of a text in quotation marks.
fn quoted(rest: &mut impl Iterator<Item = char>) -> Result<String> {
    let mut value = String::new();
    loop {
        match rest.next().context("a text without an end")? {
            '"' => return Ok(value),
            '\\' => value.push(rest.next().context("a text without an end")?),
            other => value.push(other),
        }
    }
}

#[track_caller]
fn check(text: &str, selectors: &[&str], grouping: &[&str]) {
    let expression = Expression::parse(text).unwrap();
    let shown = |selector: &Selector| {
        let matchers = selector.matchers.iter().map(|m| format!("{}{}{}", m.label, m.operator, m.value));
        format!("{}{{{}}}", selector.name, matchers.collect::<Vec<_>>().join(","))
    };
    assert_eq!(expression.selectors.iter().map(shown).collect::<Vec<_>>(), selectors, "{text}");
    assert_eq!(expression.grouping, grouping, "{text}");
}

#[test]
fn expressions_are_taken_apart() {
    check("up == 0", &["up{}"], &[]);
    check("sum by (a, b) (rate(x_total{c=\"d\"}[5m])) > 1e3", &["x_total{c=d}"], &["a", "b"]);
    check("x offset 5m and on (a) group_left () y:z", &["x{}", "y:z{}"], &["a"]);
    check(
        "histogram_quantile(0.95, sum(rate(h_bucket{le!=\"+Inf\"}[1m])) by (le))",
        &["h_bucket{le!=+Inf}"],
        &["le"],
    );
    check("label_replace(x, \"log\", \"a b\", \"\", \"\")", &["x{}"], &[]);
    check("x{a=~\"b|c.*\", d=\"\\\"{\"} unless y", &["x{a=~b|c.*,d=\"{}", "y{}"], &[]);
    assert!(Expression::parse("{a=\"b\"}").is_err());
    assert!(Expression::parse("x{a=\"b").is_err());
}

#[test]
fn selectors_select_samples() {
    let sample = Selector::of_sample(r#"x{a="app/edge/1",b=""} 1.5"#).unwrap().unwrap();
    let check = |selector: &str, expected: bool| {
        let selector = Expression::parse(selector).unwrap().selectors.remove(0);
        assert_eq!(selector.selects(&sample).unwrap(), expected, "{selector:?}");
    };
    check("x", true);
    check("y", false);
    check("x{a=\"app/edge/1\"}", true);
    check("x{a=\"app/edge\"}", false);
    check("x{a=~\"net/.*|app/.*\"}", true);
    check("x{a=~\"net/.*\"}", false);
    check("x{a!~\"net/.*\", c=\"\"}", true);
    check("x{a=~\".*\"}", true);
    assert_eq!(Selector::of_sample("# HELP x X").unwrap(), None);
}
