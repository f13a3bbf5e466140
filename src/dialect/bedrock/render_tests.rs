//! Whole requests: what stands where, what is left out, and what is refused.

use serde_json::{Value, json};

use super::*;
use crate::dialect::bedrock::fixture::{
    NOVA, OLD, QWEN, SONNET, asked, call, marked, model, result, text, tool, try_write, user, write,
};
use crate::dialect::canonical::{Cache, Document, Effort, Image, Source, Text, Tool, ToolChoice, ToolResult};
use crate::policy::capability::Lack;

fn base64(media_type: &str, data: &str) -> Source {
    Source::Base64 { media_type: media_type.into(), data: data.into() }
}

fn image(source: Source) -> Part {
    Part::Image(Image { source, detail: None, cache: None })
}

fn document(source: Source, name: Option<&str>) -> Part {
    Part::Document(Document { source, name: name.map(Into::into), context: None, cache: None })
}

#[test]
fn a_plain_request() {
    let mut plain = asked(vec![user(vec![text("Hi")]), model(vec![text("Hello")]), user(vec![text("Bye")])]);
    plain.system = vec![Text::new("Be short."), Text::new(" "), Text::new("Be kind.")];
    plain.max_tokens = Some(50);
    plain.stop = vec!["END".into(), String::new()];
    plain.stream = true;
    plain.uncarried = vec!["seed".into(), "seed".into()];
    let (body, dropped) = write(&plain, QWEN);
    assert_eq!(
        body,
        json!({
            "system": [{"text": "Be short."}, {"text": "Be kind."}],
            "messages": [
                {"role": "user", "content": [{"text": "Hi"}]},
                {"role": "assistant", "content": [{"text": "Hello"}]},
                {"role": "user", "content": [{"text": "Bye"}]},
            ],
            "inferenceConfig": {"maxTokens": 50, "stopSequences": ["END"]},
        })
    );
    assert_eq!(dropped, ["stop", "seed"]);
    for (stream, path) in [(true, "/delta/stop_sequence"), (false, "/stop_sequence")] {
        plain.stream = stream;
        assert_eq!(write(&plain, SONNET).0["additionalModelResponseFieldPaths"], json!([path]));
    }
}

#[test]
fn messages_take_turns_the_user_first_and_none_is_empty() {
    let foreign = || Part::Thinking { text: "hm".into(), signature: Some("backstop:x".into()) };
    for (turns, messages) in [
        (vec![model(vec![text("Hello")])], json!([["user", "Continue."], ["assistant", "Hello"]])),
        (vec![user(vec![text("a")]), model(vec![text(" \n")]), user(vec![text("b")])], json!([["user", "a", "b"]])),
        (vec![user(vec![text("a")]), model(vec![foreign()]), user(vec![text("b")])], json!([["user", "a", "b"]])),
        (
            vec![user(vec![text("a")]), model(vec![Part::Refusal("no".into())]), user(vec![text("")])],
            json!([["user", "a"], ["assistant", "no"]]),
        ),
        (vec![user(vec![text("a")]), model(vec![text("go on \n")])], json!([["user", "a"], ["assistant", "go on"]])),
    ] {
        let (body, _) = write(&asked(turns), SONNET);
        let told: Vec<Value> = body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| {
                let texts = message["content"].as_array().unwrap().iter().map(|block| block["text"].clone());
                std::iter::once(message["role"].clone()).chain(texts).collect()
            })
            .collect();
        assert_eq!(Value::from(told), messages);
    }
}

#[test]
fn calls_and_results_stand_together_results_first() {
    let mut request = asked(vec![
        user(vec![text("go")]),
        model(vec![call("call_1", ""), call("functions.f 2", r#"{"a":1}"#), text("calling")]),
        user(vec![
            text("and"),
            result("call_1", vec![text("one"), image(base64("image/png", "aW1n"))]),
            Part::Result(ToolResult {
                id: "functions.f 2".into(),
                is_error: true,
                cache: Some(Cache::default()),
                ..ToolResult::default()
            }),
        ]),
    ]);
    request.tools = vec![tool("f")];
    let (body, dropped) = write(&request, SONNET);
    let second = body["messages"][1]["content"][2]["toolUse"]["toolUseId"].clone();
    assert!(second.as_str().is_some_and(|id| id.starts_with("call_")), "{second}");
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"text": "calling"},
            {"toolUse": {"toolUseId": "call_1", "name": "f", "input": {}}},
            {"toolUse": {"toolUseId": second, "name": "f", "input": {"a": 1}}},
        ])
    );
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            {"toolResult": {"toolUseId": "call_1", "content": [
                {"text": "one"}, {"image": {"format": "png", "source": {"bytes": "aW1n"}}}]}},
            {"toolResult": {"toolUseId": second, "content": [{"text": "error"}], "status": "error"}},
            {"cachePoint": {"type": "default"}},
            {"text": "and"},
        ])
    );
    assert!(dropped.is_empty(), "{dropped:?}");
    let (body, dropped) = write(&request, QWEN);
    assert_eq!(body["messages"][2]["content"][1]["toolResult"]["status"], Value::Null);
    assert_eq!(dropped, ["messages.content.is_error", "cache_control"]);
}

#[test]
fn tools_that_are_not_offered_are_told_in_words() {
    let failed = ToolResult { id: "b".into(), parts: vec![text("no")], is_error: true, cache: None };
    let mut request = asked(vec![
        user(vec![text("go")]),
        model(vec![call("a", r#"{"x":1}"#), call("b", "")]),
        user(vec![
            text("and"),
            result("a", vec![text("1"), image(base64("image/gif", "aW1n")), text("2")]),
            Part::Result(failed),
            result("lost", vec![]),
        ]),
    ]);
    let expected = json!([
        {"role": "user", "content": [{"text": "go"}]},
        {"role": "assistant", "content": [{"text": "[called f with {\"x\":1}]"}, {"text": "[called f with {}]"}]},
        {"role": "user", "content": [
            {"text": "[f answered: 1\n2]"}, {"image": {"format": "gif", "source": {"bytes": "aW1n"}}},
            {"text": "[f failed: no]"}, {"text": "[the tool answered: ]"}, {"text": "and"}]},
    ]);
    let (body, dropped) = write(&request, SONNET);
    assert_eq!((&body["messages"], &body["toolConfig"]), (&expected, &Value::Null));
    assert!(dropped.is_empty());
    request.tools = vec![tool("f")];
    request.tool_choice = Some(ToolChoice::Never);
    let (body, _) = write(&request, SONNET);
    assert_eq!((&body["messages"], &body["toolConfig"]), (&expected, &Value::Null));
}

#[test]
fn documents_have_names_and_a_text_beside_them() {
    let csv = || base64("text/csv; charset=utf-8", "YQ==");
    let (body, dropped) = write(
        &asked(vec![
            user(vec![
                document(csv(), Some("Q3/report: \u{e9}t\u{e9} [v2].csv")),
                document(Source::Text("plain".into()), None),
                document(base64("application/octet-stream", "YQ=="), Some("deck.DOCX")),
            ]),
            model(vec![text("and?")]),
            user(vec![text("again"), document(csv(), Some("___")), document(Source::Text(String::new()), None)]),
        ]),
        NOVA,
    );
    let written = |format: &str, name: &str, bytes: &str| json!({"document": {"format": format, "name": name, "source": {"bytes": bytes}}});
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            written("csv", "Q3 report t [v2] csv", "YQ=="),
            written("txt", "document", "cGxhaW4="),
            written("docx", "deck DOCX", "YQ=="),
            {"text": "Q3 report t [v2] csv"},
        ])
    );
    assert_eq!(body["messages"][2]["content"], json!([{"text": "again"}, written("csv", "document 2", "YQ==")]));
    assert!(dropped.is_empty());
}

#[test]
fn what_bedrock_cannot_have_goes_to_another_target() {
    let audio = Part::Audio { data: "YQ==".into(), format: "wav".into() };
    let url = || Source::Url("https://example.com/x".into());
    for (part, model, lack) in [
        (image(url()), NOVA, Lack::Vision),
        (image(base64("image/svg+xml", "YQ==")), NOVA, Lack::Vision),
        (image(Source::File("file_1".into())), NOVA, Lack::Stateful),
        (document(url(), None), NOVA, Lack::Vision),
        (document(Source::File("file_1".into()), None), NOVA, Lack::Stateful),
        (document(base64("application/zip", "YQ=="), Some("x.zip")), NOVA, Lack::Vision),
        (audio.clone(), SONNET, Lack::Vision),
        (result("t", vec![image(url())]), SONNET, Lack::Vision),
    ] {
        match try_write(&asked(vec![user(vec![part])]), model) {
            Err(Cannot::Lack(found, words)) => assert!(found == lack && !words.is_empty(), "{words}"),
            other => unreachable!("{other:?}"),
        }
    }
    let (body, _) = write(&asked(vec![user(vec![audio])]), NOVA);
    assert_eq!(body["messages"][0]["content"][0], json!({"audio": {"format": "wav", "source": {"bytes": "YQ=="}}}));
}

#[test]
fn marks_become_cache_points_where_they_are_taken() {
    let mut request = asked(vec![user(vec![Part::Text(marked("a", Some("5m"))), text("b")])]);
    request.system = vec![marked("s", Some("1h"))];
    request.tools = vec![Tool { cache: Some(Cache::default()), ..tool("f") }];
    let point = json!({"cachePoint": {"type": "default"}});
    let long = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    let haiku = "anthropic.claude-3-5-haiku-20241022-v1:0";
    for (model, tool, system, message, noted) in [
        (SONNET, Some(&point), Some(&long), Some(&point), vec![]),
        (haiku, Some(&point), Some(&point), Some(&point), vec!["cache_control.ttl"]),
        (NOVA, None, Some(&point), Some(&point), vec!["cache_control", "cache_control.ttl"]),
        (OLD, None, None, None, vec!["cache_control"]),
        (QWEN, None, None, None, vec!["cache_control"]),
    ] {
        let (body, dropped) = write(&request, model);
        assert_eq!(body["toolConfig"]["tools"].get(1), tool, "{model}");
        assert_eq!(body["system"].get(1), system, "{model}");
        assert_eq!(
            body["messages"][0]["content"].get(1).filter(|block| block.get("text").is_none()),
            message,
            "{model}"
        );
        assert_eq!(dropped, noted, "{model}");
    }
    request.turns = vec![user((0..5).map(|_| Part::Text(marked("x", None))).collect())];
    let (body, dropped) = write(&request, SONNET);
    assert_eq!(body.to_string().matches("cachePoint").count(), 4);
    assert_eq!(body["messages"][0]["content"][8], point, "the last ones count");
    assert_eq!(dropped, ["cache_control"]);
}

#[test]
fn claudes_own_thinking_goes_back_to_a_claude_that_thinks() {
    let thought = |signature: Option<&str>| Part::Thinking { text: "hm".into(), signature: signature.map(Into::into) };
    let redacted = |data: &str| Part::Redacted { data: data.into() };
    let turns = |part| vec![user(vec![text("a")]), model(vec![part, text("b")]), user(vec![text("c")])];
    let kept = [
        (thought(Some("sig")), json!({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}})),
        (redacted("c2VjcmV0"), json!({"reasoningContent": {"redactedContent": "c2VjcmV0"}})),
    ];
    for (part, block) in kept {
        let mut request = Request { effort: Some(Effort::Low), ..asked(turns(part)) };
        let (body, dropped) = write(&request, SONNET);
        assert_eq!(body["messages"][1]["content"], json!([block, {"text": "b"}]));
        assert!(dropped.is_empty());
        request.effort = None;
        for (other, noted) in [(SONNET, false), (OLD, false), (NOVA, true), (QWEN, true)] {
            let (body, dropped) = write(&request, other);
            assert_eq!(body["messages"][1]["content"], json!([{"text": "b"}]), "{other}");
            assert_eq!(dropped == ["messages.content.thinking"], noted, "{other}: {dropped:?}");
        }
    }
    for part in [thought(None), thought(Some("")), thought(Some("backstop:1")), redacted("backstop:1"), redacted("{}")]
    {
        let (body, dropped) = write(&Request { effort: Some(Effort::Low), ..asked(turns(part)) }, SONNET);
        assert_eq!(body["messages"][1]["content"], json!([{"text": "b"}]));
        assert_eq!(dropped, ["messages.content.thinking"]);
    }
}

#[test]
fn instructions_alone_are_what_the_user_says() {
    let mut request = Request { system: vec![marked("Say hi.", None)], ..Request::default() };
    let (body, _) = write(&request, SONNET);
    let said = json!([{"role": "user", "content": [{"text": "Say hi."}, {"cachePoint": {"type": "default"}}]}]);
    assert_eq!((&body["messages"], body.get("system")), (&said, None));
    request.system = vec![Text::new(" ")];
    assert!(matches!(try_write(&request, SONNET), Err(Cannot::Bad(bad)) if bad.param == Some("messages")));
}

#[test]
fn who_asks_and_how_urgently() {
    for (who, tier, metadata, sent, noted) in [
        (Some("u-1 {x}\u{e9}"), Some("auto"), json!({"user": "u-1 _x__"}), Value::Null, vec![]),
        (Some(" "), Some("standard_only"), Value::Null, json!({"type": "default"}), vec!["user"]),
        (None, Some("flex"), Value::Null, json!({"type": "flex"}), vec![]),
        (None, Some("scale"), Value::Null, Value::Null, vec!["service_tier"]),
    ] {
        let mut request = asked(vec![user(vec![text("a")])]);
        request.user = who.map(Into::into);
        request.service_tier = tier.map(Into::into);
        let (body, dropped) = write(&request, NOVA);
        assert_eq!((&body["requestMetadata"], &body["serviceTier"]), (&metadata, &sent));
        assert_eq!(dropped, noted);
    }
    let long = Request { user: Some("u".repeat(300)), ..asked(vec![user(vec![text("a")])]) };
    assert_eq!(write(&long, NOVA).0["requestMetadata"]["user"].as_str().map(str::len), Some(256));
}
