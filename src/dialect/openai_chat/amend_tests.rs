//! Tests of [`amend`](super).

use serde_json::Value;

use super::*;
use crate::policy::capability::Abilities;

/// The body for a target and what was dropped; the body itself if nothing changes.
pub(super) fn amended(body: &str, vendor: Vendor, model: &str, reasoning: Option<bool>) -> (String, Vec<String>) {
    let abilities = Abilities { reasoning, ..Abilities::default() };
    let body = Bytes::copy_from_slice(body.as_bytes());
    match amend(&body, &Profile { model, vendor, abilities: &abilities }) {
        Some(amended) => {
            assert_ne!(amended.body, body, "what does not change is not written again");
            let dropped = amended.dropped.iter().map(ToString::to_string).collect();
            (String::from_utf8(amended.body.to_vec()).unwrap(), dropped)
        }
        None => (String::from_utf8(body.to_vec()).unwrap(), Vec::new()),
    }
}

/// Fields before and behind, both beside a message.
fn fields(vendor: Vendor, model: &str, reasoning: Option<bool>, before: &str) -> (String, Vec<String>) {
    let around = |fields: &str| {
        format!(r#"{{"model":"x","messages":[{{"role":"user","content":"hi"}}],"invented_today":1.50{fields}}}"#)
    };
    let (body, dropped) = amended(&around(before), vendor, model, reasoning);
    let empty = around("");
    let fields = body.strip_prefix(empty.trim_end_matches('}')).unwrap_or_else(|| panic!("{body}"));
    (fields.strip_suffix('}').unwrap().to_owned(), dropped)
}

/// A vendor, its model, whether that thinks, the fields before and behind, what is lost.
type Case = (Vendor, &'static str, Option<bool>, &'static str, &'static str, &'static [&'static str]);

const FIELDS: &[Case] = &[
    // OpenAI: the usual body passes.
    (
        Vendor::OpenAi,
        "gpt-4o",
        None,
        r#","max_tokens":7,"temperature":0,"reasoning_effort":"low","seed":1"#,
        r#","max_tokens":7,"temperature":0,"reasoning_effort":"low","seed":1"#,
        &[],
    ),
    (Vendor::OpenAi, "gpt-5", Some(true), r#","max_tokens":7"#, r#","max_completion_tokens":7"#, &[]),
    (
        Vendor::Azure,
        "o3",
        Some(true),
        r#","max_tokens":7,"max_completion_tokens":8"#,
        r#","max_completion_tokens":8"#,
        &[],
    ),
    (
        Vendor::OpenAi,
        "o4-mini",
        Some(true),
        r#","temperature":0.5,"top_p":1,"stop":["x"],"presence_penalty":0"#,
        "",
        &["temperature", "stop"],
    ),
    (Vendor::OpenAi, "o4-mini", Some(true), r#","temperature":1.0"#, "", &[]),
    (Vendor::OpenAi, "o4-mini", Some(true), r#","temperature":0"#, "", &["temperature"]),
    (
        Vendor::OpenAi,
        "o4-mini",
        Some(true),
        r#","max_completion_tokens":null,"max_tokens":7"#,
        r#","max_completion_tokens":7"#,
        &[],
    ),
    (Vendor::OpenAi, "o1", Some(true), r#","parallel_tool_calls":true"#, "", &["parallel_tool_calls"]),
    (Vendor::OpenAi, "gpt-5.2", Some(true), r#","temperature":0.5"#, r#","temperature":0.5"#, &[]),
    (
        Vendor::OpenAi,
        "gpt-5.2",
        Some(true),
        r#","temperature":0.5,"reasoning_effort":"low""#,
        r#","reasoning_effort":"low""#,
        &["temperature"],
    ),
    (Vendor::OpenAi, "gpt-5-chat-latest", Some(false), r#","temperature":0.5"#, r#","temperature":0.5"#, &[]),
    (
        Vendor::OpenAi,
        "gpt-4o",
        None,
        r#","n":2,"logprobs":true,"top_logprobs":2"#,
        r#","n":2,"logprobs":true,"top_logprobs":2"#,
        &[],
    ),
    // Other vendors' ways to ask for thought.
    (Vendor::OpenAi, "gpt-5", Some(true), r#","reasoning":{"effort":"xhigh"}"#, r#","reasoning_effort":"high""#, &[]),
    (
        Vendor::OpenAi,
        "gpt-5",
        Some(true),
        r#","thinking":{"type":"enabled","budget_tokens":2000}"#,
        r#","reasoning_effort":"low""#,
        &[],
    ),
    (
        Vendor::OpenAi,
        "gpt-5",
        Some(true),
        r#","reasoning":{"effort":"high"},"reasoning_effort":"low""#,
        r#","reasoning_effort":"low""#,
        &["reasoning"],
    ),
    (
        Vendor::OpenAi,
        "gpt-4o",
        Some(false),
        r#","thinking":{"type":"enabled","budget_tokens":2000}"#,
        "",
        &["thinking"],
    ),
    (Vendor::OpenAi, "gpt-4o", None, r#","thinking":{"type":"disabled"}"#, "", &[]),
    (
        Vendor::OpenAi,
        "gpt-4o",
        None,
        r#","thinking":{"type":"adaptive"},"top_k":3,"cache_control":{"type":"ephemeral"}"#,
        "",
        &["thinking", "top_k", "cache_control"],
    ),
    // Groq.
    (
        Vendor::Groq,
        "m",
        None,
        r#","store":false,"logit_bias":{"1":1},"max_completion_tokens":7"#,
        r#","max_completion_tokens":7"#,
        &["logit_bias"],
    ),
    (Vendor::Groq, "m", None, r#","store":true"#, "", &["store"]),
    // Mistral.
    (Vendor::Mistral, "m", None, r#","max_completion_tokens":7,"seed":3"#, r#","max_tokens":7,"random_seed":3"#, &[]),
    (Vendor::Mistral, "m", None, r#","stream":true,"stream_options":{"include_usage":true}"#, r#","stream":true"#, &[]),
    (Vendor::Mistral, "m", None, r#","user":"u","metadata":{"a":"b"},"store":null"#, "", &["metadata", "user"]),
    (Vendor::Mistral, "m", None, r#","reasoning_effort":"low""#, r#","reasoning_effort":"high""#, &[]),
    (Vendor::Mistral, "m", None, r#","reasoning_effort":"minimal""#, r#","reasoning_effort":"none""#, &[]),
    (Vendor::Mistral, "m", Some(false), r#","reasoning_effort":"high""#, "", &["reasoning_effort"]),
    (
        Vendor::Mistral,
        "m",
        None,
        r#","temperature":0.3,"tool_choice":"required""#,
        r#","temperature":0.3,"tool_choice":"required""#,
        &[],
    ),
    // xAI.
    (
        Vendor::Xai,
        "grok-4.6",
        Some(true),
        r#","presence_penalty":0,"frequency_penalty":0.1,"stop":"x""#,
        "",
        &["frequency_penalty", "stop"],
    ),
    (Vendor::Xai, "grok-4-fast", Some(true), r#","reasoning_effort":"high""#, "", &["reasoning_effort"]),
    (Vendor::Xai, "grok-3-mini", Some(true), r#","reasoning_effort":"high""#, r#","reasoning_effort":"high""#, &[]),
    (Vendor::Xai, "grok-3", Some(false), r#","stop":"x""#, r#","stop":"x""#, &[]),
    // DeepSeek.
    (Vendor::DeepSeek, "m", None, r#","max_completion_tokens":7"#, r#","max_tokens":7"#, &[]),
    (
        Vendor::DeepSeek,
        "m",
        None,
        r#","tool_choice":"required""#,
        r#","tool_choice":"required","thinking":{"type":"disabled"}"#,
        &[],
    ),
    (
        Vendor::DeepSeek,
        "m",
        None,
        r#","tool_choice":{"type":"function","function":{"name":"f"}},"thinking":{"type":"enabled"},"reasoning_effort":"max""#,
        r#","tool_choice":{"type":"function","function":{"name":"f"}},"thinking":{"type":"disabled"}"#,
        &["thinking", "reasoning_effort"],
    ),
    (Vendor::DeepSeek, "m", None, r#","tool_choice":"auto""#, r#","tool_choice":"auto""#, &[]),
    // Gemini.
    (
        Vendor::Gemini,
        "m",
        None,
        r#","store":false,"metadata":{"a":"b"},"reasoning":{"effort":"minimal"}"#,
        r#","reasoning_effort":"minimal""#,
        &["metadata"],
    ),
    (
        Vendor::Gemini,
        "m",
        None,
        r#","frequency_penalty":0.5,"presence_penalty":0.5"#,
        r#","presence_penalty":0.5"#,
        &["frequency_penalty"],
    ),
    // The lenient ones.
    (Vendor::Ollama, "m", None, r#","max_completion_tokens":7,"user":"u""#, r#","max_tokens":7,"user":"u""#, &[]),
    (
        Vendor::OpenRouter,
        "m",
        None,
        r#","reasoning":{"effort":"low"},"top_k":3"#,
        r#","reasoning":{"effort":"low"},"top_k":3"#,
        &[],
    ),
    (
        Vendor::Vllm,
        "m",
        None,
        r#","top_k":3,"max_completion_tokens":7"#,
        r#","top_k":3,"max_completion_tokens":7"#,
        &[],
    ),
    (Vendor::Fireworks, "m", None, r#","top_k":3,"reasoning":{}"#, r#","top_k":3,"reasoning":{}"#, &[]),
    (
        Vendor::Other,
        "m",
        Some(true),
        r#","thinking":{},"cache_control":{},"top_k":3"#,
        r#","thinking":{},"cache_control":{},"top_k":3"#,
        &[],
    ),
];

#[test]
fn fields_of_the_body() {
    for (vendor, model, reasoning, before, behind, lost) in FIELDS.iter().copied() {
        let (fields, dropped) = fields(vendor, model, reasoning, before);
        assert_eq!(
            (fields.as_str(), dropped),
            (behind, lost.iter().map(|name| (*name).to_owned()).collect()),
            "{vendor:?} {model}: {before}"
        );
    }
}

proptest::proptest! {
    /// Whatever a body is: it is JSON as before, and what is amended once needs no second time.
    #[test]
    fn any_body_is_survived(cut in 0_usize..1_200, length in 0_usize..30, with in proptest::sample::select(vec!["", "null", "7", "\"x\"", "[]", "{}", "[{}]", "[7]"]), number in 0_usize..15, think in proptest::option::of(proptest::bool::ANY)) {
        const BODY: &str = r#"{"model":"m","max_completion_tokens":5,"thinking":{"type":"enabled","budget_tokens":7},"reasoning":{"effort":"low"},"top_k":3,"store":true,"seed":1,"tool_choice":"required","messages":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"t","cache_control":{"type":"ephemeral"}}],"name":"n"},{"role":"assistant","content":null,"refusal":null,"reasoning_details":[{"type":"reasoning.encrypted","data":"d","id":"a","format":"google-gemini-v1"}],"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{}}]},{"role":"tool","tool_call_id":"a","content":"1"},{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"},"cache_control":{}}]}"#;
        const VENDORS: [Vendor; 15] = [Vendor::OpenAi, Vendor::Anthropic, Vendor::OpenRouter, Vendor::Xai, Vendor::Groq, Vendor::Mistral, Vendor::Gemini, Vendor::DeepSeek, Vendor::Together, Vendor::Fireworks, Vendor::Ollama, Vendor::Vllm, Vendor::Azure, Vendor::Bedrock, Vendor::Other];
        let start = cut.min(BODY.len());
        let body = format!("{}{with}{}", &BODY[..start], &BODY[(start + length).min(BODY.len())..]);
        let (once, _) = amended(&body, VENDORS[number], "gpt-5", think);
        let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        proptest::prop_assert_eq!(is_json(&body), is_json(&once));
        let (twice, dropped) = amended(&once, VENDORS[number], "gpt-5", think);
        proptest::prop_assert_eq!((&twice, dropped.len()), (&once, 0));
    }
}
