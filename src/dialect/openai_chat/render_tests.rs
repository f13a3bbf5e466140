//! Tests of [`render`](super).

use serde_json::{Value, json};

use super::*;
use crate::dialect::canonical::{Cache, Call, Document, Image, Part, Role, Source, Text, ToolResult, Turn};
use crate::policy::capability::Abilities;

pub(super) fn try_render(
    asked: &Request,
    vendor: Vendor,
    model: &str,
    reasoning: Option<bool>,
) -> Result<(Value, Vec<String>), Cannot> {
    let abilities = Abilities { reasoning, ..Abilities::default() };
    let rendered = request(asked, &Profile { model, vendor, abilities: &abilities })?;
    let dropped = rendered.dropped.iter().map(ToString::to_string).collect();
    Ok((serde_json::from_slice(&rendered.body).unwrap(), dropped))
}

pub(super) fn render(asked: &Request, vendor: Vendor) -> (Value, Vec<String>) {
    try_render(asked, vendor, "m", None).unwrap_or_else(|cannot| panic!("{vendor:?}: {cannot:?}"))
}

pub(super) fn text(text: &str) -> Part {
    Part::Text(Text::new(text))
}

pub(super) fn user(parts: Vec<Part>) -> Turn {
    Turn { role: Role::User, parts }
}

pub(super) fn assistant(parts: Vec<Part>) -> Turn {
    Turn { role: Role::Assistant, parts }
}

pub(super) fn talk(turns: Vec<Turn>) -> Request {
    Request { turns, ..Request::default() }
}

pub(super) fn call(id: &str) -> Part {
    Part::Call(Call { id: id.to_owned(), name: "f".to_owned(), input: "{\"x\":1}".to_owned(), ..Call::default() })
}

pub(super) fn result(id: &str, parts: Vec<Part>) -> ToolResult {
    ToolResult { id: id.to_owned(), parts, ..ToolResult::default() }
}

pub(super) fn picture(source: Source) -> Part {
    Part::Image(Image { source, detail: None, cache: None })
}

pub(super) fn png() -> Source {
    Source::Base64 { media_type: "image/png".to_owned(), data: "AA".to_owned() }
}

pub(super) fn file(source: Source) -> Part {
    Part::Document(Document { source, name: Some("a.pdf".to_owned()), context: None, cache: None })
}

pub(super) fn pdf() -> Source {
    Source::Base64 { media_type: "application/pdf".to_owned(), data: "JV".to_owned() }
}

#[test]
fn pictures_and_documents_as_each_vendor_takes_them() {
    let url = || Source::Url("https://e.com/a".to_owned());
    let here = |part: Part, vendor: Vendor| {
        let asked = talk(vec![user(vec![part])]);
        match try_render(&asked, vendor, "m", None) {
            Ok((body, _)) => body["messages"][0]["content"][0].clone(),
            Err(Cannot::Lack(lack, _)) => json!(lack.name()),
            Err(Cannot::Bad(bad)) => panic!("{bad:?}"),
        }
    };
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let with_bytes =
        json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JV"}});
    for (part, vendor, expected) in [
        (picture(url()), Vendor::OpenAi, image("https://e.com/a")),
        (picture(png()), Vendor::Ollama, image("data:image/png;base64,AA")),
        (picture(url()), Vendor::Ollama, json!("no_vision")),
        (picture(png()), Vendor::DeepSeek, json!("no_vision")),
        (picture(Source::File("file_1".to_owned())), Vendor::OpenAi, json!("stateful")),
        (file(pdf()), Vendor::OpenAi, with_bytes.clone()),
        (file(pdf()), Vendor::OpenRouter, with_bytes),
        (
            file(url()),
            Vendor::OpenRouter,
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "https://e.com/a"}}),
        ),
        (file(url()), Vendor::Mistral, json!({"type": "document_url", "document_url": "https://e.com/a"})),
        (file(url()), Vendor::OpenAi, json!("no_vision")),
        (file(pdf()), Vendor::Groq, json!("no_vision")),
        (file(Source::File("file_1".to_owned())), Vendor::Mistral, json!("stateful")),
        (
            Part::Audio { data: "AA".to_owned(), format: "wav".to_owned() },
            Vendor::OpenAi,
            json!({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
        ),
    ] {
        assert_eq!(here(part.clone(), vendor), expected, "{vendor:?} {part:?}");
    }
    let (body, _) = render(&talk(vec![user(vec![file(Source::Text("long".to_owned())), text("x")])]), Vendor::Groq);
    assert_eq!(body["messages"][0]["content"], "a.pdf\n\nlong\n\nx");
}

#[test]
fn marks_stay_where_they_are_known() {
    let marked = Text { text: "s".to_owned(), cache: Some(Cache { ttl: Some("1h".to_owned()) }) };
    let asked = Request { system: vec![marked.clone()], ..talk(vec![user(vec![Part::Text(marked)])]) };
    let part = json!([{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    let (body, dropped) = render(&asked, Vendor::OpenRouter);
    assert_eq!((&body["messages"][0]["content"], &body["messages"][1]["content"], dropped), (&part, &part, vec![]));
    let (body, dropped) = render(&asked, Vendor::OpenAi);
    assert_eq!((&body["messages"][0]["content"], dropped), (&json!("s"), vec!["cache_control".to_owned()]));
}

#[test]
fn tools_choices_and_schemas() {
    let tool = |name: &str, schema: &str, strict| Tool {
        name: name.to_owned(),
        description: None,
        schema: RawValue::from_string(schema.to_owned()).ok(),
        strict,
        cache: None,
    };
    let closed =
        r#"{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}"#;
    let open = r#"{"type":"object","properties":{"b":{"type":"string"}}}"#;
    let mut asked = Request {
        tools: vec![tool("f", closed, Some(true)), tool("g", open, Some(true)), tool("h", open, None)],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        parallel_tool_calls: Some(false),
        ..talk(vec![user(vec![text("x")])])
    };
    let (body, dropped) = render(&asked, Vendor::OpenAi);
    let strict: Vec<_> =
        body["tools"].as_array().unwrap().iter().map(|tool| tool["function"]["strict"].clone()).collect();
    assert_eq!((strict, dropped), (vec![json!(true), Value::Null, Value::Null], vec!["tools.strict".to_owned()]));
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "f"}}));
    assert_eq!(body["parallel_tool_calls"], json!(false));
    for (choice, expected, count) in [
        (ToolChoice::Auto, Value::Null, 3),
        (ToolChoice::Never, json!("none"), 3),
        (ToolChoice::Any, json!("required"), 3),
        (ToolChoice::Among { names: vec!["f".to_owned(), "h".to_owned()], required: true }, json!("required"), 2),
        (ToolChoice::Among { names: vec!["f".to_owned()], required: false }, Value::Null, 1),
    ] {
        asked.tool_choice = Some(choice.clone());
        let (body, _) = render(&asked, Vendor::Other);
        assert_eq!(
            (&body["tool_choice"], body["tools"].as_array().map(Vec::len)),
            (&expected, Some(count)),
            "{choice:?}"
        );
    }
    // Without tools there is nothing to choose from.
    asked.tools.clear();
    let (body, _) = render(&asked, Vendor::OpenAi);
    assert!(body.get("tool_choice").is_none() && body.get("parallel_tool_calls").is_none());
    asked.format = Some(Format::Schema {
        name: None,
        description: None,
        schema: RawValue::from_string(closed.to_owned()).unwrap(),
        strict: None,
    });
    let (body, _) = render(&asked, Vendor::OpenAi);
    let schema: Value = serde_json::from_str(closed).unwrap();
    assert_eq!(
        body["response_format"],
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}})
    );
    let lack = try_render(&asked, Vendor::DeepSeek, "m", None).err();
    assert!(matches!(lack, Some(Cannot::Lack(Lack::JsonSchema, _))), "{lack:?}");
}

/// A vendor, its model, whether that thinks, what is asked for, what is written, what is lost.
type Thought =
    (Vendor, &'static str, Option<bool>, Option<Thinking>, Option<Effort>, &'static str, &'static [&'static str]);

const OFF: Option<Thinking> = Some(Thinking::Off);
const FREE: Option<Thinking> = Some(Thinking::Adaptive);
const BUDGET: Option<Thinking> = Some(Thinking::Budget(8_000));

const THOUGHTS: &[Thought] = &[
    (Vendor::OpenAi, "gpt-5", Some(true), BUDGET, None, r#"{"reasoning_effort":"medium"}"#, &[]),
    (Vendor::OpenAi, "new", None, BUDGET, Some(Effort::Max), r#"{"reasoning_effort":"high"}"#, &[]),
    (Vendor::OpenAi, "old", Some(false), BUDGET, Some(Effort::Low), "{}", &["thinking", "output_config.effort"]),
    (Vendor::OpenAi, "gpt-5", Some(true), OFF, None, "{}", &[]),
    (Vendor::OpenAi, "gpt-5", Some(true), FREE, None, "{}", &[]),
    (Vendor::Groq, "m", None, None, Some(Effort::Minimal), r#"{"reasoning_effort":"low"}"#, &[]),
    (Vendor::Mistral, "m", None, BUDGET, None, "{}", &["thinking"]),
    (Vendor::Mistral, "m", Some(true), BUDGET, None, r#"{"reasoning_effort":"high"}"#, &[]),
    (Vendor::Xai, "grok-4-fast", Some(true), BUDGET, None, "{}", &["thinking"]),
    (Vendor::Xai, "grok-3-mini", Some(true), BUDGET, None, r#"{"reasoning_effort":"medium"}"#, &[]),
    (Vendor::OpenRouter, "m", None, BUDGET, Some(Effort::Low), r#"{"reasoning":{"max_tokens":8000}}"#, &[]),
    (Vendor::OpenRouter, "m", None, None, Some(Effort::Max), r#"{"reasoning":{"effort":"xhigh"}}"#, &[]),
    (Vendor::OpenRouter, "m", None, FREE, None, r#"{"reasoning":{"enabled":true}}"#, &[]),
    (Vendor::OpenRouter, "m", None, OFF, None, "{}", &[]),
    (Vendor::DeepSeek, "m", None, OFF, None, r#"{"thinking":{"type":"disabled"}}"#, &[]),
    (Vendor::DeepSeek, "m", None, BUDGET, None, r#"{"thinking":{"type":"enabled"},"reasoning_effort":"high"}"#, &[]),
];

#[test]
fn how_much_is_thought_in_each_vendors_words() {
    for (vendor, model, able, thinking, effort, expected, lost) in THOUGHTS.iter().copied() {
        let asked = Request { thinking, effort, ..talk(vec![user(vec![text("x")])]) };
        let (mut body, dropped) = try_render(&asked, vendor, model, able).unwrap();
        let members = body.as_object_mut().unwrap();
        members.retain(|name, _| !["model", "messages"].contains(&name.as_str()));
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(body, expected, "{vendor:?} {model} {thinking:?} {effort:?}");
        assert_eq!(dropped, lost, "{vendor:?} {model} {thinking:?} {effort:?}");
    }
}

#[test]
fn deepseek_does_not_think_where_a_call_is_forced() {
    let tool = Tool { name: "f".to_owned(), description: None, schema: None, strict: None, cache: None };
    let forced = Request {
        thinking: BUDGET,
        tools: vec![tool],
        tool_choice: Some(ToolChoice::Any),
        ..talk(vec![user(vec![text("x")])])
    };
    let (body, dropped) = render(&forced, Vendor::DeepSeek);
    assert_eq!((&body["thinking"], body.get("reasoning_effort")), (&json!({"type": "disabled"}), None));
    assert_eq!(dropped, ["thinking"]);
}

#[test]
fn length_sampling_and_who_asks() {
    let asked = Request {
        stream: true,
        max_tokens: Some(7),
        temperature: Some(0.5),
        top_p: Some(1.0),
        top_k: Some(40),
        stop: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
        user: Some("u".repeat(100)),
        service_tier: Some("standard_only".to_owned()),
        uncarried: vec!["mcp_servers".into()],
        ..talk(vec![user(vec![text("x")])])
    };
    let (body, dropped) = render(&asked, Vendor::OpenAi);
    assert_eq!(dropped, ["mcp_servers", "stop_sequences", "top_k"]);
    assert_eq!(body["max_completion_tokens"], 7);
    assert_eq!(body["stop"], json!(["a", "b", "c", "d"]));
    assert_eq!((body["temperature"].as_f64(), body["top_p"].as_f64()), (Some(0.5), Some(1.0)));
    assert_eq!((body["user"].as_str().map(str::len), body["service_tier"].as_str()), (Some(64), Some("default")));
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    let (body, dropped) = render(&asked, Vendor::Mistral);
    assert_eq!((&body["max_tokens"], body.get("stream_options"), body.get("user")), (&json!(7), None, None));
    assert_eq!(dropped, ["mcp_servers", "stop_sequences", "top_k", "metadata.user_id", "service_tier"]);
    let (body, _) = render(&asked, Vendor::Vllm);
    assert_eq!((&body["max_tokens"], &body["top_k"]), (&json!(7), &json!(40)));
    let (body, dropped) = try_render(&asked, Vendor::OpenAi, "gpt-5-mini", Some(true)).unwrap();
    assert!(["temperature", "top_p", "stop"].iter().all(|name| body.get(name).is_none()), "{body}");
    assert_eq!(dropped, ["mcp_servers", "temperature", "stop_sequences", "top_k"]);
}
