//! How much memory a template can take at most, told from its source.
//!
//! The engine counts steps, not bytes: `{% set a = a ~ a %}`, forty times over, is few steps and a terabyte. So the size of
//! every value is bounded before a template is ever rendered, in values of a contact and in bytes of literal text. A
//! template for which there is no small bound is refused, with the place. What filters can make large is capped when they
//! run (`filters`), because only then their arguments are known.

use std::collections::BTreeMap;

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, Macro, Stmt};
use minijinja::machinery::{Span, parse};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};

/// Values of a contact (or results of capped filters) that one value of the template may be made of.
const MAX_VALUES: u64 = 64;

/// Bytes of literal text that one value of the template may be made of.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

/// How deep macros may call one another.
const MAX_DEPTH: usize = 8;

/// Filters that run another filter or test on each item of a list.
const PER_ITEM: &[&str] = &["map", "select", "reject", "selectattr", "rejectattr"];

/// Bytes of literal text that such a filter may be given.
const MAX_PER_ITEM: u64 = 512;

/// What `range` may make: 10,000 numbers.
const RANGE_BYTES: u64 = 240_000;

/// Why a template is refused, and where (a byte of the source).
pub(super) struct TooLarge {
    pub(super) at: usize,
    pub(super) why: &'static str,
}

/// Refuses a source whose values may grow without a small bound. What does not parse is left to the engine's own error.
pub(super) fn check(source: &str, name: &str, syntax: SyntaxConfig) -> Result<(), TooLarge> {
    let Ok(Stmt::Template(template)) = parse(source, name, syntax) else { return Ok(()) };
    Walk::default().body(&template.children).map(drop)
}

/// An upper bound of a value's size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    values: u64,
    bytes: u64,
}

impl Size {
    const VALUE: Self = Self { values: 1, bytes: 0 };

    fn of_bytes(bytes: usize) -> Self {
        Self { values: 0, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) }
    }

    fn plus(self, other: Self) -> Self {
        Self { values: self.values.saturating_add(other.values), bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn times(self, n: u64) -> Self {
        Self { values: self.values.saturating_mul(n), bytes: self.bytes.saturating_mul(n) }
    }

    fn or_larger(self, other: Self) -> Self {
        Self { values: self.values.max(other.values), bytes: self.bytes.max(other.bytes) }
    }
}

/// One pass over a template, in the order of the source.
#[derive(Default)]
struct Walk<'t, 's> {
    /// The largest that each variable was set to so far.
    variables: BTreeMap<&'s str, Size>,
    macros: BTreeMap<&'s str, &'t Macro<'s>>,
    /// Macros whose bodies are being walked.
    calling: Vec<&'s str>,
    /// How many blocks around here collect their output in a value, instead of printing it.
    collecting: usize,
}

impl<'t, 's> Walk<'t, 's> {
    /// What the statements print, all together.
    fn body(&mut self, statements: &'t [Stmt<'s>]) -> Result<Size, TooLarge> {
        let mut printed = Size::default();
        for statement in statements {
            printed = printed.plus(self.statement(statement)?);
        }
        Ok(printed)
    }

    fn statement(&mut self, statement: &'t Stmt<'s>) -> Result<Size, TooLarge> {
        match statement {
            Stmt::EmitExpr(emit) => self.bounded(&emit.expr),
            Stmt::EmitRaw(raw) => Ok(Size::of_bytes(raw.raw.len())),
            Stmt::ForLoop(each) => {
                if each.recursive {
                    return Err(refused(each.span(), "a loop cannot call itself"));
                }
                if self.collecting > 0 {
                    let why = "a loop cannot stand in a macro or in a block that collects its output";
                    return Err(refused(each.span(), why));
                }
                let items = self.bounded(&each.iter)?;
                self.assign(&each.target, items);
                if let Some(filter) = &each.filter_expr {
                    self.bounded(filter)?;
                }
                let printed = self.body(&each.body)?;
                let once = self.variables.clone();
                self.body(&each.body)?;
                if self.variables != once {
                    return Err(refused(each.span(), "a variable grows with each round of this loop"));
                }
                Ok(printed.plus(self.body(&each.else_body)?))
            }
            Stmt::IfCond(choice) => {
                self.bounded(&choice.expr)?;
                let printed = self.body(&choice.true_body)?;
                Ok(printed.plus(self.body(&choice.false_body)?))
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    let size = self.bounded(value)?;
                    self.assign(target, size);
                }
                self.body(&with.body)
            }
            Stmt::Set(set) => {
                let size = self.bounded(&set.expr)?;
                self.assign(&set.target, size);
                Ok(Size::default())
            }
            Stmt::SetBlock(set) => {
                let size = self.collected(&set.body, set.span())?;
                if let Some(filter) = &set.filter {
                    self.bounded(filter)?;
                }
                self.assign(&set.target, size.or_larger(Size::VALUE));
                Ok(Size::default())
            }
            Stmt::FilterBlock(block) => {
                let size = self.collected(&block.body, block.span())?;
                Ok(size.plus(self.bounded(&block.filter)?))
            }
            Stmt::AutoEscape(block) => self.body(&block.body),
            Stmt::Block(block) => self.body(&block.body),
            Stmt::Macro(one) => {
                self.macros.insert(one.name, one);
                Ok(Size::default())
            }
            Stmt::CallBlock(block) => Err(refused(block.span(), "a call block is not available: call the macro")),
            Stmt::Do(call) => {
                let span = call.span();
                self.call(&call.call, span)
            }
            // Other templates are refused by name elsewhere; a template stands in no statement.
            Stmt::Template(_) | Stmt::Import(_) | Stmt::FromImport(_) | Stmt::Extends(_) | Stmt::Include(_) => {
                Ok(Size::default())
            }
        }
    }

    /// The output of `body`, as a value.
    fn collected(&mut self, body: &'t [Stmt<'s>], span: Span) -> Result<Size, TooLarge> {
        self.collecting += 1;
        let size = self.body(body);
        self.collecting -= 1;
        within(size?, span)
    }

    /// The size of an expression, which must be within the bounds.
    fn bounded(&mut self, expr: &'t Expr<'s>) -> Result<Size, TooLarge> {
        let size = self.size(expr)?;
        within(size, expr.span())
    }

    fn assign(&mut self, target: &'t Expr<'s>, size: Size) {
        match target {
            Expr::Var(name) => {
                let known = self.variables.entry(name.id).or_default();
                *known = known.or_larger(size);
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.assign(item, size)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.assign(item, size)),
            Expr::Const(_)
            | Expr::Slice(_)
            | Expr::UnaryOp(_)
            | Expr::BinOp(_)
            | Expr::Compare(_)
            | Expr::IfExpr(_)
            | Expr::Filter(_)
            | Expr::Test(_)
            | Expr::GetAttr(_)
            | Expr::GetItem(_)
            | Expr::Call(_)
            | Expr::Map(_) => {}
        }
    }

    fn size(&mut self, expr: &'t Expr<'s>) -> Result<Size, TooLarge> {
        match expr {
            Expr::Var(name) if self.macros.contains_key(name.id) => {
                Err(refused(expr.span(), "a macro can only be called"))
            }
            Expr::Var(name) => Ok(self.variables.get(name.id).copied().unwrap_or(Size::VALUE)),
            Expr::Const(constant) => Ok(literal(&constant.value)),
            Expr::Slice(slice) => self.size(&slice.expr),
            Expr::UnaryOp(unary) => self.size(&unary.expr),
            Expr::BinOp(binary) => {
                let (left, right) = (self.bounded(&binary.left)?, self.bounded(&binary.right)?);
                match binary.op {
                    BinOpKind::Add | BinOpKind::Concat => Ok(left.plus(right)),
                    BinOpKind::Mul => product((&binary.left, left), (&binary.right, right), expr.span()),
                    BinOpKind::ScAnd | BinOpKind::ScOr => Ok(left.or_larger(right)),
                    BinOpKind::Eq
                    | BinOpKind::Ne
                    | BinOpKind::Lt
                    | BinOpKind::Lte
                    | BinOpKind::Gt
                    | BinOpKind::Gte
                    | BinOpKind::Sub
                    | BinOpKind::Div
                    | BinOpKind::FloorDiv
                    | BinOpKind::Rem
                    | BinOpKind::Pow
                    | BinOpKind::In => Ok(Size::VALUE),
                }
            }
            Expr::Compare(compare) => {
                self.bounded(&compare.expr)?;
                for step in &compare.ops {
                    self.bounded(&step.expr)?;
                }
                Ok(Size::VALUE)
            }
            Expr::IfExpr(choice) => {
                self.bounded(&choice.test_expr)?;
                let size = self.bounded(&choice.true_expr)?;
                match &choice.false_expr {
                    Some(other) => Ok(size.or_larger(self.bounded(other)?)),
                    None => Ok(size),
                }
            }
            Expr::Filter(filter) => {
                let size = match &filter.expr {
                    Some(inner) => self.bounded(inner)?,
                    None => Size::VALUE,
                };
                let arguments = self.arguments(&filter.args)?;
                // These run a filter on each item: what they are given beside it comes as often as there are items.
                if PER_ITEM.contains(&filter.name) && (arguments.values > 0 || arguments.bytes > MAX_PER_ITEM) {
                    let why = "give short, fixed values here: they are used once for each item";
                    return Err(refused(expr.span(), why));
                }
                Ok(size.plus(arguments))
            }
            Expr::Test(test) => {
                self.bounded(&test.expr)?;
                self.arguments(&test.args)?;
                Ok(Size::VALUE)
            }
            Expr::GetAttr(attribute) => self.size(&attribute.expr),
            Expr::GetItem(item) => {
                self.bounded(&item.subscript_expr)?;
                self.size(&item.expr)
            }
            Expr::Call(call) => {
                let span = call.span();
                self.call(call, span)
            }
            Expr::List(list) => self.sum(&list.items),
            Expr::Tuple(tuple) => self.sum(&tuple.items),
            Expr::Map(map) => Ok(self.sum(&map.keys)?.plus(self.sum(&map.values)?)),
        }
    }

    fn sum(&mut self, items: &'t [Expr<'s>]) -> Result<Size, TooLarge> {
        let mut all = Size::default();
        for item in items {
            all = all.plus(self.bounded(item)?);
        }
        Ok(all)
    }

    fn arguments(&mut self, arguments: &'t [CallArg<'s>]) -> Result<Size, TooLarge> {
        let mut all = Size::default();
        for argument in arguments {
            let (CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value)) = argument;
            all = all.plus(self.bounded(value)?);
        }
        Ok(all)
    }

    fn call(&mut self, call: &'t Call<'s>, span: Span) -> Result<Size, TooLarge> {
        let arguments = self.arguments(&call.args)?;
        match &call.expr {
            Expr::Var(name) => match (self.macros.get(name.id).copied(), name.id) {
                (Some(one), _) => self.expanded(one, arguments, span),
                (None, "range") => Ok(Size { values: 0, bytes: RANGE_BYTES }),
                (None, "dict") => Ok(arguments),
                (None, "namespace") => Err(refused(span, "namespace is not available: it would grow in loops")),
                (None, _) => Err(refused(span, "this cannot be called here")),
            },
            // Methods of values, and of the loop.
            Expr::GetAttr(attribute) => Ok(self.size(&attribute.expr)?.plus(arguments)),
            Expr::Const(_)
            | Expr::Slice(_)
            | Expr::UnaryOp(_)
            | Expr::BinOp(_)
            | Expr::Compare(_)
            | Expr::IfExpr(_)
            | Expr::Filter(_)
            | Expr::Test(_)
            | Expr::GetItem(_)
            | Expr::Call(_)
            | Expr::List(_)
            | Expr::Tuple(_)
            | Expr::Map(_) => Err(refused(span, "this cannot be called")),
        }
    }

    /// What a macro prints, its parameters as large as all arguments together.
    fn expanded(&mut self, one: &'t Macro<'s>, arguments: Size, span: Span) -> Result<Size, TooLarge> {
        if self.calling.contains(&one.name) || self.calling.len() >= MAX_DEPTH {
            return Err(refused(span, "a macro cannot call itself, nor others more than 8 deep"));
        }
        let defaults = self.sum(&one.defaults)?;
        for parameter in &one.args {
            self.assign(parameter, arguments.plus(defaults).or_larger(Size::VALUE));
        }
        self.calling.push(one.name);
        let printed = self.collected(&one.body, span);
        self.calling.pop();
        printed
    }
}

fn refused(span: Span, why: &'static str) -> TooLarge {
    TooLarge { at: usize::try_from(span.start_offset).unwrap_or(0), why }
}

fn within(size: Size, span: Span) -> Result<Size, TooLarge> {
    if size.values > MAX_VALUES || size.bytes > MAX_BYTES {
        return Err(refused(
            span,
            "this may become too large: at most 64 values of a contact and 2 MiB of text together",
        ));
    }
    Ok(size)
}

/// `*` repeats text and lists. It is bounded where one side is a number that the template gives, or both are numbers.
fn product(left: (&Expr<'_>, Size), right: (&Expr<'_>, Size), span: Span) -> Result<Size, TooLarge> {
    for ((number, _), (_, size)) in [(left, right), (right, left)] {
        if let Expr::Const(constant) = number
            && constant.value.kind() == ValueKind::Number
        {
            // A text cannot be repeated one and a half times: that is an error when it is rendered.
            let times =
                if constant.value.is_integer() { u64::try_from(constant.value.clone()).unwrap_or(1) } else { 1 };
            return Ok(size.times(times.max(1)).or_larger(Size::VALUE));
        }
    }
    if is_number(left.0) && is_number(right.0) {
        return Ok(Size::VALUE);
    }
    Err(refused(span, "* repeats text, too: make numbers of both sides, as in {{ price|float * amount|int }}"))
}

/// Whether an expression is a number, or an error.
fn is_number(expr: &Expr<'_>) -> bool {
    const NUMBERS: &[&str] = &["int", "float", "length", "count", "abs"];
    match expr {
        Expr::Const(constant) => constant.value.kind() == ValueKind::Number,
        Expr::UnaryOp(unary) => is_number(&unary.expr),
        Expr::Filter(filter) if filter.name == "round" => filter.expr.as_ref().is_some_and(is_number),
        Expr::Filter(filter) => NUMBERS.contains(&filter.name),
        Expr::BinOp(binary) => match binary.op {
            BinOpKind::Sub | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem | BinOpKind::Pow => true,
            BinOpKind::Add | BinOpKind::Mul => is_number(&binary.left) && is_number(&binary.right),
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::ScAnd
            | BinOpKind::ScOr
            | BinOpKind::Concat
            | BinOpKind::In => false,
        },
        Expr::GetAttr(attribute) => matches!(&attribute.expr, Expr::Var(name) if name.id == "loop"),
        Expr::Var(_)
        | Expr::Slice(_)
        | Expr::Compare(_)
        | Expr::IfExpr(_)
        | Expr::Test(_)
        | Expr::GetItem(_)
        | Expr::Call(_)
        | Expr::List(_)
        | Expr::Tuple(_)
        | Expr::Map(_) => false,
    }
}

fn literal(value: &Value) -> Size {
    /// What a value takes beside its text.
    const OWN: usize = 24;
    if let Some(text) = value.as_str() {
        return Size::of_bytes(OWN + text.len());
    }
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        // Lists and maps of constants stand in the source as they are.
        return Size::of_bytes(OWN + value.to_string().len() * OWN);
    }
    Size::of_bytes(OWN)
}
