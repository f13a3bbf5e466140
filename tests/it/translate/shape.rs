//! Whether what the gateway writes has the shape that clients of chat expect. Stricter than any client: a field that is not
//! known here is a leak.

use serde_json::Value;

/// The fields of an object are these, those with `!` always there.
pub(super) fn fields(object: &Value, known: &str) -> Result<(), String> {
    let map = object.as_object().ok_or_else(|| format!("no object: {object}"))?;
    let known: Vec<&str> = known.split(' ').collect();
    for name in map.keys() {
        if !known.iter().any(|field| field.trim_end_matches('!') == name) {
            return Err(format!("`{name}` does not belong into {object}"));
        }
    }
    for field in known.iter().filter_map(|field| field.strip_suffix('!')) {
        if !map.contains_key(field) {
            return Err(format!("`{field}` is missing in {object}"));
        }
    }
    Ok(())
}

pub(super) fn check(good: bool, what: &str, value: &Value) -> Result<(), String> {
    if good { Ok(()) } else { Err(format!("{what}: {value}")) }
}

pub(super) fn filled(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

const FINISHES: [&str; 4] = ["stop", "length", "tool_calls", "content_filter"];

/// A whole answer of chat.
pub(super) fn chat(answer: &Value) -> Result<(), String> {
    fields(answer, "id! object! created! model! choices! usage system_fingerprint service_tier")?;
    check(answer["object"] == "chat.completion", "object", answer)?;
    check(filled(&answer["id"]) && filled(&answer["model"]) && answer["created"].is_u64(), "its own facts", answer)?;
    let Some([choice]) = answer["choices"].as_array().map(Vec::as_slice) else {
        return Err(format!("not one choice: {answer}"));
    };
    fields(choice, "index! message! finish_reason! logprobs")?;
    check(choice["index"] == 0, "index", choice)?;
    check(FINISHES.iter().any(|known| choice["finish_reason"] == *known), "finish_reason", choice)?;
    let message = &choice["message"];
    fields(message, "role! content! refusal tool_calls reasoning_content reasoning_details annotations")?;
    check(message["role"] == "assistant", "role", message)?;
    for name in ["content", "refusal"] {
        check(message[name].is_string() || message[name].is_null(), name, message)?;
    }
    let calls = message["tool_calls"].as_array();
    check(calls.is_none_or(|calls| !calls.is_empty()), "an empty list of calls", message)?;
    for call in calls.into_iter().flatten() {
        fields(call, "id! type! function! extra_content")?;
        fields(&call["function"], "name! arguments!")?;
        check(filled(&call["id"]) && call["type"] == "function" && filled(&call["function"]["name"]), "call", call)?;
        let arguments = call["function"]["arguments"].as_str().ok_or("arguments are no string")?;
        // An answer that was cut off may end within them.
        let whole = serde_json::from_str::<Value>(arguments).is_ok_and(|json| json.is_object());
        check(whole || choice["finish_reason"] == "length", "arguments", call)?;
    }
    if answer["usage"].is_null() { Ok(()) } else { usage(&answer["usage"]) }
}

fn usage(usage: &Value) -> Result<(), String> {
    fields(usage, "prompt_tokens! completion_tokens! total_tokens! prompt_tokens_details completion_tokens_details")?;
    let count = |name: &str| usage[name].as_u64().ok_or_else(|| format!("{name}: {usage}"));
    let sum = count("prompt_tokens")? + count("completion_tokens")?;
    check(count("total_tokens")? == sum, "the sum", usage)
}

/// The frames of a stream, each `data: …` and a blank line.
fn frames(stream: &[u8]) -> Result<Vec<&str>, String> {
    let text = std::str::from_utf8(stream).map_err(|error| error.to_string())?;
    let Some(text) = text.strip_suffix("\n\n") else { return Err(format!("does not end with a frame: {text:?}")) };
    let frames = text.split("\n\n");
    frames.map(|frame| frame.strip_prefix("data: ").ok_or_else(|| format!("no frame of chat: {frame:?}"))).collect()
}

/// A whole stream of chat: the role, contents, one reason to finish, the tokens if they were asked for, `[DONE]`.
pub(super) fn chat_stream(stream: &[u8], include_usage: bool) -> Result<(), String> {
    let mut frames = frames(stream)?;
    if frames.pop() != Some("[DONE]") {
        return Err("does not end with [DONE]".to_owned());
    }
    let parsed = frames.iter().map(|frame| serde_json::from_str(frame).map_err(|error| format!("{error}: {frame}")));
    let chunks: Vec<Value> = parsed.collect::<Result<_, _>>()?;
    let first = chunks.first().ok_or("no chunk")?;
    check(first["choices"][0]["delta"]["role"] == "assistant", "the first chunk has the role", first)?;
    let mut finished = 0;
    let mut calls = 0;
    for (at, chunk) in chunks.iter().enumerate() {
        fields(chunk, "id! object! created! model! choices! usage system_fingerprint service_tier")?;
        check(chunk["object"] == "chat.completion.chunk", "object", chunk)?;
        for name in ["id", "created", "model"] {
            check(chunk[name] == first[name], &format!("the same {name} in all chunks"), chunk)?;
        }
        check(filled(&chunk["id"]) && filled(&chunk["model"]) && chunk["created"].is_u64(), "its own facts", chunk)?;
        match chunk["choices"].as_array().map(Vec::as_slice) {
            Some([]) => {
                let last = at + 1 == chunks.len() && finished == 1 && include_usage;
                check(last, "a chunk without a choice is the last, with the tokens that were asked for", chunk)?;
                usage(&chunk["usage"])?;
            }
            Some([choice]) => {
                check(finished == 0 && chunk["usage"].is_null(), "before the end", chunk)?;
                finished += u32::from(delta(choice, at == 0, &mut calls)?);
            }
            _ => return Err(format!("not one choice: {chunk}")),
        }
    }
    if finished == 1 { Ok(()) } else { Err("no reason to finish".to_owned()) }
}

/// One choice of a chunk; whether it finishes. `calls` have begun so far.
fn delta(choice: &Value, first: bool, calls: &mut u64) -> Result<bool, String> {
    fields(choice, "index! delta! finish_reason! logprobs")?;
    check(choice["index"] == 0, "index", choice)?;
    let delta = &choice["delta"];
    fields(delta, "role content refusal tool_calls reasoning_content reasoning_details")?;
    check(first || delta["role"].is_null(), "the role is said once", choice)?;
    for fragment in delta["tool_calls"].as_array().into_iter().flatten() {
        let index = fragment["index"].as_u64().ok_or("a call without an index")?;
        if index == *calls {
            *calls += 1;
            fields(fragment, "index! id! type! function! extra_content")?;
            check(filled(&fragment["id"]) && filled(&fragment["function"]["name"]), "a call begins", fragment)?;
        } else {
            check(index < *calls, "calls begin in order", fragment)?;
            fields(fragment, "index! function!")?;
            fields(&fragment["function"], "arguments!")?;
        }
    }
    let finish = &choice["finish_reason"];
    check(finish.is_null() || FINISHES.iter().any(|known| finish == known), "finish_reason", choice)?;
    Ok(finish.is_string())
}
