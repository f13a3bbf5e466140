//! Tests of [`history`](super).

use super::super::tests::amended;
use super::*;

/// A message before and behind.
fn message(vendor: Vendor, model: &str, before: &str) -> (String, Vec<String>) {
    let around = |message: &str| format!(r#"{{"messages":[{message}],"tools":[{{"type":"function"}}]}}"#);
    let (body, dropped) = amended(&around(before), vendor, model, None);
    let message =
        body.strip_prefix(r#"{"messages":["#).and_then(|rest| rest.strip_suffix(r#"],"tools":[{"type":"function"}]}"#));
    (message.unwrap_or_else(|| panic!("{body}")).to_owned(), dropped)
}

/// A vendor, a message before and behind, what is lost.
type Case = (Vendor, &'static str, &'static str, &'static [&'static str]);

const MESSAGES: &[Case] = &[
    (
        Vendor::Fireworks,
        r#"{"role":"assistant","content":"x","reasoning_content":"a","thinking_blocks":[{}]}"#,
        r#"{"role":"assistant","content":"x","reasoning_content":"a"}"#,
        &["messages.thinking_blocks"],
    ),
    (
        Vendor::OpenAi,
        r#"{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}"#,
        r#"{"role":"user","content":[{"type":"text","text":"a"}]}"#,
        &["cache_control"],
    ),
    (
        Vendor::OpenAi,
        r#"{"role":"user","content":"a","cache_control":{"type":"ephemeral"}}"#,
        r#"{"role":"user","content":"a"}"#,
        &["cache_control"],
    ),
    (
        Vendor::OpenAi,
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":[]},{"type":"text","text":"a"}]}"#,
        r#"{"role":"assistant","content":[{"type":"text","text":"a"}]}"#,
        &["messages.content.thinking"],
    ),
    (
        Vendor::Mistral,
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":[]},{"type":"text","text":"a"}]}"#,
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":[]},{"type":"text","text":"a"}]}"#,
        &[],
    ),
    (
        Vendor::OpenAi,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","extra_content":{"google":{}},"function":{"name":"f"}}]}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","function":{"name":"f"}}]}"#,
        &["messages.tool_calls.extra_content"],
    ),
    (
        Vendor::OpenAi,
        r#"{"role":"user","content":"the word \"reasoning_content\"","name":"n"}"#,
        r#"{"role":"user","content":"the word \"reasoning_content\"","name":"n"}"#,
        &[],
    ),
    (
        Vendor::Groq,
        r#"{"role":"user","content":"a","name":"n"}"#,
        r#"{"role":"user","content":"a"}"#,
        &["messages.name"],
    ),
    (
        Vendor::Groq,
        r#"{"role":"assistant","content":"a","refusal":null,"annotations":[]}"#,
        r#"{"role":"assistant","content":"a"}"#,
        &[],
    ),
    (
        Vendor::Mistral,
        r#"{"role":"tool","content":"a","name":"n","tool_call_id":"abcdefgh1"}"#,
        r#"{"role":"tool","content":"a","name":"n","tool_call_id":"abcdefgh1"}"#,
        &[],
    ),
    (Vendor::DeepSeek, r#"{"role":"developer","content":"a"}"#, r#"{"role":"system","content":"a"}"#, &[]),
    (Vendor::OpenAi, r#"{"role":"developer","content":"a"}"#, r#"{"role":"developer","content":"a"}"#, &[]),
];

#[test]
fn what_another_vendor_left_in_a_message() {
    let claude = r#"{"role":"assistant","content":"x","reasoning_content":"a","reasoning_details":[{}],"thinking_blocks":[{}],"x":1.50}"#;
    let left = ["messages.reasoning_content", "messages.reasoning_details", "messages.thinking_blocks"];
    for vendor in [Vendor::OpenAi, Vendor::Azure, Vendor::Groq, Vendor::Mistral, Vendor::Gemini] {
        assert_eq!(
            message(vendor, "m", claude),
            (r#"{"role":"assistant","content":"x","x":1.50}"#.to_owned(), left.map(str::to_owned).to_vec()),
            "{vendor:?}"
        );
    }
    for vendor in [Vendor::OpenRouter, Vendor::DeepSeek, Vendor::Vllm, Vendor::Xai, Vendor::Other] {
        assert_eq!(message(vendor, "m", claude), (claude.to_owned(), vec![]), "{vendor:?}");
    }
    for (vendor, before, behind, lost) in MESSAGES.iter().copied() {
        assert_eq!(
            message(vendor, "m", before),
            (behind.to_owned(), lost.iter().map(|name| (*name).to_owned()).collect()),
            "{vendor:?}: {before}"
        );
    }
    let (body, dropped) = amended(
        r#"{"messages":[],"tools":[{"type":"function","cache_control":{"type":"ephemeral"},"function":{"name":"f","cache_control":{"type":"ephemeral"}}}]}"#,
        Vendor::OpenAi,
        "m",
        None,
    );
    assert_eq!(
        (body.as_str(), dropped),
        (r#"{"messages":[],"tools":[{"type":"function","function":{"name":"f"}}]}"#, vec!["cache_control".to_owned()])
    );
}

#[test]
fn what_a_vendor_wants_of_calls() {
    let call = |extra: &str| {
        format!(
            r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_1","type":"function","function":{{"name":"f","arguments":"{{}}"}}{extra}}}]"#
        )
    };
    let without = format!("{}}}", call(""));
    let signed = |sign: &str| {
        format!("{}}}", call(&format!(r#","extra_content":{{"google":{{"thought_signature":"{sign}"}}}}"#)))
    };
    assert_eq!(message(Vendor::Gemini, "gemini-3-pro", &without).0, signed("skip_thought_signature_validator"));
    assert_eq!(message(Vendor::Gemini, "gemini-2.5-pro", &without).0, without);
    assert_eq!(message(Vendor::Gemini, "gemini-3-pro", &signed("s")).0, signed("s"));
    let elsewhere = format!(
        r#"{},"reasoning_details":[{{"type":"reasoning.encrypted","data":"s","id":"call_1","format":"google-gemini-v1"}}]}}"#,
        call("")
    );
    assert_eq!(
        message(Vendor::Gemini, "gemini-3-pro", &elsewhere),
        (signed("s"), vec!["messages.reasoning_details".to_owned()])
    );
    assert_eq!(message(Vendor::DeepSeek, "m", &without).0, format!(r#"{},"reasoning_content":""}}"#, call("")));
    let thought = format!(r#"{},"reasoning":"a"}}"#, call(""));
    assert_eq!(
        message(Vendor::DeepSeek, "m", &thought).0,
        format!(r#"{},"reasoning":"a","reasoning_content":"a"}}"#, call(""))
    );
    let id = ids::fit("call_1", Rule::Mistral).into_owned();
    let result = r#"{"role":"tool","tool_call_id":"call_1","content":"1"}"#;
    let both = format!(r#"{without},{result},{{"role":"user","content":"x"}}"#);
    let bridge = r#"{"role":"assistant","content":"OK."}"#;
    let fitted = both.replace("call_1", &id).replace(r#"{"role":"user""#, &format!(r#"{bridge},{{"role":"user""#));
    assert_eq!(message(Vendor::Mistral, "m", &both), (fitted, vec![]));
}
