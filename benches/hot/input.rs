//! What is asked and answered: requests, streams and answers in the shapes of OpenAI and Anthropic.
//!
//! Owns the bytes, all of them made here. Refuses to know who reads them.

use bytes::Bytes;

/// The chain that the requests name.
pub const MODEL: &str = "default";

/// Lengths of requests: a question, a conversation, a conversation with documents in it.
pub const SIZES: [usize; 3] = [1 << 10, 100 << 10, 1 << 20];

/// Contents in a stream.
pub const CONTENTS: usize = 64;

/// A paragraph as it stands inside a JSON string: with escapes and with letters of more than one byte.
const TEXT: &str = r#"The gateway keeps several keys at hand \u2014 and says so:\n\n```rust\nlet key = \"first\";\n```\nWhen one fails, the next one is asked before the client has seen a byte. Größe und Reihenfolge stehen in der Konfiguration; what a vendor says of its limits is believed, within bounds. So the answer comes anyway, and nobody has to try again."#;

/// Turns of users and assistants in alternation, as many as make `bytes` with what stands around them; at least one.
fn turns(bytes: usize, around: usize, turn: impl Fn(bool) -> String) -> String {
    let mut all = turn(true);
    let mut user = false;
    while around + all.len() + TEXT.len() < bytes {
        all.push(',');
        all.push_str(&turn(user));
        user = !user;
    }
    all
}

const fn role(user: bool) -> &'static str {
    if user { "user" } else { "assistant" }
}

/// A streamed chat of about so many bytes. `more` are fields besides, each with its comma.
pub fn chat_request(bytes: usize, more: &str) -> Bytes {
    let before = format!(
        concat!(
            r#"{{"model":"{model}","stream":true,"stream_options":{{"include_usage":true}},"temperature":0.2,{more}"#,
            r#""max_completion_tokens":1024,"user":"u-17","messages":[{{"role":"system","content":"You answer."}},"#
        ),
        model = MODEL,
        more = more
    );
    let turns = turns(bytes, before.len(), |user| format!(r#"{{"role":"{}","content":"{TEXT}"}}"#, role(user)));
    Bytes::from(format!("{before}{turns}]}}"))
}

/// The same of Anthropic's Messages.
pub fn messages_request(bytes: usize) -> Bytes {
    let before = format!(
        concat!(
            r#"{{"model":"{model}","max_tokens":1024,"stream":true,"system":"You answer.","#,
            r#""metadata":{{"user_id":"u-17"}},"messages":["#
        ),
        model = MODEL
    );
    let turns = turns(bytes, before.len(), |user| {
        format!(r#"{{"role":"{}","content":[{{"type":"text","text":"{TEXT}"}}]}}"#, role(user))
    });
    Bytes::from(format!("{before}{turns}]}}"))
}

/// The same of OpenAI's Responses.
pub fn responses_request(bytes: usize) -> Bytes {
    let before = format!(
        concat!(
            r#"{{"model":"{model}","stream":true,"instructions":"You answer.","max_output_tokens":1024,"#,
            r#""user":"u-17","input":["#
        ),
        model = MODEL
    );
    let turns = turns(bytes, before.len(), |user| {
        let kind = if user { "input_text" } else { "output_text" };
        format!(r#"{{"role":"{}","content":[{{"type":"{kind}","text":"{TEXT}"}}]}}"#, role(user))
    });
    Bytes::from(format!("{before}{turns}]}}"))
}

/// One chunk of a chat's stream.
pub fn chat_chunk(delta: &str, finish: &str) -> Bytes {
    chat_event(&format!(
        r#""choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null"#
    ))
}

fn chat_event(rest: &str) -> Bytes {
    Bytes::from(format!(
        concat!(
            r#"data: {{"id":"chatcmpl-hot00000000000000000000001","object":"chat.completion.chunk","#,
            r#""created":1700000000,"model":"gpt-4o-2024-08-06","system_fingerprint":"fp_hot",{rest}}}"#,
            "\n\n"
        ),
        rest = rest
    ))
}

/// What comes before the first content of a chat.
pub fn chat_role() -> Bytes {
    chat_chunk(r#"{"role":"assistant","content":"","refusal":null}"#, "null")
}

/// The usual chunk: a word.
pub fn chat_word(number: usize) -> Bytes {
    chat_chunk(&format!(r#"{{"content":" word{number:04}"}}"#), "null")
}

/// A chunk whose text has escapes.
pub fn chat_escaped() -> Bytes {
    chat_chunk(r#"{"content":" it said:\n\n\"go"}"#, "null")
}

/// A piece of a tool call's arguments.
pub fn chat_tool_call() -> Bytes {
    chat_chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":\"Gr"}}]}"#, "null")
}

/// The events of a chat's stream, from the role to `[DONE]`.
pub fn chat_stream() -> Vec<Bytes> {
    let mut events = vec![chat_role()];
    events.extend((0..CONTENTS).map(chat_word));
    events.push(chat_chunk("{}", r#""stop""#));
    events.push(chat_event(r#""choices":[],"usage":{"prompt_tokens":256,"completion_tokens":64,"total_tokens":320}"#));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// One event of a Messages stream. `rest` are its fields behind the type.
pub fn messages_event(kind: &str, rest: &str) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{rest}}}\n\n"))
}

/// How a Messages stream begins.
pub fn messages_start() -> Bytes {
    messages_event(
        "message_start",
        concat!(
            r#","message":{"id":"msg_01hot0000000000000000001","type":"message","role":"assistant","#,
            r#""model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,"stop_sequence":null,"#,
            r#""usage":{"input_tokens":256,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"#,
            r#""output_tokens":1}}"#
        ),
    )
}

/// A block of text begins.
pub fn messages_text() -> Bytes {
    messages_event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#)
}

/// A block with a tool's call begins.
pub fn messages_tool() -> Bytes {
    messages_event(
        "content_block_start",
        r#","index":1,"content_block":{"type":"tool_use","id":"toolu_01hot000000001","name":"weather","input":{}}"#,
    )
}

/// The usual event: a word.
pub fn messages_word(number: usize) -> Bytes {
    let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":" word{number:04}"}}"#);
    messages_event("content_block_delta", &delta)
}

/// A piece of a tool's input.
pub fn messages_input() -> Bytes {
    let delta = r#","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"city\":\"Gr"}"#;
    messages_event("content_block_delta", delta)
}

/// What a Messages stream says before its first content.
pub fn messages_preamble() -> Vec<Bytes> {
    vec![messages_start(), messages_text(), messages_event("ping", "")]
}

/// The events of a Messages stream, from its start to its stop.
pub fn messages_stream() -> Vec<Bytes> {
    let mut events = messages_preamble();
    events.extend((0..CONTENTS).map(messages_word));
    events.push(messages_event("content_block_stop", r#","index":0"#));
    events.push(messages_event(
        "message_delta",
        r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":64}"#,
    ));
    events.push(messages_event("message_stop", ""));
    events
}

/// A piece of text in a stream of Responses.
pub fn responses_word(number: usize) -> Bytes {
    Bytes::from(format!(
        concat!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",",
            "\"sequence_number\":{number},\"item_id\":\"msg_hot0000000001\",\"output_index\":0,\"content_index\":0,",
            "\"delta\":\" word{number:04}\",\"logprobs\":[]}}\n\n"
        ),
        number = number
    ))
}

/// A whole answer of a chat.
pub fn chat_answer() -> Bytes {
    Bytes::from(format!(
        concat!(
            r#"{{"id":"chatcmpl-hot00000000000000000000001","object":"chat.completion","created":1700000000,"#,
            r#""model":"gpt-4o-2024-08-06","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","#,
            r#""refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"#,
            r#""usage":{{"prompt_tokens":256,"completion_tokens":42,"total_tokens":298,"#,
            r#""prompt_tokens_details":{{"cached_tokens":0}}}},"system_fingerprint":"fp_hot"}}"#
        ),
        text = TEXT
    ))
}

/// A whole answer of Messages.
pub fn messages_answer() -> Bytes {
    Bytes::from(format!(
        concat!(
            r#"{{"id":"msg_01hot0000000000000000001","type":"message","role":"assistant","#,
            r#""model":"claude-sonnet-4-5-20250929","content":[{{"type":"text","text":"{text}"}}],"#,
            r#""stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":256,"output_tokens":42}}}}"#
        ),
        text = TEXT
    ))
}
