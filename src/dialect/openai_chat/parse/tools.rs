//! Tools, the choice among them, and the form of the answer.
//!
//! Owns their spellings, old ones included. Refuses to know schemas: they stay as they were written.

use serde_json::value::RawValue;

use super::value::{Object, Value};
use super::{note, parts};
use crate::dialect::canonical::{Format, Request, Tool, ToolChoice};
use crate::dialect::openai_chat::request::BadRequest;

const FUNCTION: &str = "an object with `name`, `description` and `parameters`";
const CHOICE: &str = "`none`, `auto`, `required`, or an object that names a function";

/// Reads what concerns tools, and `response_format`.
pub(super) fn read(body: &Object<'_>, request: &mut Request) -> Result<(), BadRequest> {
    if let Some(tools) = body.get("tools") {
        for item in tools.items("a list of tools, each with `type` and `function`")? {
            let object = item.object("a tool: an object with `type` and `function`")?;
            let kind = object.text("type")?.unwrap_or_else(|| "function".to_owned());
            if kind == "function" {
                let function = object.need("function", FUNCTION)?.object(FUNCTION)?;
                let mut tool = function_tool(&function)?;
                tool.cache = parts::cache(&object)?.or(tool.cache);
                request.tools.push(tool);
            } else {
                note(request, "tools", &kind);
            }
        }
    }
    if let Some(functions) = body.get("functions") {
        for item in functions.items("a list of functions")? {
            request.tools.push(function_tool(&item.object(FUNCTION)?)?);
        }
    }
    request.tool_choice = match (body.get("tool_choice"), body.get("function_call")) {
        (Some(choice), _) => tool_choice(&choice, request)?,
        (None, Some(choice)) if choice.is_object() => Some(ToolChoice::Named(name(&choice)?)),
        (None, Some(choice)) => tool_choice(&choice, request)?,
        (None, None) => None,
    };
    request.parallel_tool_calls = body.plain("parallel_tool_calls", "true or false")?;
    if let Some(format) = body.get("response_format") {
        request.format = response_format(&format, request)?;
    }
    Ok(())
}

fn function_tool(function: &Object<'_>) -> Result<Tool, BadRequest> {
    Ok(Tool {
        name: function.need("name", "a string")?.text("a string")?,
        description: function.text("description")?,
        schema: function.get("parameters").map(|value| schema(&value)).transpose()?,
        strict: function.plain("strict", "true or false")?,
        cache: parts::cache(function)?,
    })
}

fn schema(value: &Value<'_>) -> Result<Box<RawValue>, BadRequest> {
    if value.is_object() { Ok(value.raw().to_owned()) } else { Err(value.wrong("a JSON schema: an object")) }
}

fn name(choice: &Value<'_>) -> Result<String, BadRequest> {
    choice.object(CHOICE)?.need("name", "the name of a function")?.text("the name of a function")
}

fn tool_choice(choice: &Value<'_>, request: &mut Request) -> Result<Option<ToolChoice>, BadRequest> {
    if choice.is_text() {
        return Ok(Some(match choice.text(CHOICE)?.as_str() {
            "none" => ToolChoice::Never,
            "auto" => ToolChoice::Auto,
            // `any` is Mistral's word.
            "required" | "any" => ToolChoice::Any,
            _ => return Err(choice.wrong(CHOICE)),
        }));
    }
    let object = choice.object(CHOICE)?;
    let kind = object.text("type")?.unwrap_or_else(|| "function".to_owned());
    match kind.as_str() {
        "function" => Ok(Some(ToolChoice::Named(name(&object.need("function", "an object with a `name`")?)?))),
        "allowed_tools" => {
            let wanted = "an object with `mode` and `tools`";
            let allowed = object.need("allowed_tools", wanted)?;
            allowed_tools(&allowed.object(wanted)?).map(Some)
        }
        other => {
            note(request, "tool_choice", other);
            Ok(None)
        }
    }
}

fn allowed_tools(allowed: &Object<'_>) -> Result<ToolChoice, BadRequest> {
    let mut names = Vec::new();
    let tools = allowed.need("tools", "a list of tools")?;
    for item in tools.items("a list of tools")? {
        let tool = item.object(FUNCTION)?;
        names.push(name(&tool.need("function", "an object with a `name`")?)?);
    }
    Ok(ToolChoice::Among { names, required: allowed.text("mode")?.as_deref() == Some("required") })
}

fn response_format(value: &Value<'_>, request: &mut Request) -> Result<Option<Format>, BadRequest> {
    let wanted = "an object with a `type`: `text`, `json_object` or `json_schema`";
    let format = value.object(wanted)?;
    let kind = format.need("type", "`text`, `json_object` or `json_schema`")?.text("a string")?;
    Ok(match kind.as_str() {
        "text" => None,
        "json_object" => Some(Format::Json),
        "json_schema" => {
            let named = format.need("json_schema", "an object with `name` and `schema`")?;
            let named = named.object("an object with `name` and `schema`")?;
            match named.get("schema") {
                Some(value) => Some(Format::Schema {
                    name: named.text("name")?,
                    description: named.text("description")?,
                    schema: schema(&value)?,
                    strict: named.plain("strict", "true or false")?,
                }),
                None => Some(Format::Json),
            }
        }
        other => {
            note(request, "response_format", other);
            None
        }
    })
}
