//! CEL rules (`x-kubernetes-validations`): compiled once, asked of every new object.
//!
//! The language is the `cel` crate's with Kubernetes' functions from `kube-cel`; what the rules see and what is said when they do not hold
//! is Kubernetes' (`apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go`). There is no type checker and no budget at
//! run time: a rule can do no more than go through the object, and what a definition may ask is bounded when it is created.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kube_cel::KubeCelExt;
use kube_cel::cel::{Context, ExecutionError, Program, Value as CelValue};
use serde_json::{Map, Value};

use super::causes;
use super::correlate::Old;
use super::path::{Path, Step};
use crate::error::Cause;
use crate::schema::{Schema, Type};

mod built;
mod convert;
mod names;
mod types;

thread_local! {
    /// The functions of the language: a few hundred entries, made once a thread because they can't be shared.
    static FUNCTIONS: Context<'static> = types::with_types(Context::default().with_all());
}

/// How deep the brackets of an expression may be nested.
const DEEPEST: usize = 96;
/// How many of its parts may stand within each other: the interpreter recurses. Of a debug build 64 fit onto a thread's stack.
const DEEPEST_TREE: usize = 40;
/// How long its text may be, in octets.
const LONGEST: usize = 16 * 1024;
/// The stack of the parser, which recurses too: a bracket within a bracket takes 130 KB of it in a debug build. Only what is used of it is
/// ever there.
const PARSER_STACK: usize = 128 * 1024 * 1024;
const TOO_DEEP: &str = "expression is too long or nested too deeply";

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The compiled rule, or why it can't be.
    pub(crate) program: Result<Program, String>,
    /// Whether it compares with the old value.
    pub(crate) uses_old: bool,
    optional_old: bool,
    text: String,
    message: String,
    message_program: Option<Program>,
    reason: String,
    field: String,
}

impl Rule {
    /// The rules of a schema.
    pub(super) fn of(rules: &Map<String, Value>) -> Vec<Self> {
        let given = rules.get("x-kubernetes-validations").and_then(Value::as_array);
        given.into_iter().flatten().map(Self::read).collect()
    }

    fn read(given: &Value) -> Self {
        let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let program = compile(&text("rule"));
        let uses_old = program.as_ref().is_ok_and(|it| it.references().has_variable("oldSelf"));
        let message = text("messageExpression");
        Self {
            uses_old,
            optional_old: given.get("optionalOldSelf").and_then(Value::as_bool).unwrap_or_default(),
            text: text("rule"),
            message: text("message"),
            message_program: if message.is_empty() { None } else { compile(&message).ok() },
            reason: text("reason"),
            field: names::field_path(&text("fieldPath")),
            program,
        }
    }

    /// What it is called where it went wrong.
    fn name(&self) -> &str {
        if self.message.is_empty() { &self.text } else { &self.message }
    }
}

/// Compiles an expression.
///
/// # Errors
/// What is wrong with it, in the compiler's words.
pub(crate) fn compile(text: &str) -> Result<Program, String> {
    if text.len() > LONGEST || nesting(text) > DEEPEST {
        return Err(TOO_DEEP.to_owned());
    }
    let given = text.to_owned();
    let parser = std::thread::Builder::new().stack_size(PARSER_STACK).spawn(move || parse(&given));
    let program = parser.map_err(|it| it.to_string())?.join().map_err(|_| "internal error")??;
    match built::message(&program.expression().expr) {
        Some("") => Err("expression is not whole".to_owned()),
        Some(name) => {
            let begin = text.find(name).unwrap_or_default();
            let brace = text[begin..].find('{').unwrap_or_default();
            Err(undeclared(text, name, begin + brace))
        }
        None => Ok(program),
    }
}

/// Reads an expression, on a stack that is large enough to go through one that is too deep, and to drop it.
fn parse(text: &str) -> Result<Program, String> {
    let program = Program::compile(text).map_err(|it| it.to_string())?;
    if built::depth(&program.expression().expr) > DEEPEST_TREE {
        return Err(TOO_DEEP.to_owned());
    }
    Ok(program)
}

/// That there is no such name, in the words of Go's compiler; `at` octets into the text.
pub(crate) fn undeclared(text: &str, name: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or_default().chars().count();
    let column = before + 1;
    let dots = ".".repeat(before);
    format!("ERROR: <input>:1:{column}: undeclared reference to '{name}' (in container '')\n | {text}\n | {dots}^")
}

/// How deep the parser goes at most: brackets within brackets, and choices (`a ? b : c`) within choices.
fn nesting(text: &str) -> usize {
    let (mut open, mut deepest, mut choices, mut quote) = (0_usize, 0, 0_usize, None);
    for it in text.chars() {
        match (quote, it) {
            (Some(end), it) if end == it => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(it),
            (None, '(' | '[' | '{') => open += 1,
            (None, ')' | ']' | '}') => open = open.saturating_sub(1),
            (None, '?') => choices += 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest + choices
}

/// Asks all rules of a value and of what is below it.
pub(super) fn check(value: &Value, old: Option<&Value>, schema: &Schema, wrong: &mut Vec<Cause>) {
    if schema.checks().rules_below {
        let place = Place { node: schema, path: &Path::ROOT, old: Old::of(old), same_above: false };
        FUNCTIONS.with(|functions| Walk { functions, wrong }.value(value, &place));
    }
}

struct Walk<'a> {
    functions: &'a Context<'static>,
    wrong: &'a mut Vec<Cause>,
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct Place<'a> {
    node: &'a Schema,
    path: &'a Path<'a>,
    old: Old<'a>,
    same_above: bool,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, place: &Place<'_>) {
        let checks = place.node.checks();
        if !checks.rules_below || value.is_null() {
            return;
        }
        if !checks.validations.is_empty() {
            self.rules(value, &checks.validations, place);
        }
        match value {
            Value::Array(list) => self.elements(value, list, place),
            Value::Object(fields) => self.fields(value, fields, place),
            _ => {}
        }
    }

    fn elements(&mut self, value: &Value, list: &[Value], place: &Place<'_>) {
        let Some(node) = place.node.items.as_deref() else { return };
        let same_above = place.same_above || place.old.is_same(value);
        for (at, it) in list.iter().enumerate() {
            let path = place.path.then(Step::Index(at));
            let old = place.old.element(it, place.node);
            self.value(it, &Place { node, path: &path, old, same_above: same_above && old.value().is_none() });
        }
    }

    fn fields(&mut self, value: &Value, fields: &Map<String, Value>, place: &Place<'_>) {
        let same_above = place.same_above || place.old.is_same(value);
        for (name, it) in fields {
            let (step, found) = match place.node.properties.get(name) {
                Some(known) => (Step::Field(name), Some(known)),
                None => (Step::Key(name), place.node.additional.as_deref()),
            };
            let Some(node) = found else { continue };
            let path = place.path.then(step);
            let old = place.old.field(name);
            self.value(it, &Place { node, path: &path, old, same_above: same_above && old.value().is_none() });
        }
    }

    fn rules(&mut self, value: &Value, rules: &[Rule], place: &Place<'_>) {
        let ratcheted = place.same_above || place.old.is_same(value);
        let counts = |rule: &&Rule| rule.uses_old || !ratcheted || rule.program.is_err();
        if !rules.iter().any(|rule| counts(&rule)) {
            return;
        }
        let mut context = self.functions.new_inner_scope();
        let new = convert::value(value, place.node, self.functions);
        context.add_variable_from_value("self", new.clone());
        let old = place.old.value().filter(|it| !it.is_null());
        let old = if rules.iter().any(|it| it.uses_old) { old } else { None };
        // Most updates leave most of an object as it is, and a copy of what was converted is a reference.
        let old = old.map(|it| if it == value { new.clone() } else { convert::value(it, place.node, self.functions) });
        for rule in rules.iter().filter(counts) {
            if rule.uses_old && old.is_none() && !rule.optional_old {
                continue;
            }
            if rule.uses_old {
                let given = if rule.optional_old {
                    convert::optional(old.clone())
                } else {
                    old.clone().unwrap_or(CelValue::Null)
                };
                context.add_variable_from_value("oldSelf", given);
            }
            self.wrong.extend(rule.ask(value, &context, place));
        }
    }
}

impl Rule {
    /// What is wrong with the value by this rule.
    fn ask(&self, value: &Value, context: &Context<'_>, place: &Place<'_>) -> Option<Cause> {
        let of_type = |detail: &str| Some(causes::invalid_text(place.path.bracketed(), place.node.kind.word(), detail));
        let program = match &self.program {
            Ok(program) => program,
            Err(words) => return of_type(&format!("rule compile error: {words}")),
        };
        match run(program, context) {
            Ok(CelValue::Bool(true)) => None,
            Ok(_) => Some(self.broken(value, context, place)),
            Err(error) => of_type(&match words(&error) {
                words if words.starts_with("no such overload") => format!(
                    "'{words}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                    self.name()
                ),
                words => format!("{words} evaluating rule: {}", self.name()),
            }),
        }
    }

    fn broken(&self, value: &Value, context: &Context<'_>, place: &Place<'_>) -> Cause {
        let said = self.message_program.as_ref().and_then(|it| match run(it, context) {
            Ok(CelValue::String(text)) => Some(text.trim().to_owned()),
            _ => None,
        });
        let said = said.filter(|it| !it.is_empty() && it.len() <= 5 * 1024 && !it.contains('\n'));
        let detail = said.unwrap_or_else(|| {
            if self.message.is_empty() { format!("failed rule: {}", self.text) } else { self.message.clone() }
        });
        let field = match (place.path.is_root(), self.field.as_str()) {
            (_, "") => place.path.bracketed(),
            (true, field) => field.to_owned(),
            (false, field) => format!("{}.{field}", place.path.bracketed()),
        };
        let whole = matches!(place.node.kind, Type::Object | Type::Array);
        match self.reason.as_str() {
            "FieldValueForbidden" => causes::forbidden(field, &detail),
            "FieldValueRequired" => causes::required(field, &detail),
            "FieldValueDuplicate" if whole => causes::duplicate_whole(field),
            "FieldValueDuplicate" => causes::duplicate(field, value),
            _ if whole => causes::invalid_whole(field, &detail),
            _ => causes::invalid(field, value, &detail),
        }
    }
}

/// Runs an expression. The interpreter is somebody else's, and panics at what it has no answer to (`-self.a` of the smallest number,
/// `'%.99999f'.format([1.0])`): that is an error of the rule like others, and ends nobody's request.
fn run(program: &Program, context: &Context<'_>) -> Result<CelValue, ExecutionError> {
    let run = AssertUnwindSafe(|| program.execute(context));
    catch_unwind(run).unwrap_or_else(|_| Err(ExecutionError::function_error("rule", "internal error")))
}

/// What went wrong, in the words of Go's interpreter.
fn words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(CelValue::Int(at)) => format!("index out of bounds: {at}"),
        ExecutionError::FunctionError { function, .. } if function == "quantity" => {
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned()
        }
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::NoSuchOverload
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedUnaryOperator(..)
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::NotSupportedAsMethod { .. } => "no such overload".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is wrong with the value by this rule.
    fn wrong(rule: &str, value: &Value) -> Vec<String> {
        let schema = Schema::read(&json!({
            "type": "object", "x-kubernetes-validations": [{"rule": rule}],
            "properties": {"a": {"type": "integer"}},
        }));
        let mut wrong = Vec::new();
        check(value, None, &schema, &mut wrong);
        wrong.into_iter().map(|it| it.message).collect()
    }

    /// Texts that are as deep as may be, and one step more.
    #[test]
    fn what_is_deep_is_run_or_refused_and_takes_no_stack_with_it() {
        let nested = |open: &str, close: &str, times: usize| format!("{}1{}", open.repeat(times), close.repeat(times));
        for (open, close) in
            [("(", ")"), ("[", "]"), ("size([", "])"), ("true ? 1 : ", ""), ("1 == ", ""), ("1 + ", "")]
        {
            for times in [10, 36, 40, 90, 97, 200, 3_000] {
                let rule = nested(open, close, times) + " == 1";
                let told = wrong(&rule, &json!({"a": 1}));
                assert!(told.len() <= 1 && (times < 200 || told.len() == 1), "{open} {times}: {told:?}");
            }
        }
        assert!(compile(&"{a: (".repeat(40)).is_err());
        assert!(compile(&"'(' == '(' && ".repeat(200)).is_err(), "not whole");
        assert!(compile(&("'(' == '(' && ".repeat(200) + "true")).is_ok(), "brackets in a text are none");
    }

    #[test]
    fn what_the_interpreter_panics_at_is_an_error_of_the_rule() {
        let rule = "'%.99999f'.format([1.0]).size() > self.a";
        let told = wrong(rule, &json!({"a": 1}));
        let [message] = told.as_slice() else { panic!("one error: {told:?}") };
        assert!(message.ends_with(&format!("internal error evaluating rule: {rule}")), "{message}");
        assert_eq!(wrong("self.a == 1", &json!({"a": 1})), Vec::<String>::new(), "the next one is asked as ever");
    }
}
