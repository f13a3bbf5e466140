//! Tests of [`messages`](super).

use serde_json::{Value, json};

use super::super::tests::{assistant, call, file, picture, png, render, result, talk, text, try_render, user};
use super::*;
use crate::dialect::canonical::{Source, Text};
use crate::dialect::openai_chat::{parse, render as chat};
use crate::policy::capability::Abilities;

const ALL: [Vendor; 15] = [
    Vendor::OpenAi,
    Vendor::Anthropic,
    Vendor::OpenRouter,
    Vendor::Xai,
    Vendor::Groq,
    Vendor::Mistral,
    Vendor::Gemini,
    Vendor::DeepSeek,
    Vendor::Together,
    Vendor::Fireworks,
    Vendor::Ollama,
    Vendor::Vllm,
    Vendor::Azure,
    Vendor::Bedrock,
    Vendor::Other,
];

#[test]
fn a_conversation_with_a_tool() {
    let failed = ToolResult { is_error: true, ..result("b", vec![text("no")]) };
    let asked = Request {
        system: vec![Text::new("s"), Text::new("t")],
        ..talk(vec![
            user(vec![text("1"), text("2")]),
            assistant(vec![text("x"), text("y"), call("a"), call("b")]),
            user(vec![Part::Result(result("a", vec![text("ok"), picture(png())])), Part::Result(failed), text("and")]),
        ])
    };
    let (body, dropped) = render(&asked, Vendor::OpenAi);
    let written = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}});
    let expected = json!([
        {"role": "system", "content": "s\n\nt"},
        {"role": "user", "content": "1\n\n2"},
        {"role": "assistant", "content": "xy", "tool_calls": [written("a"), written("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: no"},
        {"role": "user", "content": [
            {"type": "text", "text": "The result of the tool call a:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            {"type": "text", "text": "and"},
        ]},
    ]);
    assert_eq!((&body["messages"], dropped), (&expected, vec![]));
    assert_eq!(body["model"], "m");
    // Only calls: there is no text to say.
    let (body, _) = render(&talk(vec![assistant(vec![call("a")])]), Vendor::OpenAi);
    assert_eq!(body["messages"][0]["content"], Value::Null);
}

#[test]
fn what_a_tool_gave_without_a_text() {
    let failed = ToolResult { is_error: true, ..result("b", vec![]) };
    let turn = user(vec![
        Part::Result(result("a", vec![picture(png())])),
        Part::Result(failed),
        Part::Result(result("c", vec![])),
    ]);
    let (body, _) = render(&talk(vec![turn]), Vendor::Other);
    let contents: Vec<_> = body["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(contents[..3], [&json!(ELSEWHERE), &json!("Error"), &json!("")]);
    assert_eq!(body["messages"][3]["role"], "user");
}

#[test]
fn thoughts_go_where_they_are_taken_back() {
    let thinking =
        |signature: Option<&str>| Part::Thinking { text: "a".to_owned(), signature: signature.map(str::to_owned) };
    let asked = talk(vec![assistant(vec![
        thinking(Some("s")),
        Part::Redacted { data: "d".to_owned() },
        thinking(None),
        text("x"),
        call("a"),
    ])]);
    let (body, dropped) = render(&asked, Vendor::OpenRouter);
    let details = json!([
        {"type": "reasoning.text", "text": "a", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "text": "a", "format": "unknown", "index": 2},
    ]);
    assert_eq!((&body["messages"][0]["reasoning_details"], dropped), (&details, vec![]));
    let (body, dropped) = render(&asked, Vendor::DeepSeek);
    assert_eq!(
        (&body["messages"][0]["reasoning_content"], dropped),
        (&json!("aa"), vec!["messages.content.redacted_thinking".to_owned()])
    );
    let (body, _) = render(&talk(vec![assistant(vec![call("a")])]), Vendor::DeepSeek);
    assert_eq!(body["messages"][0]["reasoning_content"], "");
    for vendor in [Vendor::OpenAi, Vendor::Groq, Vendor::Mistral, Vendor::Vllm, Vendor::Other] {
        let (body, dropped) = render(&asked, vendor);
        assert!(
            !body.to_string().contains("reasoning") && !body.to_string().contains("signature"),
            "{vendor:?}: {body}"
        );
        assert_eq!(dropped, ["messages.content.thinking", "messages.content.redacted_thinking"], "{vendor:?}");
    }
    // A turn that only thought is none where thoughts are dropped.
    let (body, _) = render(&talk(vec![user(vec![text("1")]), assistant(vec![thinking(None)])]), Vendor::Groq);
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(1));
}

#[test]
fn gemini_gets_a_signature_under_the_first_call() {
    let signed = Part::Call(Call { signature: Some("s".to_owned()), ..Call::default() });
    let signature = |parts: Vec<Part>, model: &str| {
        let (body, _) = try_render(&talk(vec![assistant(parts)]), Vendor::Gemini, model, None).unwrap();
        let calls = body["messages"][0]["tool_calls"].as_array().unwrap().clone();
        calls.iter().map(|call| call["extra_content"]["google"]["thought_signature"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(signature(vec![signed.clone(), call("b")], "gemini-3-pro"), [json!("s"), Value::Null]);
    assert_eq!(
        signature(vec![call("a"), call("b")], "gemini-3-pro"),
        [json!("skip_thought_signature_validator"), Value::Null]
    );
    assert_eq!(signature(vec![call("a")], "models/gemini-2.5-flash"), [Value::Null]);
    let (body, _) = render(&talk(vec![assistant(vec![signed.clone()])]), Vendor::OpenAi);
    assert!(!body.to_string().contains("extra_content"));
    let (body, _) = render(&talk(vec![assistant(vec![signed])]), Vendor::OpenRouter);
    assert_eq!(body["messages"][0]["reasoning_details"][0]["format"], "google-gemini-v1");
}

#[test]
fn mistral_gets_its_ids_and_its_order() {
    let asked = talk(vec![
        assistant(vec![call("toolu_01")]),
        user(vec![Part::Result(result("toolu_01", vec![text("1")])), text("and")]),
    ]);
    let (body, _) = render(&asked, Vendor::Mistral);
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["assistant", "tool", "assistant", "user"]);
    let id = messages[0]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!((id.len(), messages[1]["tool_call_id"].as_str()), (9, Some(id)));
    let (body, _) = render(&asked, Vendor::Groq);
    assert_eq!(body["messages"][1]["tool_call_id"], "toolu_01");
}

#[test]
fn whatever_is_rendered_is_read_again() {
    let asked = Request {
        system: vec![Text::new("s")],
        ..talk(vec![
            user(vec![text("1"), picture(png()), file(Source::Text("t".to_owned()))]),
            assistant(vec![
                Part::Thinking { text: "a".to_owned(), signature: Some("s".to_owned()) },
                text("x"),
                call("toolu_1"),
            ]),
            user(vec![Part::Result(result("toolu_1", vec![text("2"), picture(png())])), text("3")]),
        ])
    };
    for vendor in ALL {
        let abilities = Abilities { vision: Some(true), ..Abilities::default() };
        let rendered = chat::request(&asked, &Profile { model: "m", vendor, abilities: &abilities }).unwrap();
        let again = parse::request(&rendered.body).unwrap_or_else(|error| panic!("{vendor:?}: {error:?}"));
        let calls = again.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
            Part::Call(call) => Some(call.id.clone()),
            Part::Result(result) => Some(result.id.clone()),
            _ => None,
        });
        let calls: Vec<_> = calls.collect();
        assert_eq!((calls.len(), calls.first()), (2, calls.last()), "{vendor:?}: a call and its result have one id");
        assert!(again.turns.len() == 3 || vendor == Vendor::Mistral, "{vendor:?}");
    }
}
