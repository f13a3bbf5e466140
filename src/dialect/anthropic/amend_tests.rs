//! Bodies that pass from a client of Messages to Anthropic.

use serde_json::{Value, json};

use super::*;
use crate::dialect::vendor::Vendor;
use crate::policy::capability::Abilities;

fn amended(body: &str, model: &str) -> Option<(String, Vec<String>)> {
    let abilities = Abilities::default();
    let profile = Profile { model, vendor: Vendor::Anthropic, abilities: &abilities };
    amend(&Bytes::copy_from_slice(body.as_bytes()), &profile).map(|amended| {
        let dropped = amended.dropped.iter().map(ToString::to_string).collect();
        (String::from_utf8(amended.body.to_vec()).unwrap(), dropped)
    })
}

const OLD: &str = "claude-sonnet-4-5";

#[test]
fn the_usual_body_stays() {
    let own = r#"{"thinking":{"type":"enabled"},"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"EqQB"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"signature":"","tool_use_id":"a.b"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1"}]}]}"#;
    for body in [
        own,
        r#"{"messages":"hi"}"#,
        "no JSON \"signature\":\"\"",
        r#"{"messages":[1,{"role":"assistant","content":[2,{"type":"tool_result","tool_use_id":7,"signature":""}]}]}"#,
    ] {
        assert_eq!(amended(body, OLD), None, "{body}");
    }
}

#[test]
fn foreign_thinking_and_ids_go_and_the_rest_stays_as_it_is() {
    let body = r#"{"z":1.50,"model":"m","messages":[{"role":"user","content":"hi"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"backstop:unsigned"}]},
        {"role":"assistant","content":[{"type":"thinking","thinking":"y","signature" : ""},{"type":"text","text":"a","new":[1e2]},{"type":"tool_use","id":"functions.f:0","name":"f","input":{"b":1.0,"a":2}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"functions.f:0","content":"r"}]}],"new":{ "x":null}}"#;
    let (sent, dropped) = amended(body, OLD).unwrap();
    let id = fit("functions.f:0", Rule::Anthropic);
    let expected = format!(
        r#"{{"z":1.50,"model":"m","messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":[{{"type":"text","text":"a","new":[1e2]}},{{"type":"tool_use","id":"{id}","name":"f","input":{{"b":1.0,"a":2}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{id}","content":"r"}}]}}],"new":{{ "x":null}}}}"#
    );
    assert_eq!(sent, expected);
    assert_eq!(dropped, ["messages.content.thinking"]);
}

#[test]
fn thinking_ends_if_the_last_calls_are_not_claudes() {
    let calls = |id: &str, first: Value| {
        let call = json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
        json!({
            "messages": [
                { "role": "assistant", "content": [first, call] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id }] }
            ],
            "thinking": { "type": "enabled", "budget_tokens": 2000 },
            "context_management": { "edits": [{ "type": "clear_thinking_20251015" }, { "type": "clear_tool_uses_20250919" }] }
        })
        .to_string()
    };
    let said = json!({ "type": "text", "text": "a" });
    let (sent, dropped) = amended(&calls("call_1", said.clone()), OLD).unwrap();
    assert_eq!(dropped, ["thinking", "context_management"]);
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(
        (sent.get("thinking"), &sent["context_management"]["edits"]),
        (None, &json!([{ "type": "clear_tool_uses_20250919" }]))
    );
    assert_eq!(amended(&calls("call_1", said.clone()), "claude-opus-5"), None, "it takes them");
    assert_eq!(amended(&calls("toolu_1", said), OLD), None, "Claude's own");
    let signed = json!({ "type": "thinking", "thinking": "x", "signature": "Sig" });
    assert_eq!(amended(&calls("tooluse_1", signed), OLD), None, "Claude's own, from elsewhere");
    let foreign = json!({ "type": "thinking", "thinking": "x", "signature": "backstop:unsigned" });
    let (_, dropped) = amended(&calls("call_1", foreign), OLD).unwrap();
    assert_eq!(dropped, ["messages.content.thinking", "thinking", "context_management"]);
    let only =
        calls("call_1", json!({ "type": "text", "text": "a" })).replace(r#",{"type":"clear_tool_uses_20250919"}"#, "");
    let (sent, _) = amended(&only, OLD).unwrap();
    assert!(!sent.contains("context_management"), "{sent}");
}
