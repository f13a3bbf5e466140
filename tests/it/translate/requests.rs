//! Requests: each recorded one parsed, written for targets of every dialect, and read again.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use backstop::dialect::canonical::Cannot;
use serde_json::Value;

use super::Wire;
use super::asked::{Asked, Piece};
use super::plain_asked;
use super::targets::{self, Target};
use super::traffic::recorded;

/// What some targets cannot be asked: their models, why, and the requests.
const CANNOT: &[(&[&str], &str, &[&str])] = &[
    (
        &["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0"],
        "pictures by their address: Bedrock takes bytes only",
        &[
            "groq-vision-01",
            "llamacpp-err-500-02",
            "openai-chat-vision-01",
            "openai-chat-vision-02",
            "openai-err-400-08",
        ],
    ),
    (
        &["deepseek-chat"],
        "pictures: DeepSeek's models take none",
        &[
            "anthropic-vision-01",
            "anthropic-vision-02",
            "groq-vision-01",
            "llamacpp-err-500-02",
            "openai-chat-vision-01",
            "openai-chat-vision-02",
            "openai-err-400-08",
        ],
    ),
    (
        &["deepseek-chat"],
        "a schema of the answer: DeepSeek has none",
        &[
            "anthropic-schema-01",
            "llamacpp-err-400-03",
            "openai-chat-refusal-01",
            "openai-chat-refusal-02",
            "openai-chat-schema-01",
            "openai-chat-schema-02",
            "openai-err-400-09",
        ],
    ),
    (
        &["deepseek-chat", "llama-3.3-70b-versatile"],
        "documents: DeepSeek and Groq take none",
        &["anthropic-pdf-01", "openai-chat-cached-01"],
    ),
];

/// The turns, or else the rest, where they differ.
fn differ(expected: &Asked, got: &Asked) -> Option<String> {
    let bare = |asked: &Asked| Asked { turns: Vec::new(), ..asked.clone() };
    if bare(expected) != bare(got) {
        return Some(format!("\nexpected {:?}\ngot      {:?}", bare(expected), bare(got)));
    }
    let most = expected.turns.len().max(got.turns.len());
    let at = (0..most).find(|at| expected.turns.get(*at) != got.turns.get(*at))?;
    Some(format!("\nexpected {:?}\ngot      {:?}", expected.turns.get(at), got.turns.get(at)))
}

/// What is not as it was asked has to be told.
fn excuse(expected: &mut Asked, got: &Asked, dropped: &[Cow<'static, str>]) {
    let told = |name: &str| dropped.iter().any(|known| known == name);
    for (name, expected, got) in
        [("temperature", &mut expected.temperature, got.temperature), ("top_p", &mut expected.top_p, got.top_p)]
    {
        if told(name) {
            *expected = got;
        }
    }
    if told("top_k") {
        expected.top_k = got.top_k;
    }
    if told("parallel_tool_calls") {
        expected.parallel = got.parallel;
    }
    if told("stop") || told("stop_sequences") {
        expected.stop.clone_from(&got.stop);
    }
    if told("response_format") {
        expected.schema.clone_from(&got.schema);
    }
}

/// The tool that stands in for a schema is a schema.
fn without_stand_in(got: &mut Asked, tool: &str, expected: &Asked) -> Result<(), String> {
    let at = got.tools.iter().position(|offered| offered.name == tool).ok_or("the stand-in is not offered")?;
    let schema = got.tools.remove(at).schema;
    let any = serde_json::json!({ "type": "object", "properties": {} });
    got.schema = Some(if schema == any { Value::Bool(true) } else { schema });
    got.choice = expected.choice.clone();
    Ok(())
}

/// Where no tool is offered, Converse takes no blocks of tools: they become words.
fn in_words(asked: &Asked, written: &Value) -> Option<Result<(), String>> {
    let pieces = || asked.turns.iter().flat_map(|(_, pieces)| pieces);
    let of_tools = |piece: &&Piece| matches!(piece, Piece::Call(_) | Piece::Result { .. });
    if !asked.tools.is_empty() || !pieces().any(|piece| of_tools(&piece)) {
        return None;
    }
    let text = written.to_string();
    let lost = pieces().filter_map(|piece| match piece {
        Piece::Call(call) => (!text.contains(&call.name)).then(|| call.name.clone()),
        Piece::Result { parts, .. } => parts.iter().find_map(|part| match part {
            Piece::Text(said) => {
                let json = Value::from(said.as_str()).to_string();
                (!text.contains(json.trim_matches('"'))).then(|| said.clone())
            }
            _ => None,
        }),
        _ => None,
    });
    let lost: Vec<String> = lost.collect();
    Some(if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?} is not in {text}")) })
}

/// Writes what a body asks for a target and compares the meaning. `Ok(None)` if the target cannot be asked.
pub(super) fn carry(wire: Wire, body: &Value, target: Target) -> Result<Option<Value>, String> {
    let request = targets::parse(wire, body.to_string().as_bytes()).map_err(|bad| format!("{bad:?}"))?;
    let rendered = match target.render(&request) {
        Ok(rendered) => rendered,
        Err(Cannot::Lack(..)) => return Ok(None),
        Err(Cannot::Bad(bad)) => return Err(format!("{bad:?}")),
    };
    let written: Value = serde_json::from_slice(&rendered.body).map_err(|error| error.to_string())?;
    let mut expected = target.told(plain_asked::asked(wire, body));
    if target.wire == Wire::Converse
        && let Some(words) = in_words(&expected, &written)
    {
        return words.map(|()| Some(written));
    }
    let mut got = plain_asked::asked(target.wire, &written);
    target.unbridged(&mut expected);
    target.unbridged(&mut got);
    if let Some(tool) = &rendered.schema_tool {
        without_stand_in(&mut got, tool, &expected)?;
    }
    if target.wire == Wire::Converse {
        // It is in the path.
        expected.stream = false;
    }
    if expected.max_tokens.is_none() && target.wire != Wire::Chat {
        // It has to be said at Anthropic, and wherever there is a budget for thinking.
        expected.max_tokens = got.max_tokens;
    }
    excuse(&mut expected, &got, &rendered.dropped);
    differ(&expected.leveled(), &got.leveled()).map_or(Ok(()), Err)?;
    if target.wire == Wire::Converse {
        return Ok(Some(written));
    }
    // And the product reads it as it reads the first.
    let again = targets::parse(target.wire, &rendered.body).map_err(|bad| format!("again: {bad:?}"))?;
    let back = target.render(&again).map_err(|cannot| format!("again: {cannot:?}"))?;
    let back = plain_asked::asked(target.wire, &serde_json::from_slice(&back.body).map_err(|error| error.to_string())?);
    let first = plain_asked::asked(target.wire, &written);
    differ(&first.leveled(), &back.leveled()).map_or(Ok(Some(written)), |what| Err(format!("again: {what}")))
}

#[test]
fn every_recorded_request_asks_the_same_of_every_target() {
    let recorded = recorded();
    let mut refused: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for exchange in recorded.iter().filter(|exchange| exchange.wire != Wire::Converse) {
        let Some(body) = exchange.request.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok()) else {
            continue;
        };
        for target in targets::ALL {
            match carry(exchange.wire, &body, target) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    refused.entry(target.model).or_default().insert(&exchange.id);
                }
                // A vendor refused it, too.
                Err(_) if exchange.status != 200 => {}
                Err(what) => wrong.push(format!("{} for {}: {what}", exchange.id, target.model)),
            }
            seen += 1;
        }
    }
    println!("{seen} requests written");
    let shown = wrong.iter().take(12).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {seen} differ:\n{shown}", wrong.len());
    let mut listed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (models, _, ids) in CANNOT {
        for model in *models {
            listed.entry(model).or_default().extend(*ids);
        }
    }
    if seen > 0 {
        assert_eq!(refused, listed, "left: what cannot be asked, right: what is listed");
    }
}
