//! Expressions, as far as they can be known: literals, references, templates,
//! conditions, arithmetic, and functions that only change how a value is written.

use std::{cell::Cell, collections::HashSet, sync::Arc};

use hcl_edit::{
    Ident, Span as _,
    expr::{
        BinaryOp, BinaryOperator, Expression, FuncCall, Object, ObjectKey, Traversal, TraversalOperator,
        UnaryOp, UnaryOperator,
    },
    template::{Element, Template},
};

use super::{Hcl, Node, Scope, UNKNOWN, Value};

/// How many values may be made of one file: those that locals repeat count each time.
const MOST_VALUES: usize = 200_000;
/// So many bytes of text count as one value more.
const TEXT: usize = 64;
/// How deep expressions may be nested, those that references lead to included.
const DEEPEST: usize = 200;
/// Functions whose value is their argument, for our purpose: lists, not text, are wanted of JSON.
const TRANSPARENT: [&str; 8] =
    ["jsonencode", "tostring", "tonumber", "tobool", "tolist", "toset", "sensitive", "nonsensitive"];

/// Evaluates expressions of a file.
pub(super) struct Evaluator<'a> {
    hcl: &'a Hcl,
    scope: &'a Scope<'a>,
    /// Values that may still be made.
    left: Cell<usize>,
    /// How deep the value is nested that is being made.
    depth: Cell<usize>,
}

impl<'a> Evaluator<'a> {
    pub(super) const fn new(hcl: &'a Hcl, scope: &'a Scope<'a>) -> Self {
        Self { hcl, scope, left: Cell::new(MOST_VALUES), depth: Cell::new(0) }
    }

    /// The value of an expression; what cannot be known is its text as a template.
    pub(super) fn node(&self, expression: &Expression) -> Node {
        let value = self.value(expression).unwrap_or_else(|| {
            let written = self.hcl.written(expression.span());
            let written = self.charge(written.len() / TEXT).map_or("\u{2026}", |()| written);
            Value::Scalar(format!("{UNKNOWN}{written}}}").into())
        });
        Node { value, place: self.hcl.place(expression.span()) }
    }

    /// Takes what values cost; `None` if there is not so much left.
    fn charge(&self, values: usize) -> Option<()> {
        self.left.set(self.left.get().checked_sub(values)?);
        Some(())
    }

    fn value(&self, expression: &Expression) -> Option<Value> {
        self.charge(1)?;
        let depth = self.depth.get();
        if depth >= DEEPEST {
            return None;
        }
        self.depth.set(depth + 1);
        let value = self.known(expression);
        self.depth.set(depth);
        if let Some(Value::Scalar(text)) = &value {
            self.charge(text.len() / TEXT)?;
        }
        value
    }

    fn known(&self, expression: &Expression) -> Option<Value> {
        match expression {
            Expression::Null(_) => Some(Value::Null),
            Expression::Bool(truth) => Some(scalar(truth.value().to_string())),
            Expression::Number(number) => Some(scalar(number.value().to_string())),
            Expression::String(text) => Some(scalar(text.value().clone())),
            Expression::Array(items) => {
                self.charge(items.len())?;
                Some(Value::List(items.iter().map(|item| self.node(item)).collect()))
            }
            Expression::Object(object) => {
                self.charge(object.len())?;
                Some(self.object(object))
            }
            Expression::StringTemplate(_) | Expression::HeredocTemplate(_) => {
                self.template(expression.as_template()?)
            }
            Expression::Parenthesis(inner) => self.value(inner.inner()),
            Expression::Conditional(conditional) => match self.literal(&conditional.cond_expr)?.as_ref() {
                "true" => self.value(&conditional.true_expr),
                "false" => self.value(&conditional.false_expr),
                _ => None,
            },
            Expression::FuncCall(call) => self.call(call),
            Expression::Traversal(traversal) => self.traversal(traversal),
            Expression::UnaryOp(operation) => self.unary(operation),
            Expression::BinaryOp(operation) => self.binary(operation),
            Expression::Variable(_) | Expression::ForExpr(_) => None,
        }
    }

    /// The text of a value that is known through and through.
    fn literal(&self, expression: &Expression) -> Option<Arc<str>> {
        match self.value(expression)? {
            Value::Scalar(text) if !text.contains(UNKNOWN) => Some(text),
            _ => None,
        }
    }

    fn object(&self, object: &Object) -> Value {
        let entries = object.iter().map(|(key, value)| {
            let place = self.hcl.place(key.span());
            let key: Arc<str> = match key {
                ObjectKey::Ident(ident) => ident.as_str().into(),
                ObjectKey::Expression(expression) => {
                    self.literal(expression).unwrap_or_else(|| self.hcl.written(expression.span()).into())
                }
            };
            (key, Node { value: self.node(value.expr()).value, place })
        });
        Value::Map(entries.collect())
    }

    fn template(&self, template: &Template) -> Option<Value> {
        if let Some(Element::Interpolation(only)) = template.as_single_element() {
            return Some(self.node(&only.expr).value);
        }
        let mut text = String::new();
        for element in template {
            match element {
                Element::Literal(literal) => text.push_str(literal.value()),
                Element::Interpolation(interpolation) => {
                    text.push_str(self.node(&interpolation.expr).text()?);
                }
                Element::Directive(_) => return None,
            }
        }
        Some(scalar(text))
    }

    fn call(&self, call: &FuncCall) -> Option<Value> {
        if call.name.is_namespaced() || call.args.expand_final() {
            return None;
        }
        let name = call.name.name.as_str();
        let mut arguments = call.args.iter();
        match name {
            "concat" => {
                let mut all = Vec::new();
                for argument in arguments {
                    let Value::List(items) = self.value(argument)? else { return None };
                    all.extend(items);
                }
                Some(Value::List(all))
            }
            "merge" => {
                let mut all: Vec<(Arc<str>, Node)> = Vec::new();
                for argument in arguments {
                    let Value::Map(entries) = self.value(argument)? else { return None };
                    let new: HashSet<_> = entries.iter().map(|(key, _)| Arc::clone(key)).collect();
                    all.retain(|(key, _)| !new.contains(key));
                    all.extend(entries);
                }
                Some(Value::Map(all))
            }
            _ if TRANSPARENT.contains(&name) => {
                let only = arguments.next()?;
                arguments.next().is_none().then(|| self.value(only))?
            }
            _ => None,
        }
    }

    fn traversal(&self, traversal: &Traversal) -> Option<Value> {
        let Expression::Variable(root) = &traversal.expr else { return None };
        let mut operators = traversal.operators.iter();
        let first = name(operators.next()?.value())?;
        let (hcl, expression) = self.scope.get(&format!("{}.{}", root.as_str(), first.as_str()))?;
        let there = Self { hcl, scope: self.scope, left: self.left.clone(), depth: self.depth.clone() };
        let mut value = there.value(expression);
        self.left.set(there.left.get());
        for operator in operators {
            let key: Arc<str> = match operator.value() {
                TraversalOperator::GetAttr(name) => name.as_str().into(),
                TraversalOperator::Index(index) => self.literal(index)?,
                TraversalOperator::LegacyIndex(index) => index.value().to_string().into(),
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => return None,
            };
            value = Some(match value? {
                Value::Map(entries) => entries.into_iter().find(|(name, _)| *name == key)?.1.value,
                Value::List(items) => items.into_iter().nth(key.parse().ok()?)?.value,
                Value::Null | Value::Scalar(_) => return None,
            });
        }
        value
    }

    fn unary(&self, operation: &UnaryOp) -> Option<Value> {
        let operand = self.literal(&operation.expr)?;
        match operation.operator.value() {
            UnaryOperator::Neg => Some(number(-operand.parse::<f64>().ok()?)),
            UnaryOperator::Not => Some(scalar((!operand.parse::<bool>().ok()?).to_string())),
        }
    }

    fn binary(&self, operation: &BinaryOp) -> Option<Value> {
        let (left, right) = (self.literal(&operation.lhs_expr)?, self.literal(&operation.rhs_expr)?);
        let operator = operation.operator.value();
        match operator {
            BinaryOperator::Eq => return Some(scalar((left == right).to_string())),
            BinaryOperator::NotEq => return Some(scalar((left != right).to_string())),
            BinaryOperator::And | BinaryOperator::Or => {
                let (left, right) = (left.parse::<bool>().ok()?, right.parse::<bool>().ok()?);
                let both = matches!(operator, BinaryOperator::And);
                return Some(scalar((if both { left && right } else { left || right }).to_string()));
            }
            _ => {}
        }
        let (left, right) = (left.parse::<f64>().ok()?, right.parse::<f64>().ok()?);
        Some(match operator {
            BinaryOperator::Plus => number(left + right),
            BinaryOperator::Minus => number(left - right),
            BinaryOperator::Mul => number(left * right),
            BinaryOperator::Div => number(left / right),
            BinaryOperator::Less => scalar((left < right).to_string()),
            BinaryOperator::LessEq => scalar((left <= right).to_string()),
            BinaryOperator::Greater => scalar((left > right).to_string()),
            BinaryOperator::GreaterEq => scalar((left >= right).to_string()),
            _ => return None,
        })
    }
}

fn name(operator: &TraversalOperator) -> Option<&Ident> {
    if let TraversalOperator::GetAttr(name) = operator { Some(name.value()) } else { None }
}

fn scalar(text: String) -> Value {
    Value::Scalar(text.into())
}

fn number(value: f64) -> Value {
    scalar(value.to_string())
}
