//! The head of a request to `/v1/responses`.
//!
//! Owns the fields that chat does not have. The rest is [`openai_chat::request`](crate::dialect::openai_chat::request)'s.

use serde::Deserialize;

use super::input::{Marks, marks};
use crate::dialect::fields::{self, Raw, fields};
use crate::dialect::openai_chat::needs::{BYTES_PER_TOKEN, asks_for_schema, is_full_list};
use crate::dialect::openai_chat::request::{BadRequest, Head};
use crate::policy::capability::Needs;

fields! {
    /// The fields that say what is needed, as they stand in the body.
    struct Fields {
        input,
        instructions,
        tools,
        text,
        max_output_tokens,
        previous_response_id,
        conversation,
        prompt,
        background,
    }
}

/// Completes a head that was read as chat's, of the same body.
///
/// # Errors
/// A field of interest that stands there twice, and `background: true`: such a response is fetched later, from the one
/// account that has it.
#[inline(never)]
pub fn complete(head: &mut Head<'_>, body: &[u8]) -> Result<(), BadRequest> {
    let fields: Fields<'_> = fields::read(body)?;
    match fields.background.map(Raw::get) {
        None | Some("false" | "null") => {}
        Some("true") => {
            let message = "`background` is not served: a background response is fetched later from the account that has \
                           it, and this gateway has no GET /v1/responses/{id}";
            return Err(BadRequest::new(message, Some("background"), "background_not_served"));
        }
        Some(_) => return Err(BadRequest::wrong_type("background", "true or false")),
    }
    head.needs = needs(&fields);
    Ok(())
}

fn needs(fields: &Fields<'_>) -> Needs {
    let mut seen = Marks::default();
    for raw in [fields.input, fields.tools].into_iter().flatten() {
        seen |= marks(raw.get());
    }
    let kept = [fields.previous_response_id, fields.conversation, fields.prompt].into_iter().flatten();
    let stateful = seen.kept || kept.into_iter().any(|raw| !matches!(raw.get(), "null" | "\"\""));
    let bytes = fields::length([fields.input, fields.instructions, fields.tools]);
    Needs {
        vision: seen.image,
        tools: fields.tools.is_some_and(is_full_list),
        json_schema: fields.text.is_some_and(has_schema),
        // What is kept elsewhere or encoded says nothing about its tokens by its length.
        context_tokens: if seen.image || seen.opaque || stateful { 0 } else { bytes / BYTES_PER_TOKEN },
        max_output_tokens: fields.max_output_tokens.and_then(|raw| raw.get().parse().ok()),
        stateful,
        ..Needs::default()
    }
}

/// Whether `text.format` is a JSON schema.
fn has_schema(text: Raw<'_>) -> bool {
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(borrow, default)]
        format: Option<Raw<'a>>,
    }
    serde_json::from_str::<Text<'_>>(text.get()).is_ok_and(|text| text.format.is_some_and(asks_for_schema))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::openai_chat::request::read as read_head;
    use serde_json::{Value, json};

    fn read(body: &[u8]) -> Result<Head<'_>, BadRequest> {
        let mut head = read_head(body)?;
        complete(&mut head, body)?;
        Ok(head)
    }

    fn needs_of(more: &Value) -> Needs {
        let mut body = json!({ "model": "m", "input": "hi" });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let body = body.to_string();
        read(body.as_bytes()).map(|head| head.needs).unwrap_or_else(|error| unreachable!("{error:?}"))
    }

    #[test]
    fn what_a_request_needs() {
        assert_eq!(needs_of(&json!({})), Needs::default());
        let part = |part: Value| json!({ "input": [{ "role": "user", "content": [part] }] });
        let image = needs_of(&part(json!({ "type": "input_image", "image_url": "data:image/png;base64,AA" })));
        assert_eq!(image, Needs { vision: true, ..Needs::default() });
        let file = needs_of(&part(json!({ "type": "input_file", "file_data": "A".repeat(100) })));
        assert_eq!(file, Needs::default(), "encoded data is not measured");
        let function = json!({ "type": "function", "name": "f",
            "parameters": { "type": "object", "properties": { "file_id": { "type": "string" } } } });
        let tools = needs_of(&json!({ "tools": [function], "input": "x".repeat(800) }));
        assert!(tools.tools && !tools.stateful && tools.context_tokens > 100, "{tools:?}");
        assert!(!needs_of(&json!({ "tools": [] })).tools);
        let format = |kind: &str| json!({ "text": { "format": { "type": kind, "name": "n", "schema": {} } } });
        assert!(needs_of(&format("json_schema")).json_schema);
        assert!(!needs_of(&format("json_object")).json_schema);
        assert_eq!(needs_of(&json!({ "max_output_tokens": 7 })).max_output_tokens, Some(7));
    }

    #[test]
    fn what_one_account_keeps_is_told() {
        for more in [
            json!({ "previous_response_id": "resp_1" }),
            json!({ "conversation": "conv_1" }),
            json!({ "conversation": { "id": "conv_1" } }),
            json!({ "prompt": { "id": "pmpt_1" } }),
            json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }),
            json!({ "input": [{ "id": "msg_1" }] }),
            json!({ "input": [{ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA" }] }),
            json!({ "input": [{ "role": "user", "content": [{ "type": "input_file", "file_id": "file-1" }] }] }),
            json!({ "tools": [{ "type": "file_search", "vector_store_ids": ["vs_1"] }] }),
            json!({ "tools": [{ "type": "code_interpreter", "container": "cntr_1" }] }),
            json!({ "tools": [{ "type": "code_interpreter", "container": { "type": "auto", "file_ids": ["f"] } }] }),
        ] {
            assert!(needs_of(&more).stateful, "{more}");
        }
        for more in [
            json!({ "previous_response_id": null, "conversation": null, "prompt": null }),
            json!({ "input": [{ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": null }] }),
            json!({ "input": [{ "type": "message", "id": "msg_1", "role": "assistant", "content": "file_id" }] }),
            json!({ "input": [{ "type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}" }] }),
            json!({ "tools": [{ "type": "code_interpreter", "container": { "type": "auto" } }] }),
            json!({ "store": true, "include": ["reasoning.encrypted_content"] }),
        ] {
            assert!(!needs_of(&more).stateful, "{more}");
        }
    }

    #[test]
    fn what_is_hard_to_read_hides_nothing() {
        for odd in [r#""\ud83d""#, r#""\udc00\ud800""#, "1e999", "[-1e400]"] {
            let needs = |item: &str| {
                let tools = format!(r#"[{{"type":"function","parameters":{{"maximum":{odd}}}}}]"#);
                let body = format!(r#"{{"model":"m","tools":{tools},"input":[{{"content":{odd}}},{item}]}}"#);
                read(body.as_bytes()).map(|head| head.needs).unwrap_or_else(|error| unreachable!("{error:?}"))
            };
            assert!(needs(r#"{"type":"item_reference","id":"msg_1"}"#).stateful, "{odd}");
            let image = needs(r#"{"content":[{"type":"input_image","image_url":"data:image/png;base64,AA"}]}"#);
            assert!(image.vision && !image.stateful && image.context_tokens == 0, "{odd}: {image:?}");
            assert!(needs(r#"{"type":"input_file","file_data":"AA"}"#).context_tokens == 0, "{odd}");
            let plain = needs(r#"{"content":"hi"}"#);
            assert!(!plain.stateful && !plain.vision && plain.context_tokens > 0, "{odd}: {plain:?}");
        }
    }

    #[test]
    fn background_is_refused_and_the_rest_is_chats() {
        let code = |body: &str| read(body.as_bytes()).err().map(|error| error.code);
        assert_eq!(code(r#"{"model":"m","background":true}"#), Some("background_not_served"));
        assert_eq!(code(r#"{"model":"m","background":false}"#), None);
        assert_eq!(code(r#"{"model":"m","background":1}"#), Some("invalid_type"));
        assert_eq!(code(r#"{"model":"m","input":"a","input":"b"}"#), Some("duplicate_field"));
        assert_eq!(code("[]"), Some("invalid_json"));
    }
}
