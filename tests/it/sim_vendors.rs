//! What Anthropic, Bedrock, Azure and Mistral do that OpenAI does not, as the simulator does it: refusals, errors, tools,
//! thinking, keys and paths.

use backstop::sim::{Dialect, Script, Sim};
use serde_json::{Value, json};

use super::sim::{Heard, sim_of};
use super::sim_streams::{Events, ask};

const BOTH: [Dialect; 2] = [Dialect::Anthropic, Dialect::Bedrock];

fn json_of(heard: &Heard) -> Value {
    serde_json::from_str(&heard.body()).unwrap_or_else(|error| panic!("{error}: {}", heard.text()))
}

/// Status and JSON body of a POST by an ordinary client, with these headers.
async fn post(sim: &Sim, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{}{path}", sim.addr())).json(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Two tools of that dialect, the second one chosen if `forced`.
fn tools(dialect: Dialect, forced: bool) -> Value {
    let schema =
        json!({ "type": "object", "properties": { "city": { "type": "string" }, "days": { "type": "integer" } } });
    let names = ["weather", "time"];
    match dialect {
        Dialect::Bedrock => {
            let spec = |name: &str| json!({ "toolSpec": { "name": name, "inputSchema": { "json": schema } } });
            let mut config = json!({ "tools": names.map(spec) });
            if forced {
                config["toolChoice"] = json!({ "tool": { "name": "time" } });
            }
            json!({ "toolConfig": config })
        }
        Dialect::Anthropic | Dialect::OpenAi => {
            let mut body = json!({ "tools": names.map(|name| json!({ "name": name, "input_schema": schema })) });
            if forced {
                body["tool_choice"] = json!({ "type": "tool", "name": "time" });
            }
            body
        }
    }
}

#[tokio::test]
async fn tools_are_called_with_example_arguments() {
    let sim = sim_of("[]");
    for dialect in BOTH {
        for (forced, name) in [(false, "weather"), (true, "time")] {
            let plain = json_of(&ask(&sim, dialect, false, &tools(dialect, forced)).await);
            let (call, reason) = match dialect {
                Dialect::Bedrock => (&plain["output"]["message"]["content"][0]["toolUse"], &plain["stopReason"]),
                Dialect::Anthropic | Dialect::OpenAi => (&plain["content"][0], &plain["stop_reason"]),
            };
            assert_eq!((&call["name"], reason), (&json!(name), &json!("tool_use")), "{plain}");
            assert_eq!(call["input"], json!({ "city": "sim", "days": 1 }));

            let heard = ask(&sim, dialect, true, &tools(dialect, forced)).await;
            let events = Events::of(dialect, &heard);
            let place = if dialect == Dialect::Bedrock { "toolUse/input" } else { "partial_json" };
            let parts = events.deltas(place);
            assert!(parts.len() > 3 && parts[0].is_empty(), "the first fragment is empty: {parts:?}");
            assert_eq!(serde_json::from_str::<Value>(&parts.concat()).unwrap(), call["input"]);
            let starts = |(event, data): &&(String, Value)| event.ends_with("tart") && data.to_string().contains(name);
            assert_eq!(events.named.iter().filter(starts).count(), 1, "{:?}", events.names());
        }
    }
}

#[tokio::test]
async fn a_tools_result_is_answered_with_text() {
    let sim = sim_of("[]");
    let call = json!([{ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": {} }]);
    let result = json!([{ "type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny" }]);
    let mut body = tools(Dialect::Anthropic, false);
    body["messages"] = json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": call },
        { "role": "user", "content": result }]);
    let answer = json_of(&ask(&sim, Dialect::Anthropic, false, &body).await);
    assert_eq!((&answer["stop_reason"], &answer["content"][0]["type"]), (&json!("end_turn"), &json!("text")));

    let call = json!([{ "toolUse": { "toolUseId": "tooluse_1", "name": "weather", "input": {} } }]);
    let result = json!([{ "toolResult": { "toolUseId": "tooluse_1", "content": [{ "text": "sunny" }] } }]);
    let mut body = tools(Dialect::Bedrock, false);
    body["messages"] = json!([{ "role": "user", "content": [{ "text": "hi" }] },
        { "role": "assistant", "content": call }, { "role": "user", "content": result }]);
    let answer = json_of(&ask(&sim, Dialect::Bedrock, false, &body).await);
    assert_eq!(answer["stopReason"], "end_turn", "{answer}");
}

#[tokio::test]
async fn schemas_are_followed_and_cached_prompts_counted() {
    let sim = sim_of("[]");
    let schema = json!({ "type": "object", "properties": { "n": { "type": "number" } } });
    let body = json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } },
        "system": [{ "type": "text", "text": "Be brief.", "cache_control": { "type": "ephemeral" } }] });
    let answer = json_of(&ask(&sim, Dialect::Anthropic, false, &body).await);
    assert_eq!(answer["content"][0]["text"], "{\"n\":1}");
    let counts = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    assert!(counts.iter().all(|count| answer["usage"][count].as_u64() > Some(0)), "{answer}");

    let format = json!({ "type": "json_schema", "structure": { "jsonSchema": { "schema": schema.to_string() } } });
    let body = json!({ "outputConfig": { "textFormat": format },
        "system": [{ "text": "Be brief." }, { "cachePoint": { "type": "default" } }] });
    let answer = json_of(&ask(&sim, Dialect::Bedrock, false, &body).await);
    assert_eq!(answer.pointer("/output/message/content/0/text"), Some(&json!("{\"n\":1}")));
    let count = |name: &str| answer["usage"][name].as_u64().unwrap();
    let parts = ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"].map(count);
    assert!(parts.iter().all(|part| *part > 0) && parts.iter().sum::<u64>() == count("totalTokens"), "{answer}");
}

#[tokio::test]
async fn thinking_comes_first_and_only_its_own_signature_is_taken_back() {
    let sim = sim_of("[]");
    let wish = json!({ "type": "enabled", "budget_tokens": 1_024 });
    let body = json!({ "thinking": wish });
    let block = json_of(&ask(&sim, Dialect::Anthropic, false, &body).await)["content"][0].take();
    let events = Events::of(Dialect::Anthropic, &ask(&sim, Dialect::Anthropic, true, &body).await);
    assert_eq!(json!(events.deltas("thinking").concat()), block["thinking"]);
    assert_eq!(json!(events.deltas("signature").concat()), block["signature"]);
    assert_eq!(events.names().iter().filter(|name| **name == "content_block_start").count(), 2);

    let body = json!({ "additionalModelRequestFields": { "thinking": wish } });
    let answer = json_of(&ask(&sim, Dialect::Bedrock, false, &body).await);
    let reasoning = &answer["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"];
    assert_eq!((&reasoning["text"], &reasoning["signature"]), (&block["thinking"], &block["signature"]));
    let events = Events::of(Dialect::Bedrock, &ask(&sim, Dialect::Bedrock, true, &body).await);
    assert_eq!(json!(events.deltas("reasoningContent/signature").concat()), block["signature"]);
    assert!(!events.names().contains(&"contentBlockStart"), "only tools begin with one");

    let mut changed = block.clone();
    changed["thinking"] = "Something else.".into();
    for (block, status) in [(block, 200), (changed, 400)] {
        let text = json!({ "type": "text", "text": "x" });
        let history = json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": [block, text] },
            { "role": "user", "content": "and?" }]);
        let heard = ask(&sim, Dialect::Anthropic, false, &json!({ "messages": history })).await;
        assert!(heard.head().starts_with(&format!("http/1.1 {status}")), "{}", heard.text());
        assert_eq!(heard.text().contains("Invalid `signature` in `thinking` block"), status == 400);
    }
}

/// A fault, and what each vendor says: status, type or exception, a part of the head.
#[tokio::test]
async fn errors_are_told_in_the_vendors_own_words() {
    for (fault, anthropic, bedrock) in [
        (
            "status: 401",
            (401, "authentication_error", "x-should-retry: false"),
            (401, "UnrecognizedClientException", ""),
        ),
        ("error: 'invalid_api_key'", (401, "authentication_error", ""), (403, "UnrecognizedClientException", "")),
        ("status: 403", (403, "permission_error", ""), (403, "AccessDeniedException", "")),
        ("status: 404", (404, "not_found_error", ""), (404, "ResourceNotFoundException", "")),
        ("error: 'model_not_found'", (404, "not_found_error", ""), (400, "ValidationException", "")),
        ("status: 413", (413, "request_too_large", ""), (413, "ValidationException", "")),
        ("error: 'prompt_too_long'", (400, "invalid_request_error", ""), (400, "ValidationException", "")),
        (
            "error: 'credit_balance_too_low'",
            (400, "invalid_request_error", ""),
            (400, "ServiceQuotaExceededException", ""),
        ),
        ("status: 402", (402, "billing_error", ""), (402, "ServiceQuotaExceededException", "")),
        ("status: 408", (408, "timeout_error", ""), (408, "ModelTimeoutException", "")),
        ("status: 424", (424, "api_error", ""), (424, "ModelErrorException", "")),
        (
            "status: 429, retry_after: 7",
            (429, "rate_limit_error", "anthropic-ratelimit-requests-remaining: 0"),
            (429, "ThrottlingException", "retry-after: 7"),
        ),
        ("error: 'rate_limit_error'", (429, "rate_limit_error", ""), (429, "ThrottlingException", "")),
        ("error: 'ModelNotReadyException'", (529, "overloaded_error", ""), (429, "ModelNotReadyException", "")),
        ("status: 500", (500, "api_error", ""), (500, "InternalServerException", "x-amzn-requestid: 0000")),
        ("status: 503", (503, "api_error", ""), (503, "ServiceUnavailableException", "")),
        ("status: 529", (529, "overloaded_error", "request-id: req_"), (529, "ServiceUnavailableException", "")),
        ("error: 'expiredTokenException'", (401, "authentication_error", ""), (403, "ExpiredTokenException", "")),
        ("error: 'odd_error', status: 418", (418, "odd_error", ""), (418, "odd_error", "")),
    ] {
        let sim = sim_of(&format!("[{{ fault: {{ {fault} }} }}]"));
        for (dialect, (status, kind, part)) in [(Dialect::Anthropic, anthropic), (Dialect::Bedrock, bedrock)] {
            let heard = ask(&sim, dialect, true, &json!({})).await;
            let (head, body) = (heard.head(), json_of(&heard));
            assert!(head.starts_with(&format!("http/1.1 {status} ")), "{fault}: {head}");
            assert!(head.contains(part), "{fault}: {head}");
            match dialect {
                Dialect::Bedrock => {
                    let named = format!("x-amzn-errortype: {}:", kind.to_ascii_lowercase());
                    assert!(head.contains(&named) && body["message"].is_string(), "{fault}: {}", heard.text());
                }
                Dialect::Anthropic | Dialect::OpenAi => {
                    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{fault}");
                    assert!(body["request_id"].is_string(), "{fault}: {body}");
                }
            }
        }
    }
}

#[tokio::test]
async fn rules_know_signers_by_their_access_key_and_models_by_their_path() {
    let script = "{ keys: { Primary: 'AKIDFIRST' }, rules: [
        { match: { key: 'Primary' }, fault: { status: 503 } }, { match: { model: 'm:0' }, fault: { status: 500 } }] }";
    let sim = sim_of(script);
    let signed =
        |key: &str| format!("AWS4-HMAC-SHA256 Credential={key}/20260101/eu-west-1/bedrock/aws4_request, Signature=0");
    let body = json!({ "messages": [{ "role": "user", "content": [{ "text": "hi" }] }] });
    let mut statuses = Vec::new();
    for (key, model) in [("AKIDFIRST", "x"), ("AKIDOTHER", "x"), ("AKIDOTHER", "m%3A0")] {
        let headers =
            [("authorization", &*signed(key)), ("x-amz-security-token", "tok"), ("x-amz-date", "20260101T000000Z")];
        statuses.push(post(&sim, &format!("/aws/model/{model}/converse"), &headers, &body).await.0);
    }
    assert_eq!(statuses, [503, 200, 500]);
    let recorded = &sim.requests()[0];
    assert_eq!(
        (recorded.key.as_str(), recorded.model.as_str(), recorded.path.as_str()),
        ("AKIDFIRST", "x", "/aws/model/x/converse")
    );
    assert_eq!(recorded.headers["x-amz-security-token"], "tok");
    assert_eq!(recorded.headers["x-amz-date"], "20260101T000000Z");
    assert_eq!(recorded.headers["authorization"], signed("AKIDFIRST").as_str());
    assert!(recorded.headers["x-amz-security-token"].is_sensitive());
    let rows = sim.stats().slots;
    let rows: Vec<_> = rows.iter().map(|slot| (slot.key.as_str(), slot.model.as_str(), slot.counts.answered)).collect();
    assert_eq!(rows, [("Primary", "x", 0), ("THER", "m:0", 0), ("THER", "x", 1)]);
}

#[tokio::test]
async fn tokens_are_counted_for_anthropic() {
    let sim = Sim::start(Script::default()).unwrap();
    let headers = [("x-api-key", "k"), ("anthropic-version", "2023-06-01"), ("anthropic-beta", "a,b")];
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let (status, answer) = post(&sim, "/one/v1/messages/count_tokens?beta=true", &headers, &body).await;
    assert!(status == 200 && answer["input_tokens"].as_u64() > Some(0), "{answer}");
    assert_eq!(sim.requests()[0].headers["anthropic-beta"], "a,b");
}

#[tokio::test]
async fn azure_names_its_model_in_the_path_and_mistral_is_strict_about_ids() {
    let sim = sim_of("[]");
    let body = json!({ "messages": [{ "role": "user", "content": "hi" }] });
    let key = [("api-key", "azure-key-1")];
    let path = "/azure/openai/deployments/my-gpt/chat/completions";
    let (status, answer) = post(&sim, &format!("{path}?api-version=2024-10-21"), &key, &body).await;
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    assert!(status == 200 && text.starts_with("I am azure/my-gpt with key ...ey-1."), "{answer}");
    assert_eq!(post(&sim, path, &key, &body).await.0, 404, "no api-version");
    let mut body = json!({ "model": "g", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(post(&sim, "/azure/openai/v1/chat/completions", &key, &body).await.0, 200);

    for (id, status) in [("call_abc", 400), ("sim000001", 200)] {
        let call = json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
        body["messages"] =
            json!([{ "role": "assistant", "tool_calls": [call] }, { "role": "tool", "tool_call_id": id }]);
        let (answered, answer) = post(&sim, "/mistral/v1/chat/completions", &[], &body).await;
        assert_eq!(answered, status, "{answer}");
        assert_eq!(answer["code"] == "3280", status == 400);
    }
}
