//! Healthy answers of `/v1/responses`, whole and as events.
//!
//! Pure functions from what was asked to JSON. Refuses to know sockets, delays and faults.

use serde_json::{Value, json};

use super::answer::{CREATED, Events, Reply, Who, arguments, call_id, said, said_tokens, split, tokens};
use super::ask::Ask;

/// The whole answer.
pub(super) fn response(ask: &Ask, who: &Who) -> Value {
    let text = said(ask, who).concat();
    let item = ask.tool().map_or_else(|| message(who, "completed", &text), |tool| call(who, tool, "completed"));
    frame(ask, who, "completed", &json!([item]))
}

/// The same, event by event.
pub(super) fn stream(ask: &Ask, who: &Who) -> Reply {
    let mut number = 0_u64;
    let mut event = |kind: &str, mut more: Value| {
        more["type"] = kind.into();
        more["sequence_number"] = number.into();
        number += 1;
        more.to_string()
    };
    let running = frame(ask, who, "in_progress", &json!([]));
    let mut preamble = vec![
        event("response.created", json!({ "response": running })),
        event("response.in_progress", json!({ "response": running })),
    ];
    let mut content = Vec::new();
    let mut finish = Vec::new();
    let added = |item: Value| json!({ "output_index": 0, "item": item });
    let item = if let Some(tool) = ask.tool() {
        preamble.push(event("response.output_item.added", added(call(who, &without_arguments(tool), "in_progress"))));
        let id = format!("fc_sim{:08}", who.number);
        let all = arguments(tool);
        for part in split(&all, who.chunks) {
            let delta = json!({ "output_index": 0, "item_id": id, "delta": part });
            content.push(event("response.function_call_arguments.delta", delta));
        }
        let done = json!({ "output_index": 0, "item_id": id, "name": tool["name"], "arguments": all });
        finish.push(event("response.function_call_arguments.done", done));
        call(who, tool, "completed")
    } else {
        let id = format!("msg_sim{:08}", who.number);
        let place = |mut more: Value| {
            more["output_index"] = 0.into();
            more["content_index"] = 0.into();
            more["item_id"] = id.clone().into();
            more
        };
        let part = |text: &str| json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
        let mut begun = message(who, "in_progress", "");
        begun["content"] = json!([]);
        preamble.push(event("response.output_item.added", added(begun)));
        preamble.push(event("response.content_part.added", place(json!({ "part": part("") }))));
        let pieces = said(ask, who);
        for piece in &pieces {
            content.push(event("response.output_text.delta", place(json!({ "delta": piece, "logprobs": [] }))));
        }
        let text = pieces.concat();
        finish.push(event("response.output_text.done", place(json!({ "text": text, "logprobs": [] }))));
        finish.push(event("response.content_part.done", place(json!({ "part": part(&text) }))));
        message(who, "completed", &text)
    };
    finish.push(event("response.output_item.done", added(item.clone())));
    let whole = frame(ask, who, "completed", &json!([item]));
    finish.push(event("response.completed", json!({ "response": whole })));
    Reply::Events(Events::named(preamble, content, finish))
}

fn frame(ask: &Ask, who: &Who, status: &str, output: &Value) -> Value {
    let (input, said) = (tokens(who), said_tokens(ask, who));
    let usage = json!({
        "input_tokens": input, "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
        "output_tokens": said, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": input + said,
    });
    json!({
        "id": format!("resp_sim{:08}", who.number), "object": "response", "created_at": CREATED, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
        "model": ask.model, "output": output, "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null }, "store": true, "temperature": 1.0, "text":
        { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
        "usage": if status == "completed" { usage } else { Value::Null },
    })
}

fn message(who: &Who, status: &str, text: &str) -> Value {
    json!({
        "id": format!("msg_sim{:08}", who.number), "type": "message", "status": status, "role": "assistant",
        "content": [{ "type": "output_text", "text": text, "annotations": [], "logprobs": [] }],
    })
}

fn call(who: &Who, tool: &Value, status: &str) -> Value {
    let arguments = if status == "completed" { arguments(tool) } else { String::new() };
    json!({
        "id": format!("fc_sim{:08}", who.number), "type": "function_call", "status": status, "call_id": call_id(who),
        "name": tool["name"], "arguments": arguments,
    })
}

fn without_arguments(tool: &Value) -> Value {
    json!({ "name": tool["name"] })
}
