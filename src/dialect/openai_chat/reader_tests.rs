//! Tests of [`reader`](super).

use super::*;

fn frame() -> Frame {
    Frame { id: 7, created: 1, model: "m".to_owned(), include_usage: false }
}

/// One line for an event, pieces of text joined.
fn line(event: &Event<'_>) -> String {
    match event {
        Event::Start { id, model } => {
            format!("start {} {}", id.as_deref().unwrap_or("-"), model.as_deref().unwrap_or("-"))
        }
        Event::Text(text) => format!("text {text}"),
        Event::Half(half) => format!("half {half:04x}"),
        Event::Refusal(text) => format!("refusal {text}"),
        Event::Thinking(text) => format!("think {text}"),
        Event::Signature(text) => format!("sign {text}"),
        Event::Redacted(text) => format!("redacted {text}"),
        Event::Call { index, id, name, signature } => {
            format!("call{index} {id} {name}{}", signature.as_ref().map(|sign| format!(" {sign}")).unwrap_or_default())
        }
        Event::Input { index, json } => format!("input{index} {json}"),
        Event::Finish { stop, sequence } => {
            format!("finish {stop:?}{}", sequence.as_ref().map(|text| format!(" {text}")).unwrap_or_default())
        }
        Event::Usage(usage) => format!(
            "usage {} {} {} {} {}",
            usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning
        ),
        Event::End => "end".to_owned(),
        Event::Error(data) => format!("error {}", String::from_utf8_lossy(data)),
        Event::Malformed => "malformed".to_owned(),
    }
}

fn read(data: &[&str]) -> Vec<String> {
    let mut reader = Reader::new(&frame());
    let mut seen = Vec::new();
    for data in data {
        reader.read(None, data.as_bytes(), &mut |event| seen.push(line(&event)));
    }
    reader.end(&mut |event| seen.push(line(&event)));
    seen
}

/// What the deltas say, between the start and the end.
fn deltas(deltas: &[&str], reason: &str) -> Vec<String> {
    let mut chunks: Vec<String> = vec![r#"{"id":"x","choices":[]}"#.to_owned()];
    chunks.extend(
        deltas.iter().map(|delta| format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)),
    );
    chunks.push(format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#));
    let chunks: Vec<_> = chunks.iter().map(String::as_str).collect();
    let seen = read(&chunks);
    assert_eq!((seen.first().map(String::as_str), seen.last().map(String::as_str)), (Some("start x -"), Some("end")));
    seen[1..seen.len() - 1].to_vec()
}

#[test]
fn a_usual_stream() {
    let seen = read(&[
        r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{}]}"#,
        r#"{"id":"x","model":"gpt","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
        r#"{"id":"x","model":"gpt","choices":[{"index":0,"delta":{"content":"a\n"},"finish_reason":null}]}"#,
        r#"{"id":"x","model":"gpt","choices":[{"index":1,"delta":{"content":"other"}}]}"#,
        r#"{"id":"x","model":"gpt","choices":[{"index":0,"delta":{"content":"b"}}]}"#,
        r#"{"id":"x","model":"gpt","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"id":"x","model":"gpt","choices":[{"index":0,"delta":{"content":"late"},"finish_reason":"stop"}]}"#,
        r#"{"id":"x","model":"gpt","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}}"#,
        "[DONE]",
        r#"{"choices":[{"delta":{"content":"after"}}]}"#,
    ]);
    assert_eq!(seen, ["start x gpt", "text a\n", "text b", "finish End", "usage 9 4 2 5 3", "end"]);
}

#[test]
fn tokens_where_each_vendor_has_them() {
    for (usage, expected) in [
        (r#""usage":{"prompt_tokens":9,"completion_tokens":5}"#, "usage 9 0 0 5 0"),
        (r#""x_groq":{"id":"r","usage":{"prompt_tokens":9,"completion_tokens":5}}"#, "usage 9 0 0 5 0"),
        (r#""usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_cache_hit_tokens":4}"#, "usage 9 4 0 5 0"),
        // xAI says what it thought and leaves it out of the answer's tokens; Gemini leaves it out and does not say it.
        (
            r#""usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":20,"completion_tokens_details":{"reasoning_tokens":6}}"#,
            "usage 9 0 0 11 6",
        ),
        (r#""usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":20}"#, "usage 9 0 0 11 6"),
        // More from the cache than there was (recorded at Azure).
        (
            r#""usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":12}}"#,
            "usage 9 9 0 5 0",
        ),
    ] {
        let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"a"}},"finish_reason":"stop"}}],{usage}}}"#);
        assert_eq!(read(&[&chunk]), ["start - -", "text a", "finish End", expected, "end"], "{usage}");
    }
}

#[test]
fn thinking_in_every_spelling() {
    for (said, expected) in [
        (
            vec![r#"{"reasoning_content":"a"}"#, r#"{"reasoning_content":"b","content":null}"#, r#"{"content":"c"}"#],
            vec!["think a", "think b", "text c"],
        ),
        (vec![r#"{"content":"","reasoning":"a"}"#], vec!["think a"]),
        (
            vec![
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}"#,
                r#"{"content":[{"type":"text","text":"b"}]}"#,
            ],
            vec!["think a", "text b"],
        ),
        // OpenRouter says it twice, and the signature alone.
        (
            vec![
                r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","format":"anthropic-claude-v1","index":0}]}"#,
                r#"{"reasoning":null,"reasoning_details":[{"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1","index":0}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1","index":1}]}"#,
            ],
            vec!["think a", "sign s", "redacted d"],
        ),
        // Only as details.
        (vec![r#"{"reasoning_details":[{"type":"reasoning.text","text":"a"}]}"#], vec!["think a"]),
        // LiteLLM.
        (
            vec![
                r#"{"reasoning_content":"a","thinking_blocks":[{"type":"thinking","thinking":"a","signature":null}]}"#,
                r#"{"reasoning_content":"","thinking_blocks":[{"type":"thinking","thinking":"","signature":"s"}]}"#,
            ],
            vec!["think a", "sign s"],
        ),
        // Another vendor's are of no use to anybody.
        (
            vec![r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","format":"openai-responses-v1"}]}"#],
            vec![],
        ),
    ] {
        let mut expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
        expected.push("finish End".to_owned());
        assert_eq!(deltas(&said, "stop"), expected, "{said:?}");
    }
}

/// The deltas, and what they say.
type Case = (&'static [&'static str], &'static [&'static str]);

const CALLS: &[Case] = &[
    // OpenAI: name first, then pieces, two at once.
    (
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}},{"index":1,"function":{"arguments":"{}"}}]}"#,
        ],
        &["call0 a f", "input0 {\"x\"", "call1 b g", "input0 :1}", "input1 {}"],
    ),
    // xAI, Groq, Ollama: whole, in one chunk.
    (
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &["call0 a f", "input0 {}", "call1 b g", "input1 {}"],
    ),
    // Without numbers, or all with the same one.
    (
        &[
            r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &["call0 a f", "input0 {}", "call1 b g", "input1 {}"],
    ),
    (
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
        ],
        &["call0 a f", "input0 {}", "call1 b g", "input1 {", "input1 }"],
    ),
    // Gemini: no ids, all with one number, and a signature.
    (
        &[
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
        ],
        &["call0 <0> f s", "input0 {}", "call1 <1> f", "input1 {\"x\":1}"],
    ),
    // OpenRouter's Gemini: the signature comes before.
    (
        &[
            r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"s","format":"google-gemini-v1","id":"a"}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"#,
        ],
        &["call0 a f s"],
    ),
    // Id and name again in every piece.
    (
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}]}"#,
        ],
        &["call0 a f", "input0 {", "input0 }"],
    ),
    // The name comes late; an object where a string belongs.
    (
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":{"x":1}}}]}"#,
        ],
        &["call0 a f", "input0 {", "input0 }", "call1 b g", "input1 {\"x\":1}"],
    ),
    // The old way.
    (
        &[r#"{"function_call":{"name":"f","arguments":""}}"#, r#"{"function_call":{"arguments":"{}"}}"#],
        &["call0 <0> f", "input0 {}"],
    ),
];

#[test]
fn calls_in_every_shape() {
    for (said, expected) in CALLS.iter().copied() {
        let mint = |line: &str| line.replace("<0>", &ids::mint(7, 0)).replace("<1>", &ids::mint(7, 1));
        let mut expected: Vec<_> = expected.iter().map(|line| mint(line)).collect();
        expected.push("finish Tools".to_owned());
        assert_eq!(deltas(said, "stop"), expected, "{said:?}");
    }
}

#[test]
fn why_it_ends() {
    for (reason, expected) in [
        ("stop", "finish End"),
        ("length", "finish Length"),
        ("model_length", "finish Length"),
        ("tool_calls", "finish Tools"),
        ("function_call", "finish Tools"),
        ("content_filter", "finish Filtered"),
        ("anything else", "finish End"),
    ] {
        assert_eq!(deltas(&[], reason), [expected], "{reason}");
    }
    assert_eq!(deltas(&[r#"{"refusal":"no"}"#], "stop"), ["refusal no", "finish Filtered"]);
    let vllm = r#"{"choices":[{"delta":{},"finish_reason":"stop","stop_reason":"END"}]}"#;
    assert_eq!(read(&[vllm]), ["start - -", "finish Sequence END", "end"]);
    let vllm = r#"{"choices":[{"delta":{},"finish_reason":"stop","stop_reason":128009}]}"#;
    assert_eq!(read(&[vllm]), ["start - -", "finish End", "end"]);
}

#[test]
fn failures_end_it_and_garbage_does_not() {
    let mut reader = Reader::new(&frame());
    let mut seen = Vec::new();
    reader.read(Some(b"error"), b"overloaded", &mut |event| seen.push(line(&event)));
    reader.read(None, b"[DONE]", &mut |event| seen.push(line(&event)));
    reader.end(&mut |event| seen.push(line(&event)));
    assert_eq!(seen, ["error overloaded"]);
    for data in [
        r#"{"error":{"message":"no"}}"#,
        r#"{"error":"no"}"#,
        r#"{"error":{"code":400},"choices":[{"delta":{"content":"x"},"finish_reason":null}]}"#,
        r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"error"}]}"#,
        r#"{"choices":[{"delta":{},"error":{"code":502}}]}"#,
        r#"[{"error":{"code":429}}]"#,
        r#"{"object":"error","message":"no"}"#,
        r#"{"detail":"no"}"#,
    ] {
        assert_eq!(read(&[data, "[DONE]"]), [format!("error {data}")], "{data}");
    }
    for data in ["", "ping", r#"{"choices":[{"#, "[DONE", "\u{fffd}"] {
        assert_eq!(read(&[data, "[DONE]"]), ["malformed", "end"], "{data}");
    }
    for data in [r#"{"type":"ping"}"#, r#"{"choices":7}"#, "[1]", "{}", r#"{"choices":[],"usage":null}"#] {
        assert_eq!(read(&[data, "[DONE]"]), ["end"], "{data}");
    }
    assert_eq!(read(&[r#"{"choices":[{"delta":{"content":"a"}}]}"#]), ["start - -", "text a"], "it was cut");
    // Half a surrogate pair, and types that nobody expects.
    assert_eq!(
        deltas(&[r#"{"content":"a\ud83d"}"#, r#"{"content":7,"tool_calls":{},"reasoning":[]}"#], "stop"),
        ["text a", "text \u{fffd}", "finish End"]
    );
}

#[test]
fn nobody_calls_tools_without_end() {
    let call = |number: usize| {
        format!(r#"{{"index":{number},"id":"c{number}","function":{{"name":"f","arguments":"{{}}"}}}}"#)
    };
    let chunk = |from: usize| {
        let calls: Vec<_> = (from..from + 600).map(call).collect();
        format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{}]}}}}]}}"#, calls.join(","))
    };
    let seen = read(&[&chunk(0), &chunk(600), &chunk(1200)]);
    assert_eq!(seen.iter().filter(|line| line.starts_with("call")).count(), wire::CALLS);
}
