//! A conversation that goes on at another vendor: ids fit and agree, signatures reach only who made them.

use backstop::dialect::anthropic;
use backstop::dialect::canonical::Profile;
use backstop::dialect::vendor::Vendor;
use backstop::policy::capability::Abilities;
use bytes::Bytes;
use serde_json::{Value, json};

use super::asked::{Asked, Piece, Who};
use super::said::Said;
use super::targets::{self, BEDROCK_CLAUDE, CLAUDE, DEEPSEEK, GEMINI, MISTRAL, OPENAI, Target};
use super::{Front, Wire, plain_asked, plain_said, through};

const SIGNATURE: &str = "EqoBCkYIBxgCKkD0c2lnbmF0dXJlLW9mLWNsYXVkZQ==";
const THOUGHT: &str = "Two places, two calls.";

fn tools() -> Value {
    json!([{ "name": "get_weather", "description": "The weather of a city",
        "input_schema": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] } }])
}

/// What Claude thought, called twice at once, got and said, as a client of Messages sends it on.
fn claudes(thinking: &Value) -> Value {
    json!({ "model": "default", "max_tokens": 4_000, "tools": tools(), "thinking": thinking, "messages": [
        { "role": "user", "content": "Warmer in Rome or in Oslo?" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE },
            { "type": "redacted_thinking", "data": "cmVkYWN0ZWQ=" },
            { "type": "text", "text": "I look." },
            { "type": "tool_use", "id": "toolu_01RomeRomeRome", "name": "get_weather", "input": { "city": "Rome" } },
            { "type": "tool_use", "id": "toolu_01OsloOsloOslo", "name": "get_weather", "input": { "city": "Oslo" } }] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "toolu_01RomeRomeRome", "content": "18 degrees" },
            { "type": "tool_result", "tool_use_id": "toolu_01OsloOsloOslo", "content": "no station", "is_error": true }]
        }] })
}

/// The same conversation as other vendors' clients have it, with ids in their form.
fn chats(ids: [&str; 2], more: &Value) -> Value {
    let call = |id: &str, city: &str| {
        let mut call = json!({ "id": id, "type": "function",
            "function": { "name": "get_weather", "arguments": json!({ "city": city }).to_string() } });
        if more["extra_content"].is_object() {
            call["extra_content"] = more["extra_content"].clone();
        }
        call
    };
    let mut said = json!({ "role": "assistant", "content": "I look.",
        "tool_calls": [call(ids[0], "Rome"), call(ids[1], "Oslo")] });
    if let Some(thought) = more["reasoning_content"].as_str() {
        said["reasoning_content"] = Value::from(thought);
    }
    let schema = tools()[0]["input_schema"].clone();
    json!({ "model": "default", "reasoning_effort": "high",
        "tools": [{ "type": "function", "function": { "name": "get_weather", "description": "The weather of a city",
            "parameters": schema } }],
        "messages": [
            { "role": "user", "content": "Warmer in Rome or in Oslo?" },
            said,
            { "role": "tool", "tool_call_id": ids[0], "content": "18 degrees" },
            { "role": "tool", "tool_call_id": ids[1], "content": "no station" }] })
}

fn written(wire: Wire, body: &Value, target: Target) -> Value {
    let request = targets::parse(wire, body.to_string().as_bytes()).unwrap();
    let rendered = target.render(&request).unwrap_or_else(|cannot| panic!("{}: {cannot:?}", target.model));
    serde_json::from_slice(&rendered.body).unwrap()
}

/// The ids of calls, and those of results.
fn ids(asked: &Asked) -> [Vec<&str>; 2] {
    let pieces = || asked.turns.iter().flat_map(|(_, pieces)| pieces);
    let calls = pieces().filter_map(|piece| if let Piece::Call(call) = piece { Some(call.id.as_str()) } else { None });
    let results =
        pieces().filter_map(|piece| if let Piece::Result { id, .. } = piece { Some(id.as_str()) } else { None });
    [calls.collect(), results.collect()]
}

fn takes(target: Target, id: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    match (target.wire, target.vendor) {
        (Wire::Chat, Vendor::Mistral) => id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        (Wire::Chat, _) => !id.is_empty(),
        (Wire::Messages, _) => !id.is_empty() && id.bytes().all(word),
        (Wire::Converse, _) => {
            (1..=64).contains(&id.len()) && id.bytes().all(|byte| word(byte) || b".:".contains(&byte))
        }
    }
}

#[test]
fn calls_and_results_agree_at_every_vendor_and_in_every_turn() {
    let long = "x".repeat(70);
    let histories = [
        (Wire::Messages, claudes(&json!({ "type": "disabled" }))),
        (Wire::Chat, chats(["call_9YrOmE", "call_8oSlO"], &json!({}))),
        (Wire::Chat, chats(["D681PevKs", "a1B2c3D4e"], &json!({}))),
        (Wire::Chat, chats(["functions.get_weather:0", "functions.get_weather:1"], &json!({}))),
        (Wire::Chat, chats(["chatcmpl-tool-é ", &long], &json!({}))),
    ];
    for (wire, history) in &histories {
        for target in targets::ALL {
            let got = plain_asked::asked(target.wire, &written(*wire, history, target));
            let [calls, results] = ids(&got);
            assert_eq!((calls.len(), &calls), (2, &results), "{}: {got:?}", target.model);
            assert_ne!(calls[0], calls[1], "{}", target.model);
            assert!(calls.iter().all(|id| takes(target, id)), "{} does not take {calls:?}", target.model);
            let again = plain_asked::asked(target.wire, &written(*wire, history, target));
            assert_eq!(ids(&again), [calls, results], "{}: the next turn knows the same ids", target.model);
        }
    }
}

#[test]
fn results_of_one_turn_stand_together_and_first() {
    for target in targets::ALL {
        for (wire, history) in
            [(Wire::Messages, claudes(&Value::Null)), (Wire::Chat, chats(["call_1", "call_2"], &json!({})))]
        {
            let got = plain_asked::asked(target.wire, &written(wire, &history, target));
            let (who, last) = got.turns.last().unwrap();
            assert_eq!((*who, got.turns.len()), (Who::User, 3), "{}: {got:?}", target.model);
            assert!(matches!(last[..2], [Piece::Result { .. }, Piece::Result { .. }]), "{}: {last:?}", target.model);
        }
    }
}

#[test]
fn claudes_signatures_come_back_to_claude_as_they_were() {
    let history = claudes(&json!({ "type": "enabled", "budget_tokens": 2_000 }));
    for target in [CLAUDE, BEDROCK_CLAUDE] {
        let got = plain_asked::asked(target.wire, &written(Wire::Messages, &history, target));
        let [Piece::Thinking { text, signature }, Piece::Redacted(data), ..] = got.turns[1].1.as_slice() else {
            panic!("{}: {:?}", target.model, got.turns[1]);
        };
        let expected = (THOUGHT, Some(SIGNATURE), "cmVkYWN0ZWQ=");
        assert_eq!((text.as_str(), signature.as_deref(), data.as_str()), expected, "{}", target.model);
    }
}

#[test]
fn nobody_else_sees_claudes_signatures_and_thoughts() {
    let history = claudes(&json!({ "type": "enabled", "budget_tokens": 2_000 }));
    for target in targets::ALL.into_iter().filter(|target| !target.model.contains("claude")) {
        let body = written(Wire::Messages, &history, target).to_string();
        // DeepSeek wants some thoughts, and takes any.
        let thoughts = if target.vendor == Vendor::DeepSeek { SIGNATURE } else { THOUGHT };
        for hidden in [SIGNATURE, "cmVkYWN0ZWQ=", thoughts] {
            assert!(!body.contains(hidden), "{} is sent {hidden}: {body}", target.model);
        }
    }
}

/// Claude refuses a turn that calls a tool and has no thinking of its own, while it is asked to think.
fn thinks(target: Target, body: &Value) -> bool {
    let thinking = match target.wire {
        Wire::Converse => &body["additionalModelRequestFields"]["thinking"],
        Wire::Chat | Wire::Messages => &body["thinking"],
    };
    matches!(thinking["type"].as_str(), Some("enabled" | "adaptive"))
}

#[test]
fn foreign_thoughts_never_reach_claude() {
    let foreign = json!({ "reasoning_content": "I am no Claude.",
        "extra_content": { "google": { "thought_signature": "Z2VtaW5pcw==" } } });
    let mut in_messages = claudes(&json!({ "type": "enabled", "budget_tokens": 2_000 }));
    // As the gateway itself shows another vendor's thoughts to a client of Messages.
    in_messages["messages"][1]["content"][0] =
        json!({ "type": "thinking", "thinking": "I am no Claude.", "signature": "backstop:unsigned" });
    in_messages["messages"][1]["content"].as_array_mut().unwrap().remove(1);
    for (wire, history) in [(Wire::Chat, chats(["call_1", "call_2"], &foreign)), (Wire::Messages, in_messages)] {
        for target in [CLAUDE, BEDROCK_CLAUDE] {
            let body = written(wire, &history, target);
            for hidden in ["I am no Claude.", "Z2VtaW5pcw=="] {
                assert!(!body.to_string().contains(hidden), "{} is sent {hidden}: {body}", target.model);
            }
            assert!(!thinks(target, &body), "{} is asked to think, and its turn has no thoughts: {body}", target.model);
        }
    }
}

#[test]
fn foreign_thoughts_are_taken_out_of_a_body_that_passes_to_claude() {
    let mut body = claudes(&json!({ "type": "enabled", "budget_tokens": 2_000 }));
    body["field_of_the_future"] = json!({ "a": [1, null] });
    let abilities = Abilities::default();
    let profile = Profile { model: CLAUDE.model, vendor: Vendor::Anthropic, abilities: &abilities };
    let own = anthropic::amend::amend(&Bytes::from(body.to_string()), &profile);
    assert!(own.is_none(), "Claude's own passes as it is: {own:?}");
    body["messages"][1]["content"][0]["signature"] = Value::from("backstop:unsigned");
    body["messages"][1]["content"].as_array_mut().unwrap().remove(1);
    let amended = anthropic::amend::amend(&Bytes::from(body.to_string()), &profile).expect("it must change");
    let sent: Value = serde_json::from_slice(&amended.body).unwrap();
    assert!(!sent.to_string().contains(THOUGHT), "{sent}");
    assert!(!thinks(CLAUDE, &sent), "{sent}");
    assert_eq!(sent["field_of_the_future"], body["field_of_the_future"]);
    assert!(!amended.dropped.is_empty(), "what is taken out is told");
}

#[test]
fn deepseek_and_gemini_get_what_they_ask_for_in_a_foreign_turn() {
    let history = claudes(&Value::Null);
    let assistant = |body: &Value| {
        let messages = body["messages"].as_array().unwrap();
        messages.iter().find(|message| message["role"] == "assistant").unwrap().clone()
    };
    let turn = assistant(&written(Wire::Messages, &history, DEEPSEEK));
    assert!(turn["reasoning_content"].is_string(), "wire.md 5.4: {turn}");
    let turn = assistant(&written(Wire::Messages, &history, GEMINI));
    let signature = &turn["tool_calls"][0]["extra_content"]["google"]["thought_signature"];
    assert!(signature.as_str().is_some_and(|text| !text.is_empty()), "wire.md 5.4: {turn}");
}

/// What a client sends back after an answer: what it was told, as it was told.
fn returned(front: Front, answer: &Value, results: &[&str]) -> Value {
    match front {
        Front::Chat => {
            let message = answer["choices"][0]["message"].clone();
            let results = results
                .iter()
                .map(|id| json!({ "role": "tool", "tool_call_id": id, "content": "18 degrees" }))
                .collect::<Vec<_>>();
            let mut messages = vec![json!({ "role": "user", "content": "Rome?" }), message];
            messages.extend(results);
            let function = json!({ "name": "get_weather", "parameters": { "type": "object" } });
            json!({ "model": "default", "messages": messages, "tools": [{ "type": "function", "function": function }] })
        }
        Front::Messages => {
            let results = results
                .iter()
                .map(|id| json!({ "type": "tool_result", "tool_use_id": id, "content": "18 degrees" }))
                .collect::<Vec<_>>();
            json!({ "model": "default", "max_tokens": 100, "tools": tools(), "messages": [
                { "role": "user", "content": "Rome?" },
                { "role": "assistant", "content": answer["content"] },
                { "role": "user", "content": results }] })
        }
    }
}

#[test]
fn an_id_goes_out_to_the_client_and_home_to_its_vendor() {
    let claude = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-20250514",
        "content": [{ "type": "tool_use", "id": "toolu_01Rome", "name": "get_weather", "input": { "city": "Rome" } }],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": { "input_tokens": 9, "output_tokens": 9 } });
    let nova = json!({ "output": { "message": { "role": "assistant", "content": [{ "toolUse":
        { "toolUseId": "tooluse_RomeRome", "name": "get_weather", "input": { "city": "Rome" } } }] } },
        "stopReason": "tool_use", "usage": { "inputTokens": 9, "outputTokens": 9, "totalTokens": 18 } });
    let chat = |id: &str| {
        json!({ "id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{ "index": 0,
            "finish_reason": "tool_calls", "message": { "role": "assistant", "content": null, "tool_calls": [{ "id": id,
                "type": "function", "function": { "name": "get_weather", "arguments": "{\"city\":\"Rome\"}" } }] } }] })
    };
    for (wire, answer, home) in [
        (Wire::Messages, claude, CLAUDE),
        (Wire::Converse, nova, BEDROCK_CLAUDE),
        (Wire::Chat, chat("D681PevKs"), MISTRAL),
        (Wire::Chat, chat("call_abc"), OPENAI),
    ] {
        let answer_id = plain_said::whole(wire, &answer).calls[0].id.clone();
        let parsed = through::parse(wire, answer.to_string().as_bytes()).unwrap();
        for front in Front::ALL {
            let shown: Value = serde_json::from_slice(&through::render(front, &parsed)).unwrap();
            let said: Said = plain_said::whole(front.wire(), &shown);
            let id = said.calls[0].id.as_str();
            let body = returned(front, &shown, &[id]);
            let got = plain_asked::asked(home.wire, &written(front.wire(), &body, home));
            let expected = vec![answer_id.as_str()];
            assert_eq!(ids(&got), [expected.clone(), expected], "{} by {front:?}", home.model);
        }
    }
}
