//! Canonical requests become Messages bodies.

use serde_json::{Value, json};

use super::*;
use crate::dialect::anthropic::parse;
use crate::dialect::canonical::{
    Cache, Call, Document, Effort, Image, Part, Role, Source, Text, Thinking, Tool, ToolChoice, ToolResult, Turn,
};
use crate::dialect::vendor::Vendor;
use crate::policy::capability::{Abilities, Lack};

const MODEL: &str = "claude-sonnet-4-5";

fn try_render(asked: &Request, model: &str) -> Result<Rendered, Cannot> {
    let abilities = Abilities::default();
    request(asked, &Profile { model, vendor: Vendor::Anthropic, abilities: &abilities })
}

/// The body, what was dropped, and the tool that stands in.
fn rendered(asked: &Request, model: &str) -> (Value, Vec<String>, Option<String>) {
    let rendered = try_render(asked, model).unwrap_or_else(|error| panic!("{error:?}"));
    let dropped = rendered.dropped.iter().map(ToString::to_string).collect();
    (serde_json::from_slice(&rendered.body).unwrap(), dropped, rendered.schema_tool)
}

fn text(text: &str) -> Part {
    Part::Text(Text::new(text))
}

fn user(parts: Vec<Part>) -> Turn {
    Turn { role: Role::User, parts }
}

fn assistant(parts: Vec<Part>) -> Turn {
    Turn { role: Role::Assistant, parts }
}

fn call(id: &str, input: &str) -> Part {
    Part::Call(Call { id: id.to_owned(), name: "f".to_owned(), input: input.to_owned(), ..Call::default() })
}

fn result(id: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Part::Result(ToolResult { id: id.to_owned(), parts, is_error, cache: None })
}

fn tool(name: &str, schema: Option<&str>) -> Tool {
    let schema = schema.map(|schema| RawValue::from_string(schema.to_owned()).unwrap());
    Tool { name: name.to_owned(), description: None, schema, strict: None, cache: None }
}

fn hi() -> Request {
    Request { turns: vec![user(vec![text("hi")])], ..Request::default() }
}

#[test]
fn fields_stand_in_one_order_and_the_longest_answer_has_a_default() {
    let asked = Request {
        system: vec![Text::new("be brief")],
        stream: true,
        temperature: Some(0.5),
        stop: vec!["a".to_owned(), " ".to_owned()],
        user: Some("u".to_owned()),
        service_tier: Some("default".to_owned()),
        uncarried: vec!["seed".into()],
        ..hi()
    };
    let rendered = try_render(&asked, MODEL).unwrap();
    let body = r#"{"model":"claude-sonnet-4-5","max_tokens":4096,"system":"be brief","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"temperature":0.5,"stop_sequences":["a"],"metadata":{"user_id":"u"},"service_tier":"standard_only","stream":true}"#;
    assert_eq!(String::from_utf8(rendered.body).unwrap(), body);
    assert_eq!(rendered.dropped, ["seed", "stop"]);
    let abilities = Abilities { max_output: Some(64_000), ..Abilities::default() };
    for (wish, given) in [(None, 64_000), (Some(7), 7)] {
        let asked = Request { max_tokens: wish, ..hi() };
        let profile = Profile { model: MODEL, vendor: Vendor::Anthropic, abilities: &abilities };
        let body: Value = serde_json::from_slice(&request(&asked, &profile).unwrap().body).unwrap();
        assert_eq!(body["max_tokens"], given);
    }
    for (tier, sent, dropped) in [("auto", json!("auto"), 0), ("flex", Value::Null, 1)] {
        let (body, noted, _) = rendered_with(|asked| asked.service_tier = Some(tier.to_owned()));
        assert_eq!((&body["service_tier"], noted.len()), (&sent, dropped), "{tier}");
    }
}

fn rendered_with(change: impl FnOnce(&mut Request)) -> (Value, Vec<String>, Option<String>) {
    let mut asked = hi();
    change(&mut asked);
    rendered(&asked, MODEL)
}

#[test]
fn sampling_fits_the_model() {
    let (none, all) = (json!(null), [Some(1.5), Some(0.9), Some(5.0)]);
    for (model, [temperature, top_p, top_k], sent, dropped) in [
        ("claude-3-5-sonnet-20241022", all, [json!(1.0), json!(0.9), json!(5)], "temperature"),
        (MODEL, all, [json!(1.0), none.clone(), json!(5)], "temperature,top_p"),
        (MODEL, [Some(0.0), None, None], [json!(0.0), none.clone(), none.clone()], ""),
        (MODEL, [None, Some(0.9), None], [none.clone(), json!(0.9), none.clone()], ""),
        (
            "claude-opus-4-7",
            [Some(0.5), Some(0.9), Some(5.0)],
            [none.clone(), none.clone(), none.clone()],
            "temperature,top_k,top_p",
        ),
        ("claude-sonnet-5", [Some(1.0), Some(1.0), None], [none.clone(), none.clone(), none.clone()], ""),
        ("deepseek-chat", [Some(0.5), Some(0.9), None], [json!(0.5), json!(0.9), none.clone()], ""),
    ] {
        let asked = Request { temperature, top_p, top_k: top_k.map(|number: f64| number as u64), ..hi() };
        let (body, noted, _) = rendered(&asked, model);
        assert_eq!([&body["temperature"], &body["top_p"], &body["top_k"]], sent.each_ref(), "{model}");
        assert_eq!(noted.join(","), dropped, "{model}");
    }
    // While it thinks, only what is next to nothing.
    for (top_p, sent) in [(0.9, &none), (0.97, &json!(0.97))] {
        let asked = Request {
            temperature: Some(0.5),
            top_p: Some(top_p),
            top_k: Some(5),
            effort: Some(Effort::Low),
            max_tokens: Some(9_000),
            ..hi()
        };
        let (body, noted, _) = rendered(&asked, MODEL);
        assert_eq!((&body["temperature"], &body["top_p"], &body["top_k"]), (&none, sent, &none));
        assert!(noted.contains(&"temperature".to_owned()) && noted.contains(&"top_k".to_owned()), "{noted:?}");
        assert_eq!(body["thinking"], json!({ "type": "enabled", "budget_tokens": 2048 }));
    }
}

#[test]
fn a_conversation_is_made_as_anthropic_wants_it() {
    let asked = Request {
        turns: vec![
            user(vec![text("a"), text(" \n"), text("")]),
            assistant(vec![text("")]),
            user(vec![text("b")]),
            assistant(vec![
                call("functions.f:0", r#"{"z":1,"a":2}"#),
                call("toolu_2", ""),
                text("calling"),
                Part::Refusal("no".to_owned()),
            ]),
            user(vec![
                text("and?"),
                result("functions.f:0", vec![text("r"), text(" ")], false),
                result("toolu_2", vec![], true),
            ]),
            assistant(vec![text("so: \n")]),
        ],
        ..Request::default()
    };
    let (body, dropped, _) = rendered(&asked, MODEL);
    let id = body["messages"][1]["content"][2]["id"].as_str().unwrap().to_owned();
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{id}");
    let say = |text: &str| json!({ "type": "text", "text": text });
    assert_eq!(
        body["messages"],
        json!([
            { "role": "user", "content": [say("a"), say("b")] },
            { "role": "assistant", "content": [say("calling"), say("no"),
                { "type": "tool_use", "id": id, "name": "f", "input": { "z": 1, "a": 2 } },
                { "type": "tool_use", "id": "toolu_2", "name": "f", "input": {} }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": id, "content": [say("r")] },
                { "type": "tool_result", "tool_use_id": "toolu_2", "content": [say("error")], "is_error": true },
                say("and?")] },
            { "role": "assistant", "content": [say("so:")] },
        ])
    );
    assert!(dropped.is_empty());
    let written = String::from_utf8(try_render(&asked, MODEL).unwrap().body).unwrap();
    assert!(written.contains(r#""input":{"z":1,"a":2}"#), "in its order: {written}");
    assert_eq!(body["tools"][0]["name"], "f", "a call's tool has to be there");
    assert_eq!(body["tool_choice"], json!({ "type": "none" }));
}

#[test]
fn nothing_but_instructions_is_what_the_user_says() {
    let asked = Request {
        system: vec![Text::new("Say hi."), Text::new(" ")],
        turns: vec![user(vec![text("")])],
        ..Request::default()
    };
    let (body, ..) = rendered(&asked, MODEL);
    assert_eq!(body["messages"], json!([{ "role": "user", "content": [{ "type": "text", "text": "Say hi." }] }]));
    assert_eq!(body["system"], Value::Null);
    let nothing = try_render(&Request::default(), MODEL).err();
    assert!(matches!(nothing, Some(Cannot::Bad(bad)) if bad.param == Some("messages")));
}

#[test]
fn media_go_as_they_are_or_not_at_all() {
    let image = |source| Part::Image(Image { source, detail: None, cache: None });
    let paper = |source| Part::Document(Document { source, name: Some("T".to_owned()), context: None, cache: None });
    let base64 =
        |media_type: &str, data: &str| Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
    for (part, block) in [
        (
            image(Source::Url("https://e/a".to_owned())),
            json!({ "type": "image", "source": { "type": "url", "url": "https://e/a" } }),
        ),
        (
            image(base64("image/jpg", "AA")),
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/jpeg", "data": "AA" } }),
        ),
        (
            paper(base64("application/pdf", "AA")),
            json!({ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "AA" }, "title": "T" }),
        ),
        (
            paper(base64("text/plain; charset=utf-8", "w6Q=")),
            json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "ä" }, "title": "T" }),
        ),
        (
            paper(Source::Url("https://e/a".to_owned())),
            json!({ "type": "document", "source": { "type": "url", "url": "https://e/a" }, "title": "T" }),
        ),
    ] {
        let asked = Request { turns: vec![user(vec![part])], ..Request::default() };
        assert_eq!(rendered(&asked, MODEL).0["messages"][0]["content"][0], block);
    }
    for (part, lack) in [
        (image(base64("image/tiff", "AA")), Lack::Vision),
        (paper(base64("application/msword", "AA")), Lack::Vision),
        (paper(base64("text/plain", "/w==")), Lack::Vision),
        (image(Source::File("f".to_owned())), Lack::Stateful),
        (paper(Source::File("f".to_owned())), Lack::Stateful),
        (Part::Audio { data: String::new(), format: "wav".to_owned() }, Lack::Vision),
        (result("t", vec![image(Source::File("f".to_owned()))], false), Lack::Stateful),
    ] {
        let asked = Request { turns: vec![user(vec![part])], ..Request::default() };
        assert!(matches!(try_render(&asked, MODEL), Err(Cannot::Lack(found, _)) if found == lack), "{asked:?}");
    }
}

#[test]
fn only_claudes_own_thinking_goes_back() {
    let thought = |text: &str, signature: Option<&str>| Part::Thinking {
        text: text.to_owned(),
        signature: signature.map(str::to_owned),
    };
    let turn = assistant(vec![
        thought("foreign", Some("backstop:unsigned")),
        thought("", Some("Sig")),
        Part::Redacted { data: "D".to_owned() },
        text("a"),
    ]);
    let asked = Request {
        turns: vec![user(vec![text("q")]), turn, user(vec![text("q")])],
        thinking: Some(Thinking::Budget(2_000)),
        ..Request::default()
    };
    let (body, dropped, _) = rendered(&asked, MODEL);
    let signed = json!([{ "type": "thinking", "thinking": "", "signature": "Sig" }, { "type": "redacted_thinking", "data": "D" }, { "type": "text", "text": "a" }]);
    assert_eq!((&body["messages"][1]["content"], dropped.join(",")), (&signed, "messages.content.thinking".to_owned()));
    let quiet = Request { thinking: None, ..asked };
    assert_eq!(rendered(&quiet, MODEL).0["messages"][1]["content"], json!([{ "type": "text", "text": "a" }]));
}

#[test]
fn the_last_four_cache_marks_stay() {
    let marked = |text: &str, ttl: Option<&str>| {
        let cache = Some(Cache { ttl: ttl.map(str::to_owned) });
        Text { text: text.to_owned(), cache }
    };
    let asked = Request {
        tools: vec![Tool { cache: Some(Cache::default()), ..tool("f", None) }],
        system: vec![marked("s", Some("1h"))],
        turns: vec![
            user(vec![Part::Text(marked("a", None)), result("t", vec![Part::Text(marked("r", Some("2d")))], false)]),
            assistant(vec![Part::Text(marked("b", None))]),
            user(vec![Part::Text(marked("c", Some("5m")))]),
        ],
        ..Request::default()
    };
    let (body, dropped, _) = rendered(&asked, MODEL);
    assert_eq!(dropped, ["cache_control"]);
    assert_eq!(body.to_string().matches("ephemeral").count(), 4);
    assert_eq!(
        (&body["tools"][0]["cache_control"], &body["system"]),
        (&Value::Null, &json!([{ "type": "text", "text": "s" }])).clone()
    );
    assert_eq!(body["messages"][0]["content"][0]["content"][0]["cache_control"], json!({ "type": "ephemeral" }));
    assert_eq!(body["messages"][2]["content"][0]["cache_control"], json!({ "type": "ephemeral", "ttl": "5m" }));
}

#[test]
fn what_is_rendered_means_what_was_parsed() {
    let body = json!({
        "model": MODEL, "max_tokens": 5000,
        "system": [{ "type": "text", "text": "s", "cache_control": { "type": "ephemeral", "ttl": "1h" } }, { "type": "text", "text": "t" }],
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "image", "source": { "type": "url", "url": "https://e/a" } }] },
            { "role": "assistant", "content": [{ "type": "thinking", "thinking": "hm", "signature": "Sig" }, { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "a": [1.5] } }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": "r" }], "is_error": true }] }
        ],
        "tools": [{ "name": "f", "description": "d", "input_schema": { "type": "object", "properties": {} }, "strict": true }],
        "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
        "thinking": { "type": "enabled", "budget_tokens": 2000 },
        "output_config": { "format": { "type": "json_schema", "schema": { "type": "object" } } },
        "top_p": 0.97, "stop_sequences": ["x"], "metadata": { "user_id": "u" }, "service_tier": "standard_only", "stream": true
    });
    let (again, dropped, _) = rendered(&parse::request(body.to_string().as_bytes()).unwrap(), MODEL);
    assert_eq!(again, body);
    assert!(dropped.is_empty(), "{dropped:?}");
}

#[test]
fn a_choice_fits_the_tools() {
    let object = r#"{"type":"object","properties":{"b":{},"a":{}}}"#;
    let tools = || vec![tool("f", Some(object)), tool("g", None), tool("h", Some(r#"{"$ref":"x"}"#))];
    let (body, ..) = rendered_with(|asked| asked.tools = tools());
    assert_eq!(body["tools"][1]["input_schema"], json!({ "type": "object", "properties": {} }));
    assert_eq!(body["tools"][2]["input_schema"], json!({ "$ref": "x", "type": "object" }));
    for (choice, parallel, sent, offered) in [
        (None, None, Value::Null, 3),
        (None, Some(false), json!({ "type": "auto", "disable_parallel_tool_use": true }), 3),
        (Some(ToolChoice::Any), Some(true), json!({ "type": "any" }), 3),
        (Some(ToolChoice::Never), Some(false), json!({ "type": "none" }), 3),
        (
            Some(ToolChoice::Named("g".to_owned())),
            Some(false),
            json!({ "type": "tool", "name": "g", "disable_parallel_tool_use": true }),
            3,
        ),
        (Some(ToolChoice::Among { names: vec!["g".to_owned()], required: true }), None, json!({ "type": "any" }), 1),
        (
            Some(ToolChoice::Among { names: vec!["g".to_owned(), "f".to_owned()], required: false }),
            None,
            json!({ "type": "auto" }),
            2,
        ),
    ] {
        let (body, dropped, _) = rendered_with(|asked| {
            (asked.tools, asked.tool_choice, asked.parallel_tool_calls) = (tools(), choice, parallel);
        });
        assert_eq!((&body["tool_choice"], body["tools"].as_array().unwrap().len()), (&sent, offered));
        assert!(dropped.is_empty());
    }
    let asked = Request { tools: tools(), tool_choice: Some(ToolChoice::Any), ..hi() };
    let (body, dropped, _) = rendered(&asked, "claude-opus-5-5");
    assert_eq!((&body["tool_choice"], dropped.join(",")), (&json!({ "type": "auto" }), "tool_choice".to_owned()));
}

#[test]
fn a_schema_is_native_or_a_tool() {
    let schema = r#"{"type":"object","properties":{"b":{},"a":{}}}"#;
    let format = |name: Option<&str>| Format::Schema {
        name: name.map(str::to_owned),
        description: Some("A person.".to_owned()),
        schema: RawValue::from_string(schema.to_owned()).unwrap(),
        strict: Some(true),
    };
    let native = try_render(&Request { format: Some(format(None)), ..hi() }, MODEL).unwrap();
    let written = String::from_utf8(native.body).unwrap();
    assert!(
        written.contains(&format!(r#""output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#)),
        "{written}"
    );
    assert_eq!(native.schema_tool, None);

    let old = "claude-sonnet-4-20250514";
    for (format, name, expected) in [
        (format(Some("person")), "person", serde_json::from_str(schema).unwrap()),
        (format(Some("no name!")), "json_answer", serde_json::from_str(schema).unwrap()),
        (Format::Json, "json_answer", json!({ "type": "object" })),
    ] {
        let (body, dropped, stand_in) = rendered(&Request { format: Some(format.clone()), ..hi() }, old);
        assert_eq!((stand_in.as_deref(), &body["tool_choice"]), (Some(name), &json!({ "type": "tool", "name": name })));
        assert_eq!(body["tools"][0]["input_schema"], expected);
        assert!(dropped.is_empty());
        // Among others it is one way to go on, and its name is its own.
        let mut asked = Request { format: Some(format), tools: vec![tool(name, None)], ..hi() };
        let (body, _, stand_in) = rendered(&asked, old);
        assert_eq!((stand_in, &body["tool_choice"]), (Some(format!("{name}_")), &json!({ "type": "any" })));
        assert!(body["tools"][1]["description"].as_str().unwrap().contains("no other tool"));
        asked.tool_choice = Some(ToolChoice::Named(name.to_owned()));
        assert_eq!(rendered(&asked, old).0["tool_choice"], json!({ "type": "tool", "name": name }));
        asked.tool_choice = Some(ToolChoice::Never);
        assert_eq!(rendered(&asked, old).0["tool_choice"]["name"], format!("{name}_"));
    }
    // It would be refused while the model thinks.
    let asked = Request { format: Some(Format::Json), effort: Some(Effort::High), max_tokens: Some(9_000), ..hi() };
    let (body, dropped, _) = rendered(&asked, old);
    assert_eq!((&body["thinking"], dropped.join(",")), (&Value::Null, "reasoning_effort".to_owned()));
}

#[test]
fn a_name_of_a_user_that_is_too_long_goes() {
    let (body, dropped, _) = rendered_with(|asked| asked.user = Some("u".repeat(300)));
    assert_eq!((&body["metadata"], dropped.join(",")), (&Value::Null, "user".to_owned()));
}
