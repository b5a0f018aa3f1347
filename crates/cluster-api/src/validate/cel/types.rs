//! `type(self) == int`: the language has types as values, the interpreter has not, so a text stands for each.

use std::sync::Arc;

use kube_cel::cel::extractors::Arguments;
use kube_cel::cel::{Context, ResolveResult, Value as CelValue};

const NAMES: [&str; 9] = ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type"];

/// The context with the function `type` and a variable for each type.
pub(super) fn with_types(mut context: Context<'static>) -> Context<'static> {
    for name in NAMES {
        context.add_variable_from_value(name, type_value(name));
    }
    context.add_function("type", type_function);
    context
}

fn type_function(Arguments(given): Arguments) -> ResolveResult {
    Ok(given.first().map_or(CelValue::Null, type_of))
}

fn type_of(value: &CelValue) -> CelValue {
    type_value(match value {
        CelValue::Int(_) => "int",
        CelValue::UInt(_) => "uint",
        CelValue::Float(_) => "double",
        CelValue::Bool(_) => "bool",
        CelValue::String(_) => "string",
        CelValue::Bytes(_) => "bytes",
        CelValue::List(_) => "list",
        CelValue::Map(_) => "map",
        CelValue::Null => "null_type",
        _ => "other",
    })
}

fn type_value(name: &str) -> CelValue {
    CelValue::String(Arc::new(format!("type {name}")))
}
