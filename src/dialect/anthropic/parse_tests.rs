//! Messages requests become canonical.

use serde_json::{Value, json};

use super::*;
use crate::dialect::canonical::Source;

fn parsed(body: &Value) -> Request {
    request(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error:?}: {body}"))
}

/// A request with more fields.
fn with(more: &Value) -> Value {
    let mut body = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// What is in the only user's turn.
fn parts(content: &Value) -> (Vec<Part>, Vec<Cow<'static, str>>) {
    let mut request = parsed(&with(&json!({ "messages": [{ "role": "user", "content": content }] })));
    (request.turns.remove(0).parts, request.uncarried)
}

#[test]
fn scalars_are_carried() {
    let request = parsed(&with(&json!({
        "stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop_sequences": ["a", "b"],
        "metadata": { "user_id": "u", "team": 1 }, "service_tier": "auto", "models": ["x"], "disable_fallbacks": false,
        "container": null, "inference_geo": "eu", "\u{e4}": 1, "fallbacks": [{ "model": "x" }]
    })));
    assert_eq!((request.stream, request.include_usage, request.max_tokens), (true, true, Some(9)));
    assert_eq!((request.temperature, request.top_p, request.top_k), (Some(0.5), Some(0.9), Some(5)));
    assert_eq!((request.stop, request.user.as_deref()), (vec!["a".to_owned(), "b".to_owned()], Some("u")));
    assert_eq!(request.service_tier.as_deref(), Some("auto"));
    let mut uncarried = request.uncarried;
    uncarried.sort();
    assert_eq!(uncarried, ["fallbacks", "inference_geo", "metadata.team", "unknown"]);
}

#[test]
fn instructions_come_from_everywhere_in_order() {
    let request = parsed(&with(&json!({
        "messages": [{ "role": "user", "content": "a" }, { "role": "system", "content": "later" }, { "role": "user", "content": "b" }],
        "system": [{ "type": "text", "text": "first", "cache_control": { "type": "ephemeral", "ttl": "1h" } }, { "type": "text", "text": "" }]
    })));
    let texts: Vec<_> = request.system.iter().map(|text| text.text.as_str()).collect();
    assert_eq!(texts, ["first", "later"]);
    assert_eq!(request.system[0].cache, Some(Cache { ttl: Some("1h".to_owned()) }));
    assert_eq!((request.turns.len(), request.turns[0].parts.len()), (1, 2), "runs of a role are one turn");
    assert_eq!(parsed(&with(&json!({ "system": "plain" }))).system, [Text::new("plain")]);
}

#[test]
fn every_kind_of_block_is_carried() {
    let (parts, uncarried) = parts(&json!([
        { "type": "text", "text": "t", "cache_control": { "type": "ephemeral" }, "citations": null },
        { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AA" } },
        { "type": "image", "source": { "type": "url", "url": "u" } },
        { "type": "image", "source": { "type": "file", "file_id": "f" } },
        { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "d" }, "title": "T", "context": "C" },
        { "type": "document", "source": { "type": "content", "content": [{ "type": "text", "text": "x" }, { "type": "image", "source": {} }, { "type": "text", "text": "y" }] } },
        { "type": "document", "source": { "type": "content", "content": "whole" }, "citations": { "enabled": true } },
        { "type": "search_result", "source": "https://example.com", "title": "S", "content": [{ "type": "text", "text": "found" }] },
        { "type": "container_upload", "file_id": "f" },
        { "type": "tool_result", "tool_use_id": "c", "is_error": true, "content": [{ "type": "text", "text": "no" }, { "type": "tool_reference", "tool_name": "x" }, { "type": "tool_use", "id": "a", "name": "b", "input": {} }] },
        { "type": "tool_result", "tool_use_id": "d", "content": "plain" },
        { "type": "tool_result", "tool_use_id": "e" }
    ]));
    let [Part::Result(first), Part::Result(second), Part::Result(third), rest @ ..] = parts.as_slice() else {
        panic!("results first: {parts:?}")
    };
    assert_eq!((first.id.as_str(), first.is_error, first.parts.len()), ("c", true, 1));
    assert!(matches!(second.parts.as_slice(), [Part::Text(text)] if text.text == "plain"));
    assert!(third.parts.is_empty() && !third.is_error);
    let sources: Vec<_> = rest
        .iter()
        .filter_map(|part| match part {
            Part::Image(image) => Some(image.source.clone()),
            Part::Document(document) => Some(document.source.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        sources,
        [
            Source::Base64 { media_type: "image/png".to_owned(), data: "AA".to_owned() },
            Source::Url("u".to_owned()),
            Source::File("f".to_owned()),
            Source::Text("d".to_owned()),
            Source::Text("x\ny".to_owned()),
            Source::Text("whole".to_owned()),
            Source::Text("found".to_owned()),
        ]
    );
    assert!(matches!(&rest[0], Part::Text(Text { text, cache: Some(_) }) if text == "t"));
    assert!(
        matches!(&rest[4], Part::Document(paper) if paper.name.as_deref() == Some("T") && paper.context.as_deref() == Some("C"))
    );
    let named = [
        "messages.content.document.image",
        "messages.content.citations",
        "messages.content.container_upload",
        "messages.content.tool_reference",
        "messages.content.tool_use",
    ];
    assert_eq!(uncarried, named);
}

#[test]
fn the_models_turns_are_carried() {
    let request = parsed(&with(&json!({ "messages": [
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "Sig=" },
            { "type": "thinking", "thinking": "foreign", "signature": "backstop:unsigned" },
            { "type": "redacted_thinking", "data": "D" },
            { "type": "text", "text": "half \u{e9}" },
            { "type": "server_tool_use", "id": "s", "name": "web_search", "input": {} },
            { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "z": 1.50, "a": [] }, "cache_control": { "type": "ephemeral" } }
        ] }
    ] })));
    let [thinking, foreign, redacted, text, call] = request.turns[1].parts.as_slice() else {
        panic!("{:?}", request.turns)
    };
    assert!(matches!(thinking, Part::Thinking { text, signature: Some(signed) } if text == "hm" && signed == "Sig="));
    assert!(matches!(foreign, Part::Thinking { signature: None, .. }));
    assert!(matches!(redacted, Part::Redacted { data } if data == "D"));
    assert!(matches!(text, Part::Text(text) if text.text == "half é"));
    assert!(
        matches!(call, Part::Call(call) if call.input == r#"{"a":[],"z":1.5}"# && call.cache.is_some()),
        "{call:?}"
    );
    assert_eq!(request.uncarried, ["messages.content.server_tool_use"]);
}

#[test]
fn half_a_surrogate_pair_does_not_end_a_request() {
    let body = br#"{"max_tokens":1,"messages":[{"role":"user","content":"cut \ud83d"}]}"#;
    let request = request(body).unwrap();
    assert!(matches!(&request.turns[0].parts[0], Part::Text(text) if text.text.starts_with("cut \u{fffd}")));
}

#[test]
fn tools_and_the_choice_among_them() {
    let schema = r#"{"type":"object","properties":{"b":{},"a":{}}}"#;
    let body = format!(
        r#"{{"max_tokens":1,"messages":[{{"role":"user","content":"a"}}],
        "tools":[{{"name":"f","description":"d","input_schema":{schema},"strict":true,"cache_control":{{"type":"ephemeral"}}}},
        {{"type":"custom","name":"g","input_examples":[]}},{{"type":"web_search_20250305","name":"web_search"}}],
        "tool_choice":{{"type":"tool","name":"f","disable_parallel_tool_use":true}}}}"#
    );
    let carried = request(body.as_bytes()).unwrap();
    assert_eq!(carried.tools.len(), 2);
    assert_eq!(carried.tools[0].schema.as_ref().map(|schema| schema.get()), Some(schema), "as it was written");
    assert_eq!((carried.tools[0].strict, carried.tools[0].cache.is_some()), (Some(true), true));
    assert!(carried.tools[1].schema.is_none() && carried.tools[1].description.is_none());
    assert_eq!(carried.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert_eq!(carried.parallel_tool_calls, Some(false));
    assert_eq!(carried.uncarried, ["tools.input_examples", "tools.web_search_20250305"]);
    for (kind, choice) in [("auto", ToolChoice::Auto), ("any", ToolChoice::Any), ("none", ToolChoice::Never)] {
        let tool = json!({ "name": "f", "input_schema": { "type": "object" } });
        let request = parsed(&with(&json!({ "tools": [tool], "tool_choice": { "type": kind } })));
        assert_eq!((request.tool_choice, request.parallel_tool_calls), (Some(choice), None));
    }
    let server = json!({ "type": "web_search_20250305", "name": "web_search" });
    for choice in [json!({ "type": "tool", "name": "web_search" }), json!({ "type": "any" })] {
        let request = parsed(&with(&json!({ "tools": [server], "tool_choice": choice })));
        assert_eq!(request.tool_choice, None, "what is left out cannot be chosen");
        assert_eq!(request.uncarried, ["tools.web_search_20250305", "tool_choice"]);
    }
}

#[test]
fn thinking_effort_and_format() {
    for (more, thinking, effort, uncarried) in [
        (
            json!({ "thinking": { "type": "enabled", "budget_tokens": 2000 } }),
            Some(Thinking::Budget(2000)),
            None,
            vec![],
        ),
        (
            json!({ "thinking": { "type": "adaptive", "display": "summarized" } }),
            Some(Thinking::Adaptive),
            None,
            vec![],
        ),
        (
            json!({ "thinking": { "type": "adaptive", "display": "omitted" } }),
            Some(Thinking::Adaptive),
            None,
            vec!["thinking.display"],
        ),
        (json!({ "thinking": { "type": "disabled" } }), Some(Thinking::Off), None, vec![]),
        (json!({ "thinking": { "type": "between_tools" } }), None, None, vec!["thinking.between_tools"]),
        (
            json!({ "output_config": { "effort": "xhigh", "task_budget": {} } }),
            None,
            Some(Effort::XHigh),
            vec!["output_config.task_budget"],
        ),
        (json!({ "output_config": { "effort": "utmost" } }), None, None, vec!["output_config.effort"]),
    ] {
        let request = parsed(&with(&more));
        assert_eq!((request.thinking, request.effort), (thinking, effort), "{more}");
        assert_eq!(request.uncarried, uncarried, "{more}");
    }
    let format = json!({ "type": "json_schema", "schema": { "type": "object" } });
    for more in [json!({ "output_config": { "format": format } }), json!({ "output_format": format })] {
        let request = parsed(&with(&more));
        assert!(
            matches!(request.format, Some(Format::Schema { schema, name: None, .. }) if schema.get() == r#"{"type":"object"}"#)
        );
    }
}

#[test]
fn a_mark_for_all_stands_behind_the_last_part() {
    let request = parsed(&with(&json!({ "cache_control": { "type": "ephemeral" } })));
    assert!(matches!(&request.turns[0].parts[0], Part::Text(Text { cache: Some(_), .. })));
}

#[test]
fn what_nobody_can_understand_is_refused() {
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    for (more, param, code) in [
        (json!({ "max_tokens": null }), "max_tokens", "missing_required_parameter"),
        (json!({ "messages": null }), "messages", "missing_required_parameter"),
        (json!({ "messages": [] }), "messages", "invalid_type"),
        (json!({ "messages": ["hi"] }), "messages", "invalid_type"),
        (json!({ "messages": [{ "role": "tool", "content": "" }] }), "messages", "invalid_value"),
        (user(json!(7)), "messages", "invalid_type"),
        (user(json!(["text"])), "messages", "invalid_type"),
        (user(json!([{ "type": "text" }])), "messages", "invalid_type"),
        (user(json!([{ "type": "text", "text": 7 }])), "messages", "invalid_type"),
        (user(json!([{ "type": "image", "source": { "type": "base64" } }])), "messages", "invalid_type"),
        (user(json!([{ "type": "image", "source": { "type": "carrier_pigeon" } }])), "messages", "invalid_type"),
        (user(json!([{ "type": "tool_result" }])), "messages", "invalid_type"),
        (json!({ "max_tokens": -1 }), "max_tokens", "invalid_type"),
        (json!({ "system": 7 }), "system", "invalid_type"),
        (json!({ "temperature": "hot" }), "temperature", "invalid_type"),
        (json!({ "stop_sequences": "a" }), "stop_sequences", "invalid_type"),
        (json!({ "tools": [{ "input_schema": {} }] }), "tools", "invalid_type"),
        (json!({ "tool_choice": { "type": "tool" } }), "tool_choice", "invalid_type"),
        (json!({ "thinking": { "type": "enabled" } }), "thinking", "invalid_type"),
        (json!({ "output_format": { "type": "json_schema" } }), "output_format", "invalid_type"),
    ] {
        let body = with(&more);
        let error = request(body.to_string().as_bytes()).err();
        assert_eq!(error.map(|error| (error.param, error.code)), Some((Some(param), code)), "{body}");
    }
}

#[test]
fn what_is_named_as_not_carried_is_bounded() {
    let many: serde_json::Map<String, Value> = (0..99).map(|number| (format!("field_{number}"), json!(1))).collect();
    let request = parsed(&with(&Value::Object(many)));
    assert_eq!(request.uncarried.len(), 32);
    let long = parsed(&with(&json!({ "x".repeat(500): 1, "a\nb": 1 })));
    assert_eq!(long.uncarried, ["unknown"]);
}
