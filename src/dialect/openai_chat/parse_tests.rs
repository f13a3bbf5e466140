//! Tests of [`parse`](super).

use super::*;
use crate::dialect::canonical::{Cache, Effort, Format, Part, Role, Source, Text, Thinking, ToolChoice, Turn};

fn read(json: &str) -> Request {
    request(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error:?}"))
}

/// A request with these messages.
fn messages(list: &str) -> Request {
    read(&format!(r#"{{"model":"m","messages":[{list}]}}"#))
}

/// A request with these fields, each with a comma behind it.
fn fields(fields: &str) -> Request {
    read(&format!(r#"{{{fields}"messages":[{{"role":"user","content":"hi"}}]}}"#))
}

/// What a turn holds, in short.
fn short(turn: &Turn) -> String {
    let who = match turn.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let parts: Vec<_> = turn.parts.iter().map(part).collect();
    format!("{who}: {}", parts.join(" | "))
}

fn part(part: &Part) -> String {
    let mark = |cache: &Option<Cache>| match cache {
        Some(Cache { ttl: Some(ttl) }) => format!("*{ttl}"),
        Some(_) => "*".to_owned(),
        None => String::new(),
    };
    match part {
        Part::Text(Text { text, cache }) => format!("{text}{}", mark(cache)),
        Part::Refusal(text) => format!("no({text})"),
        Part::Image(image) => {
            format!("image({}{}){}", source(&image.source), image.detail.as_deref().unwrap_or(""), mark(&image.cache))
        }
        Part::Document(file) => format!("file({} {})", file.name.as_deref().unwrap_or("-"), source(&file.source)),
        Part::Audio { data, format } => format!("audio({format} {data})"),
        Part::Call(call) => {
            let sign = call.signature.as_ref().map(|sign| format!(" signed {sign}")).unwrap_or_default();
            format!("{}={}({}){sign}", call.id, call.name, call.input)
        }
        Part::Result(result) => {
            let parts: Vec<_> = result.parts.iter().map(self::part).collect();
            format!("{}->[{}]{}", result.id, parts.join(", "), mark(&result.cache))
        }
        Part::Thinking { text, signature } => format!("think({text} {})", signature.as_deref().unwrap_or("-")),
        Part::Redacted { data } => format!("redacted({data})"),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Url(url) => url.clone(),
        Source::Base64 { media_type, data } => format!("{media_type} {data}"),
        Source::Text(text) => format!("text {text}"),
        Source::File(id) => format!("id {id}"),
    }
}

fn turns(list: &str) -> Vec<String> {
    messages(list).turns.iter().map(short).collect()
}

#[test]
fn roles_become_instructions_and_turns_that_alternate() {
    let request = messages(
        r#"{"role":"developer","content":"a"},{"role":"user","content":"1"},{"role":"user","content":[{"type":"text","text":"2"}]},
           {"role":"system","content":[{"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
           {"role":"assistant","content":"x"},{"role":"assistant","content":"y"},{"role":"user","content":"3"}"#,
    );
    let system: Vec<_> = request.system.iter().map(|text| (text.text.as_str(), text.cache.clone())).collect();
    assert_eq!(system, [("a", None), ("b", Some(Cache { ttl: Some("1h".into()) }))]);
    let turns: Vec<_> = request.turns.iter().map(short).collect();
    assert_eq!(turns, ["user: 1 | 2", "assistant: x | y", "user: 3"]);
}

#[test]
fn all_results_of_a_turn_come_first_in_the_next() {
    let call = |id: &str| format!(r#"{{"id":"{id}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}"#);
    let asked = format!(r#"{{"role":"assistant","content":null,"tool_calls":[{},{}]}}"#, call("a"), call("b"));
    let list = format!(
        r#"{asked},{{"role":"tool","tool_call_id":"a","content":"1"}},{{"role":"user","content":"and"}},
           {{"role":"tool","tool_call_id":"b","content":[{{"type":"text","text":"2"}},{{"type":"image_url","image_url":{{"url":"https://e.com/i"}}}}]}}"#
    );
    assert_eq!(turns(&list), ["assistant: a=f({}) | b=f({})", "user: a->[1] | b->[2, image(https://e.com/i)] | and"]);
}

#[test]
fn calls_without_an_id_and_old_functions_get_one() {
    let list = r#"{"role":"assistant","content":"","tool_calls":[{"id":"","function":{"name":"f","arguments":"{}"}},{"id":"","function":{"name":"g","arguments":{"x":1}}}]},
        {"role":"tool","tool_call_id":"","content":"1"},{"role":"tool","tool_call_id":"","content":"2"},
        {"role":"assistant","content":null,"function_call":{"name":"h","arguments":""}},{"role":"function","name":"h","content":"3"}"#;
    let expected = [
        "assistant: call_1=f({}) | call_2=g({\"x\":1})",
        "user: call_1->[1] | call_2->[2]",
        "assistant: call_3=h()",
        "user: call_3->[3]",
    ];
    assert_eq!(turns(list), expected);
}

#[test]
fn parts_of_every_kind() {
    for (part, expected) in [
        (r#"{"type":"text","text":"a\ud83d"}"#, "a\u{fffd}"),
        (
            r#"{"type":"image_url","image_url":{"url":"https://e.com/a.png","detail":"low"}}"#,
            "image(https://e.com/a.pnglow)",
        ),
        (r#"{"type":"image_url","image_url":"data:image/PNG;base64,AA=="}"#, "image(image/png AA==)"),
        (
            r#"{"type":"image_url","image_url":{"url":"data:image/svg+xml,%3Csvg%2F>"}}"#,
            "image(image/svg+xml PHN2Zy8+)",
        ),
        (
            r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE","filename":"a.pdf"}}"#,
            "file(a.pdf application/pdf JVBE)",
        ),
        (r#"{"type":"file","file":{"file_data":"data:text/plain;base64,aGk="}}"#, "file(- text hi)"),
        (r#"{"type":"file","file":{"file_data":"data:image/gif;base64,R0lG"}}"#, "image(image/gif R0lG)"),
        (r#"{"type":"file","file":{"file_id":"file-1"}}"#, "file(- id file-1)"),
        (r#"{"type":"file","file":{"file_id":"https://e.com/a.pdf"}}"#, "file(- https://e.com/a.pdf)"),
        (r#"{"type":"document_url","document_url":"https://e.com/a.pdf"}"#, "file(- https://e.com/a.pdf)"),
        (r#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#, "audio(wav AA)"),
        (r#"{"type":"refusal","refusal":"no"}"#, "no"),
        (r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#, "a*"),
    ] {
        let list = format!(r#"{{"role":"user","content":[{part}]}}"#);
        assert_eq!(turns(&list), [format!("user: {expected}")], "{part}");
    }
    let request =
        messages(r#"{"role":"user","content":[{"type":"video_url","video_url":{}},{"type":"text","text":"a"}]}"#);
    assert_eq!(request.uncarried, ["messages.content.video_url"]);
}

#[test]
fn a_mark_on_a_message_is_one_behind_its_last_part() {
    let mark = r#""cache_control":{"type":"ephemeral"}"#;
    let list = format!(
        r#"{{"role":"user","content":[{{"type":"text","text":"a"}},{{"type":"text","text":"b"}}],{mark}}},
           {{"role":"assistant","content":"c",{mark}}},
           {{"role":"tool","tool_call_id":"x","content":[{{"type":"text","text":"d",{mark}}}]}}"#
    );
    assert_eq!(turns(&list), ["user: a | b*", "assistant: c*", "user: x->[d]*"]);
}

#[test]
fn thoughts_in_every_spelling() {
    for (fields, expected) in [
        (r#""reasoning_content":"a""#, "think(a -)"),
        (r#""reasoning":"a","reasoning_content":null"#, "think(a -)"),
        (
            r#""thinking_blocks":[{"type":"thinking","thinking":"a","signature":"s"},{"type":"redacted_thinking","data":"d"}],"reasoning_content":"a""#,
            "think(a s) | redacted(d)",
        ),
        (
            r#""reasoning_details":[{"type":"reasoning.text","text":"a","signature":"s","format":"anthropic-claude-v1","index":0},{"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1"}],"reasoning":"a""#,
            "think(a s) | redacted(d)",
        ),
        // Pieces as they came in a stream.
        (
            r#""reasoning_details":[{"type":"reasoning.text","text":"a","index":0},{"type":"reasoning.text","text":"b","index":0},{"type":"reasoning.text","signature":"s","index":0},{"type":"reasoning.text","text":"c","index":1}]"#,
            "think(ab s) | think(c -)",
        ),
        // A signature whose text came beside it.
        (
            r#""reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}],"reasoning_content":"a""#,
            "think(a s)",
        ),
        (
            r#""reasoning_details":[{"type":"reasoning.summary","summary":"a","format":"openai-responses-v1"}]"#,
            "think(a -)",
        ),
        // Another vendor's signature is none.
        (
            r#""reasoning_details":[{"type":"reasoning.text","text":"a","signature":"s","format":"google-gemini-v1"}]"#,
            "think(a -)",
        ),
    ] {
        let list = format!(r#"{{"role":"assistant","content":"x",{fields}}}"#);
        assert_eq!(turns(&list), [format!("assistant: {expected} | x")], "{fields}");
    }
    let list = r#"{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]},{"type":"text","text":"x"}]}"#;
    assert_eq!(turns(list), ["assistant: think(a -) | x"]);
    let foreign = messages(
        r#"{"role":"assistant","content":"x","reasoning_details":[{"type":"reasoning.encrypted","data":"d","format":"openai-responses-v1"}]}"#,
    );
    assert_eq!(foreign.uncarried, ["messages.reasoning_details"]);
}

#[test]
fn geminis_signatures_are_their_calls() {
    for extra in [
        r#""tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]"#,
        r#""tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}],"extra_content":{"google":{"thought_signature":"s"}}"#,
        r#""tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}],"reasoning_details":[{"type":"reasoning.encrypted","data":"s","id":"a","format":"google-gemini-v1"}]"#,
    ] {
        let list = format!(r#"{{"role":"assistant","content":null,{extra}}}"#);
        assert_eq!(turns(&list), ["assistant: a=f({}) signed s"], "{extra}");
    }
}

#[test]
fn tools_and_the_choice_among_them() {
    let request = fields(
        r#""tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"z":1,"a":2},"strict":true},"cache_control":{"type":"ephemeral"}},{"type":"web_search"},{"type":"odd kind\n"}],
           "functions":[{"name":"g"}],"parallel_tool_calls":false,"#,
    );
    let tools: Vec<_> =
        request.tools.iter().map(|tool| (tool.name.as_str(), tool.strict, tool.cache.is_some())).collect();
    assert_eq!(tools, [("f", Some(true), true), ("g", None, false)]);
    assert_eq!(request.tools[0].schema.as_ref().map(|schema| schema.get()), Some(r#"{"z":1,"a":2}"#));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(request.uncarried, ["tools.web_search", "tools.other"]);
    let named = || Some(ToolChoice::Named("f".into()));
    for (choice, expected) in [
        (r#""tool_choice":"none""#, Some(ToolChoice::Never)),
        (r#""tool_choice":"auto""#, Some(ToolChoice::Auto)),
        (r#""tool_choice":"required""#, Some(ToolChoice::Any)),
        (r#""tool_choice":"any""#, Some(ToolChoice::Any)),
        (r#""tool_choice":{"type":"function","function":{"name":"f"}}"#, named()),
        (r#""function_call":{"name":"f"}"#, named()),
        (r#""function_call":"none""#, Some(ToolChoice::Never)),
        (
            r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
            Some(ToolChoice::Among { names: vec!["f".into()], required: true }),
        ),
        (r#""tool_choice":{"type":"custom","custom":{"name":"f"}}"#, None),
        (r#""tool_choice":null"#, None),
    ] {
        assert_eq!(fields(&format!("{choice},")).tool_choice, expected, "{choice}");
    }
}

#[test]
fn the_form_of_the_answer() {
    assert!(fields(r#""response_format":{"type":"text"},"#).format.is_none());
    assert!(matches!(fields(r#""response_format":{"type":"json_object"},"#).format, Some(Format::Json)));
    let schema = fields(
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"b":1,"a":1e999},"strict":true}},"#,
    );
    let Some(Format::Schema { name, schema, strict, .. }) = schema.format else { panic!("no schema") };
    assert_eq!((name.as_deref(), schema.get(), strict), (Some("n"), r#"{"b":1,"a":1e999}"#, Some(true)));
}

#[test]
fn length_sampling_and_who_asks() {
    let request = fields(
        r#""max_tokens":5,"max_completion_tokens":7,"temperature":0.5,"top_p":1,"top_k":40,"stop":"x","user":"u","safety_identifier":"s","service_tier":"flex","stream":true,"stream_options":{"include_usage":true},"#,
    );
    assert_eq!(
        (request.max_tokens, request.temperature, request.top_p, request.top_k),
        (Some(7), Some(0.5), Some(1.0), Some(40))
    );
    assert_eq!(
        (request.stop, request.user.as_deref(), request.service_tier.as_deref()),
        (vec!["x".to_owned()], Some("u"), Some("flex"))
    );
    assert!(request.stream && request.include_usage);
    let request = fields(r#""max_tokens":5,"stop":["a","b"],"safety_identifier":"s","usage":{"include":true},"#);
    assert_eq!(
        (request.max_tokens, request.stop.len(), request.user.as_deref(), request.include_usage),
        (Some(5), 2, Some("s"), true)
    );
}

#[test]
fn how_much_is_thought() {
    for (json, thinking, effort) in [
        (r#""reasoning_effort":"high""#, None, Some(Effort::High)),
        (r#""reasoning":{"effort":"low"}"#, None, Some(Effort::Low)),
        (r#""reasoning":{"max_tokens":2000}"#, Some(Thinking::Budget(2000)), None),
        (r#""reasoning":{"enabled":true}"#, Some(Thinking::Adaptive), None),
        (r#""reasoning":{"enabled":false,"max_tokens":2000}"#, Some(Thinking::Off), None),
        (r#""thinking":{"type":"enabled","budget_tokens":1024}"#, Some(Thinking::Budget(1024)), None),
        (r#""thinking":{"type":"enabled"}"#, Some(Thinking::Adaptive), None),
        (r#""thinking":{"type":"adaptive"},"reasoning_effort":"max""#, Some(Thinking::Adaptive), Some(Effort::Max)),
        (r#""thinking":{"type":"disabled"}"#, Some(Thinking::Off), None),
        (r#""reasoning_effort":null,"reasoning":null"#, None, None),
    ] {
        let request = fields(&format!("{json},"));
        assert_eq!((request.thinking, request.effort), (thinking, effort), "{json}");
        assert!(request.uncarried.is_empty(), "{json}");
    }
    assert_eq!(fields(r#""reasoning_effort":"default","#).uncarried, ["reasoning_effort"]);
}

#[test]
fn what_is_not_carried_has_a_name_and_what_asks_for_nothing_has_none() {
    let request = fields(
        r#""model":"m","models":["a"],"fallbacks":[],"disable_fallbacks":true,"mock_testing_fallbacks":true,"seed":0,"logit_bias":{"1":2},
           "presence_penalty":0,"frequency_penalty":0.1,"metadata":{},"store":false,"n":1,"logprobs":false,"top_logprobs":null,"verbosity":"low",
           "modalities":["text"],"audio":null,"prompt_cache_key":"k","invented_today":1,"#,
    );
    let mut names = request.uncarried.clone();
    names.sort();
    assert_eq!(names, ["frequency_penalty", "invented_today", "logit_bias", "prompt_cache_key", "seed", "verbosity"]);
    let request = fields(r#""n":2,"logprobs":true,"top_logprobs":3,"modalities":["text","audio"],"#);
    assert_eq!(request.uncarried, ["n", "logprobs", "top_logprobs", "modalities"]);
    let many: String = (0..100).map(|number| format!(r#""x{number}":1,"#)).collect();
    assert_eq!(fields(&many).uncarried.len(), 64);
}

#[test]
fn a_wrong_shape_is_named_with_its_place() {
    let user = |content: &str| format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
    for (json, said) in [
        ("{}".to_owned(), "`messages` is missing"),
        (r#"{"messages":[]}"#.to_owned(), "`messages` is empty"),
        (r#"{"messages":"hi"}"#.to_owned(), "`messages` must be a list"),
        (r#"{"messages":["hi"]}"#.to_owned(), "`messages[0]` must be an object"),
        (r#"{"messages":[{"content":"x"}]}"#.to_owned(), "`messages[0].role` is missing"),
        (r#"{"messages":[{"role":"human","content":"x"}]}"#.to_owned(), "`messages[0].role` must be `system`"),
        (r#"{"messages":[{"role":"tool","content":"x"}]}"#.to_owned(), "`messages[0].tool_call_id` is missing"),
        (
            r#"{"messages":[{"role":"function","name":"f","content":"x"}]}"#.to_owned(),
            "`messages[0].name` must be the name",
        ),
        (
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]}"#.to_owned(),
            "`messages[0].tool_calls[0].id` is missing",
        ),
        (user("7"), "`messages[0].content` must be a string or a list of parts"),
        (user("null"), "`messages[0].content` is missing"),
        (
            user(r#"[{"type":"text","text":"a"},{"type":"text","text":7}]"#),
            "`messages[0].content[1].text` must be a string",
        ),
        (
            user(r#"[{"type":"image_url","image_url":{"url":"/etc/passwd"}}]"#),
            "`messages[0].content[0].image_url.url` must be an `https:` URL",
        ),
        (user(r#"[{"type":"file","file":{}}]"#), "`messages[0].content[0].file.file_data` is missing"),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#.to_owned(),
            "`temperature` must be a number",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]}"#.to_owned(),
            "`tools[0].function` is missing",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"tool_choice":"must"}"#.to_owned(),
            "`tool_choice` must be `none`",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}],"thinking":{}}"#.to_owned(),
            "`thinking` must be an object with a `type`",
        ),
        ("[]".to_owned(), "not a JSON object"),
    ] {
        let error = request(json.as_bytes()).err().unwrap_or_else(|| panic!("{json} was taken"));
        assert!(error.message.contains(said), "{json}: {}", error.message);
    }
    assert_eq!(request(user("7").as_bytes()).map_err(|error| error.param).err(), Some(Some("messages")));
}

proptest::proptest! {
    /// Whatever stands where: it is read or refused, and what was read is written and read again.
    #[test]
    fn any_body_is_survived(cut in 0_usize..2_000, with in proptest::sample::select(vec!["null", "7", "\"x\"", "[]", "{}", "[{}]", "", ",", "\\ud800"]), length in 0_usize..40) {
        const BODY: &str = r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}},{"type":"file","file":{"file_data":"data:text/plain,a%20b","filename":"n"}}]},{"role":"assistant","content":null,"reasoning_details":[{"type":"reasoning.text","text":"a","signature":"s","index":0}],"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]},{"role":"tool","tool_call_id":"a","content":"1","cache_control":{"type":"ephemeral"}}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":{"type":"function","function":{"name":"f"}},"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}},"reasoning":{"effort":"low"},"stop":["x"],"temperature":1.5}"#;
        let start = cut.min(BODY.len());
        let body = format!("{}{with}{}", &BODY[..start], &BODY[(start + length).min(BODY.len())..]);
        let _ = request(body.as_bytes());
    }
}
