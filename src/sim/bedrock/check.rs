//! What Bedrock's Converse refuses, where a translation goes wrong easily: each with the service's own words.
//!
//! Pure. Owns those rules. Refuses to be complete: fields that it does not know pass.

use serde_json::Value;

use crate::sim::encode::is_base64;
use crate::sim::thinking;

/// Letters of a tool's name, of a call's id, of a document's name.
const LONGEST_NAME: usize = 64;
const LONGEST_ID: usize = 64;

/// A block, and where it stands.
#[derive(Clone, Copy)]
struct Block<'a> {
    message: usize,
    at: usize,
    value: &'a Value,
}

/// Why the service refuses the request, if it does.
pub(super) fn refusal(body: &Value) -> Option<String> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    fields(body)
        .or_else(|| tools(body))
        .or_else(|| order(messages))
        .or_else(|| blocks(messages).find_map(shape))
        .or_else(|| history(body, messages))
        .or_else(|| pairs(messages))
}

/// Whether the last message brings what a tool said.
pub(super) fn has_results(body: &Value) -> bool {
    let last = body["messages"].as_array().and_then(|messages| messages.last());
    last.is_some_and(|last| content(last).iter().any(|block| block.get("toolResult").is_some()))
}

/// Whether a part of the prompt is marked for the cache.
pub(super) fn has_cache_points(body: &Value) -> bool {
    let list = |place: &str| body.pointer(place).and_then(Value::as_array).into_iter().flatten();
    let said = list("/messages").flat_map(content);
    said.chain(list("/system")).chain(list("/toolConfig/tools")).any(|block| block.get("cachePoint").is_some())
}

fn content(message: &Value) -> &[Value] {
    message["content"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn blocks(messages: &[Value]) -> impl Iterator<Item = Block<'_>> {
    messages.iter().enumerate().flat_map(|(message, value)| {
        content(value).iter().enumerate().map(move |(at, value)| Block { message, at, value })
    })
}

/// The words of a constraint that AWS's model sets.
fn constraint(value: &str, place: &str, text: &str) -> String {
    format!(
        "1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: Member must {text}"
    )
}

fn fields(body: &Value) -> Option<String> {
    let config = &body["inferenceConfig"];
    let outside = |field: &str| config[field].as_f64().filter(|value| !(0.0..=1.0).contains(value));
    for field in ["temperature", "topP"] {
        if let Some(value) = outside(field) {
            let bound = if value < 0.0 { "greater than or equal to 0" } else { "less than or equal to 1" };
            return Some(constraint(
                &value.to_string(),
                &format!("inferenceConfig.{field}"),
                &format!("have value {bound}"),
            ));
        }
    }
    if config.get("maxTokens").is_some_and(|most| most.as_u64().is_none_or(|most| most == 0)) {
        let value = config["maxTokens"].to_string();
        return Some(constraint(&value, "inferenceConfig.maxTokens", "have value greater than or equal to 1"));
    }
    let system = body["system"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !body["system"].is_null() && !body["system"].is_array() {
        return Some("Expected array for field: system".to_owned());
    }
    let blank = |block: &Value| block["text"].as_str().is_some_and(|text| text.trim().is_empty());
    let at = system.iter().position(blank)?;
    Some(format!(
        "The text field in the SystemContentBlock object at system.{at} is blank. Add text to the text field, and try again."
    ))
}

fn tools(body: &Value) -> Option<String> {
    let config = body.get("toolConfig")?;
    let tools = config["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tools.is_empty() {
        return Some(constraint("[]", "toolConfig.tools", "have length greater than or equal to 1"));
    }
    tools.iter().enumerate().find_map(|(at, tool)| {
        let spec = tool.get("toolSpec")?;
        let place = |field: &str| format!("toolConfig.tools.{}.member.toolSpec.{field}", at + 1);
        let name = spec["name"].as_str().unwrap_or_default();
        if !is_word(name, "_-") {
            Some(constraint(name, &place("name"), "satisfy regular expression pattern: [a-zA-Z0-9_-]+"))
        } else if name.len() > LONGEST_NAME {
            Some(constraint(name, &place("name"), "have length less than or equal to 64"))
        } else if spec.get("description").is_some_and(|text| text == "") {
            Some(constraint("", &place("description"), "have length greater than or equal to 1"))
        } else if !spec.pointer("/inputSchema/json").is_some_and(Value::is_object) {
            Some(constraint("null", &place("inputSchema"), "not be null"))
        } else {
            let kind = &spec["inputSchema"]["json"]["type"];
            let text = format!("The value at toolConfig.tools.{at}.toolSpec.inputSchema.json.type must be one of the following: object.");
            (kind != "object").then_some(text)
        }
    })
}

fn order(messages: &[Value]) -> Option<String> {
    let role = |message: &Value| message["role"].as_str().unwrap_or_default().to_owned();
    let roles: Vec<String> = messages.iter().map(role).collect();
    if let Some(at) = roles.iter().position(|role| !matches!(role.as_str(), "user" | "assistant")) {
        let place = format!("messages.{}.member.role", at + 1);
        return Some(constraint(&roles[at], &place, "satisfy enum value set: [user, assistant]"));
    }
    if roles.first().is_none_or(|role| role != "user") {
        let text = "A conversation must start with a user message. Try again with a conversation that starts with a user message.";
        return Some(text.to_owned());
    }
    if roles.windows(2).any(|pair| pair[0] == pair[1]) {
        let text = "A conversation must alternate between user and assistant roles. Make sure the conversation alternates \
                    between user and assistant roles and try again.";
        return Some(text.to_owned());
    }
    let at = messages.iter().position(|message| content(message).is_empty())?;
    Some(format!(
        "The content field in the Message object at messages.{at} is empty. Add a ContentBlock object to the content field \
         and try again."
    ))
}

/// What a block may hold.
fn shape(Block { message, at, value }: Block<'_>) -> Option<String> {
    let here = format!("messages.{message}.content.{at}");
    let member = |field: &str| format!("messages.{}.member.content.{}.member.{field}", message + 1, at + 1);
    let fields = value.as_object().filter(|fields| fields.len() == 1);
    let Some((kind, block)) = fields.and_then(|fields| fields.iter().next()) else {
        return Some(format!(
            "The ContentBlock object at {here} must set one of the following keys: text, image, toolUse, …"
        ));
    };
    let id = |field: &str| {
        let id = block["toolUseId"].as_str().unwrap_or_default();
        let good = is_word(id, "_.:-") && id.len() <= LONGEST_ID;
        let text = "satisfy regular expression pattern: [a-zA-Z0-9_.:-]+ and have length less than or equal to 64";
        (!good).then(|| constraint(id, &member(field), text))
    };
    match kind.as_str() {
        "text" if block.as_str().is_none_or(|text| text.trim().is_empty()) => Some(format!(
            "The text field in the ContentBlock object at {here} is blank. Add text to the text field, and try again."
        )),
        "image" => picture(block, &here),
        "document" => document(block, &here),
        "toolUse" => {
            let name = block["name"].as_str().unwrap_or_default();
            let named = is_word(name, "_-") && name.len() <= LONGEST_NAME;
            let object = format!(
                "The format of the value at {here}.toolUse.input is invalid. Provide a json object for the field and try again."
            );
            id("toolUse.toolUseId")
                .or_else(|| {
                    (!named).then(|| {
                        constraint(name, &member("toolUse.name"), "satisfy regular expression pattern: [a-zA-Z0-9_-]+")
                    })
                })
                .or_else(|| (!block["input"].is_object()).then_some(object))
        }
        "toolResult" => id("toolResult.toolUseId").or_else(|| {
            let parts = block["content"].as_array().into_iter().flatten();
            let pictures = |part: &Value| part.get("image").and_then(|image| picture(image, &here));
            parts
                .filter(|part| !part.is_object())
                .map(|_| format!("Expected object at {here}.toolResult.content"))
                .next()
                .or_else(|| block["content"].as_array().into_iter().flatten().find_map(pictures))
        }),
        "reasoningContent" => {
            let text = block.pointer("/reasoningText/text").and_then(Value::as_str).unwrap_or_default();
            let signature = block.pointer("/reasoningText/signature").and_then(Value::as_str);
            let signed = signature.is_some_and(|signature| thinking::is_signed(text, signature));
            let text =
                format!("The model returned the following errors: {here}: Invalid `signature` in `thinking` block");
            (block.get("reasoningText").is_some() && !signed).then_some(text)
        }
        _ => None,
    }
}

fn picture(block: &Value, here: &str) -> Option<String> {
    let format = block["format"].as_str().unwrap_or_default();
    if !matches!(format, "png" | "jpeg" | "gif" | "webp") {
        return Some(constraint(
            format,
            &format!("{here}.image.format"),
            "satisfy enum value set: [png, jpeg, gif, webp]",
        ));
    }
    bytes(&block["source"], &format!("{here}.image.source"))
}

fn document(block: &Value, here: &str) -> Option<String> {
    let name = block["name"].as_str().unwrap_or_default();
    let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '-' | '(' | ')' | '[' | ']');
    if name.is_empty() || name.len() > 200 || !name.chars().all(good) || name.contains("  ") {
        return Some(format!(
            "The name field in the DocumentBlock object at {here}.document can only contain alphanumeric characters, \
             whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one \
             consecutive whitespace character. Update the name field and try again."
        ));
    }
    bytes(&block["source"], &format!("{here}.document.source"))
}

/// Bytes are base64, and there are some.
fn bytes(source: &Value, place: &str) -> Option<String> {
    let bytes = source.get("bytes")?;
    let good = bytes.as_str().is_some_and(|bytes| !bytes.is_empty() && is_base64(bytes));
    (!good).then(|| format!("The bytes field in the object at {place} is not base64. Provide bytes and try again."))
}

/// Blocks of tools need the tools, whoever called them.
fn history(body: &Value, messages: &[Value]) -> Option<String> {
    let of_tools = |block: Block<'_>| block.value.get("toolUse").is_some() || block.value.get("toolResult").is_some();
    let missing = body.get("toolConfig").is_none() && blocks(messages).any(of_tools);
    missing.then(|| "The toolConfig field must be defined when using toolUse and toolResult content blocks.".to_owned())
}

/// Every call has its result in the next message, every result its call in the one before.
fn pairs(messages: &[Value]) -> Option<String> {
    let ids = |message: Option<&Value>, kind: &str| -> Vec<String> {
        let blocks = message.map(content).unwrap_or_default().iter().filter_map(|block| block.get(kind));
        blocks.filter_map(|block| block["toolUseId"].as_str().map(str::to_owned)).collect()
    };
    messages.iter().enumerate().find_map(|(at, message)| {
        let before = at.checked_sub(1).and_then(|at| messages.get(at));
        let (called, results) = (ids(before, "toolUse"), ids(Some(message), "toolResult"));
        if results.iter().any(|id| !called.contains(id)) {
            return Some(format!(
                "The number of toolResult blocks at messages.{at}.content exceeds the number of toolUse blocks of previous turn."
            ));
        }
        let missing: Vec<String> = called.into_iter().filter(|id| !results.contains(id)).collect();
        (!missing.is_empty())
            .then(|| format!("Expected toolResult blocks at messages.{at}.content for the following Ids: {}", missing.join(", ")))
    })
}

/// Whether the text is letters, digits and `more`, at least one.
fn is_word(text: &str, more: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
}
