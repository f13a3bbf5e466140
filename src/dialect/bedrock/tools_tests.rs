//! Tools as they are offered, choices, and schemas by format or by a tool that stands in.

use serde_json::{Value, json};

use super::*;
use crate::dialect::bedrock::fixture::{NOVA, OLD, QWEN, SONNET, asked, text, tool, try_write, user, write};
use crate::dialect::vendor::Vendor;
use crate::policy::capability::Abilities;

fn raw(schema: &str) -> Box<RawValue> {
    RawValue::from_string(schema.into()).unwrap()
}

fn plain() -> Request {
    Request { tools: vec![tool("f"), tool("g")], ..asked(vec![user(vec![text("go")])]) }
}

const CLOSED: &str = r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}},"required":["z"],"additionalProperties":false}"#;

fn shaped(schema: &str) -> Request {
    let format =
        Format::Schema { name: Some("my answer".into()), description: None, schema: raw(schema), strict: None };
    Request { format: Some(format), ..asked(vec![user(vec![text("go")])]) }
}

#[test]
fn each_choice() {
    let named = |name: &str| ToolChoice::Named(name.into());
    let among = |names: &[&str], required| ToolChoice::Among {
        names: names.iter().map(ToString::to_string).collect(),
        required,
    };
    for (choice, names, sent) in [
        (None, vec!["f", "g"], Value::Null),
        (Some(ToolChoice::Auto), vec!["f", "g"], json!({"auto": {}})),
        (Some(ToolChoice::Any), vec!["f", "g"], json!({"any": {}})),
        (Some(named("g")), vec!["f", "g"], json!({"tool": {"name": "g"}})),
        (Some(among(&["g"], true)), vec!["g"], json!({"tool": {"name": "g"}})),
        (Some(among(&["f", "g", "h"], true)), vec!["f", "g"], json!({"any": {}})),
        (Some(among(&["f"], false)), vec!["f"], Value::Null),
        (Some(among(&["h"], true)), vec![], Value::Null),
        (Some(ToolChoice::Never), vec![], Value::Null),
    ] {
        let (body, dropped) = write(&Request { tool_choice: choice.clone(), ..plain() }, NOVA);
        let tools = body["toolConfig"]["tools"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = tools.iter().filter_map(|tool| tool["toolSpec"]["name"].as_str()).collect();
        assert_eq!((found, &body["toolConfig"]["toolChoice"]), (names, &sent), "{choice:?}");
        assert!(dropped.is_empty(), "{choice:?}");
    }
}

#[test]
fn tools_are_made_acceptable() {
    for (description, schema, strict, model, sent, noted) in [
        (
            None,
            None,
            None,
            NOVA,
            json!({"name": "f", "description": "f", "inputSchema": {"json": {"type": "object"}}}),
            vec![],
        ),
        (
            Some(" "),
            Some("null"),
            Some(false),
            NOVA,
            json!({"name": "f", "description": "f", "inputSchema": {"json": {"type": "object"}}}),
            vec![],
        ),
        (
            Some("d"),
            Some(r#" { "properties": {"a": {}}}"#),
            Some(true),
            NOVA,
            json!({"name": "f", "description": "d", "inputSchema": {"json": {"type": "object", "properties": {"a": {}}}}}),
            vec!["tools.strict"],
        ),
        (
            Some("d"),
            Some(CLOSED),
            Some(true),
            SONNET,
            json!({"name": "f", "description": "d", "inputSchema": {"json": serde_json::from_str::<Value>(CLOSED).unwrap()}, "strict": true}),
            vec![],
        ),
        (
            Some("d"),
            Some("{}"),
            Some(true),
            SONNET,
            json!({"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}}),
            vec!["tools.strict"],
        ),
    ] {
        let tool = Asked {
            name: "f".into(),
            description: description.map(Into::into),
            schema: schema.map(raw),
            strict,
            cache: None,
        };
        let (body, dropped) = write(&Request { tools: vec![tool], ..plain() }, model);
        assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"], sent);
        assert_eq!(dropped, noted);
    }
    let ordered = String::from_utf8(try_write(&shaped(CLOSED), NOVA).unwrap().body).unwrap();
    assert!(ordered.contains(CLOSED), "the schema's fields keep their order: {ordered}");
}

#[test]
fn one_call_at_a_time() {
    let one = json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    for (choice, model, additional, sent, noted) in [
        (None, SONNET, &one, Value::Null, vec![]),
        (Some(ToolChoice::Auto), SONNET, &one, Value::Null, vec![]),
        (Some(ToolChoice::Any), SONNET, &Value::Null, json!({"any": {}}), vec!["parallel_tool_calls"]),
        (None, NOVA, &Value::Null, Value::Null, vec!["parallel_tool_calls"]),
        (Some(ToolChoice::Never), NOVA, &Value::Null, Value::Null, vec![]),
    ] {
        let request = Request { tool_choice: choice, parallel_tool_calls: Some(false), ..plain() };
        let (body, dropped) = write(&request, model);
        assert_eq!((&body["additionalModelRequestFields"], &body["toolConfig"]["toolChoice"]), (additional, &sent));
        assert_eq!(dropped, noted);
    }
    let (body, dropped) = write(&Request { parallel_tool_calls: Some(true), ..plain() }, NOVA);
    assert!(body.get("additionalModelRequestFields").is_none() && dropped.is_empty());
}

#[test]
fn a_schema_is_a_format_where_it_is_taken() {
    let (body, dropped) = write(&shaped(CLOSED), SONNET);
    assert_eq!(
        body["outputConfig"],
        json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": CLOSED, "name": "my answer"}}}})
    );
    assert!(body.get("toolConfig").is_none() && dropped.is_empty());
    assert_eq!(try_write(&shaped(CLOSED), SONNET).unwrap().schema_tool, None);
}

#[test]
fn a_schema_is_a_tool_where_it_is_not() {
    let open = r#"{"type":"object","properties":{"a":{"type":"object"}},"additionalProperties":false}"#;
    let bounded = r#"{"type":"object","properties":{"a":{"type":"integer","minimum":1}},"additionalProperties":false}"#;
    for (schema, model) in
        [(CLOSED, OLD), (CLOSED, NOVA), (CLOSED, "anthropic.claude-opus-4-7"), (open, SONNET), (bounded, SONNET)]
    {
        let rendered = try_write(&shaped(schema), model).unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        assert_eq!(rendered.schema_tool.as_deref(), Some("my_answer"), "{model}");
        assert_eq!(
            body["toolConfig"],
            json!({
                "tools": [{"toolSpec": {"name": "my_answer", "description": "Answers the user. Its input is the whole answer.",
                    "inputSchema": {"json": serde_json::from_str::<Value>(schema).unwrap()}}}],
                "toolChoice": {"tool": {"name": "my_answer"}},
            })
        );
        assert!(body.get("outputConfig").is_none());
    }
}

#[test]
fn a_schema_beside_tools() {
    for (choice, schema_tool, sent) in [
        (None, Some("my_answer"), json!({"any": {}})),
        (Some(ToolChoice::Auto), Some("my_answer"), json!({"any": {}})),
        (Some(ToolChoice::Never), Some("my_answer"), json!({"tool": {"name": "my_answer"}})),
        (Some(ToolChoice::Any), None, json!({"any": {}})),
        (Some(ToolChoice::Named("f".into())), None, json!({"tool": {"name": "f"}})),
    ] {
        let request = Request { tools: plain().tools, tool_choice: choice, ..shaped(CLOSED) };
        let rendered = try_write(&request, NOVA).unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        assert_eq!((rendered.schema_tool.as_deref(), &body["toolConfig"]["toolChoice"]), (schema_tool, &sent));
    }
}

#[test]
fn who_cannot_be_made_to_call_is_asked_to() {
    let fable = "anthropic.claude-fable-5";
    let (body, dropped) = write(&Request { tool_choice: Some(ToolChoice::Any), ..plain() }, fable);
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"auto": {}}));
    assert_eq!(dropped, ["tool_choice"]);
    let (body, dropped) = write(&shaped(CLOSED), fable);
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"auto": {}}));
    assert!(dropped.is_empty());
}

#[test]
fn the_tool_that_stands_in_has_a_name_of_its_own() {
    let tools = |names: &[&str]| names.iter().map(|name| tool(name)).collect::<Vec<_>>();
    for (wanted, taken, name) in [
        ("", vec![], "json_answer"),
        ("w\u{e9}ather.v1", vec![], "w_ather_v1"),
        ("f", vec!["f"], "json_answer"),
        ("f", vec!["f", "json_answer", "json_answer_2"], "json_answer_3"),
        (&"n".repeat(80), vec![], &"n".repeat(64)),
    ] {
        let taken = tools(&taken);
        assert_eq!(free_name(wanted, &taken.iter().collect::<Vec<_>>()), name);
    }
    let json = Request { format: Some(Format::Json), ..asked(vec![user(vec![text("go")])]) };
    assert_eq!(try_write(&json, NOVA).unwrap().schema_tool.as_deref(), Some("json_answer"));
}

#[test]
fn what_no_tool_can_stand_for_goes_to_another_target() {
    for schema in [r#"{"type":"array","items":{}}"#, r#"{"type":["object","null"]}"#, "true"] {
        match try_write(&shaped(schema), NOVA) {
            Err(Cannot::Lack(Lack::JsonSchema, words)) => assert!(!words.is_empty()),
            other => unreachable!("{schema}: {other:?}"),
        }
    }
    let abilities = Abilities { tools: Some(false), ..Abilities::default() };
    let profile = Profile { model: QWEN, vendor: Vendor::Bedrock, abilities: &abilities };
    let refused = crate::dialect::bedrock::render::request(&shaped(CLOSED), &profile);
    assert!(matches!(refused, Err(Cannot::Lack(Lack::JsonSchema, _))));
}
