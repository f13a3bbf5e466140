//! A canonical request becomes Bedrock's.
//!
//! What could not be carried is named in [`Rendered::dropped`]; what would be refused and does not matter is left out, so
//! that a fallback to Bedrock answers.

use super::cache::Marks;
use super::content::Content;
use super::model::Model;
use super::thinking::{Place, sample, think};
use super::tools;
use super::wire::{Block, Body, Message, System, Typed};
use crate::dialect::canonical::{Cannot, Part, Profile, Rendered, Request, Role};
use crate::dialect::openai_chat::request::BadRequest;

/// The longest value in `requestMetadata`.
const VALUE_LIMIT: usize = 256;

/// Writes a request for a target.
///
/// # Errors
/// It holds what no target of this dialect takes.
pub fn request(request: &Request, profile: &Profile<'_>) -> Result<Rendered, Cannot> {
    let model = Model::of(profile.model);
    let mut rendered = Rendered::default();
    let mut marks = Marks::of(request, model, tools::are_offered(request));
    let offer = tools::offer(request, profile, model, &mut marks, &mut rendered)?;
    let in_words = offer.config.is_none() && has_tool_blocks(request);
    let place = Place { profile, model, forced: offer.is_forced(), in_words };
    let mut body = Body { tool_config: offer.config, output_config: offer.output, ..Body::default() };
    body.additional_model_request_fields.tool_choice = offer.one_call;
    body.inference_config.max_tokens = profile.max_tokens(request, &mut rendered);
    let thinks = think(request, place, &mut body, &mut rendered);
    sample(request, model, thinks, &mut body, &mut rendered);
    body.system = system(request, &mut marks, &mut rendered);
    body.messages = Content::new(place, thinks, &mut marks, &mut rendered).messages(request)?;
    if body.messages.is_empty() {
        body.messages = instructions_only(std::mem::take(&mut body.system))?;
    }
    body.inference_config.stop_sequences = stop_sequences(request, model, &mut rendered);
    if model.claude().is_some() && !body.inference_config.stop_sequences.is_empty() {
        // Which of them it was, Claude says and Converse does not, unless it is asked.
        let path = if request.stream { "/delta/stop_sequence" } else { "/stop_sequence" };
        body.additional_model_response_field_paths.push(path);
    }
    label(request, &mut body, &mut rendered);
    for what in &request.uncarried {
        rendered.drop(what.clone());
    }
    // Writing to memory fails for nothing that is in here.
    rendered.body = serde_json::to_vec(&body).unwrap_or_default();
    Ok(rendered)
}

fn has_tool_blocks(request: &Request) -> bool {
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    parts.any(|part| matches!(part, Part::Call(_) | Part::Result(_)))
}

fn system<'a>(request: &'a Request, marks: &mut Marks, rendered: &mut Rendered) -> Vec<System<'a>> {
    let mut system = Vec::new();
    for text in request.system.iter().filter(|text| !text.text.trim().is_empty()) {
        system.push(System::Text(&text.text));
        system.extend(marks.take(text.cache.as_ref(), rendered).map(System::CachePoint));
    }
    system
}

/// Bedrock wants a message. A request that is all instructions is sent as what the user says.
fn instructions_only(system: Vec<System<'_>>) -> Result<Vec<Message<'_>>, Cannot> {
    let block = |part| match part {
        System::Text(text) => Block::Text(text.into()),
        System::CachePoint(point) => Block::CachePoint(point),
    };
    let content: Vec<Block<'_>> = system.into_iter().map(block).collect();
    if content.is_empty() {
        let wanted = "a list with at least one message that says something";
        return Err(BadRequest::wrong_type("messages", wanted).into());
    }
    Ok(vec![Message { role: Role::User, content }])
}

/// Claude refuses texts of blanks only, and nobody takes an empty one.
fn stop_sequences<'a>(request: &'a Request, model: Model, rendered: &mut Rendered) -> Vec<&'a str> {
    let blank = |text: &str| if model.claude().is_some() { text.trim().is_empty() } else { text.is_empty() };
    let taken: Vec<&str> = request.stop.iter().map(String::as_str).filter(|text| !blank(text)).collect();
    if taken.len() < request.stop.len() {
        rendered.drop("stop");
    }
    taken
}

/// Who asks, and how urgently.
fn label<'a>(request: &'a Request, body: &mut Body<'a>, rendered: &mut Rendered) {
    if let Some(user) = &request.user {
        // Whatever is outside of AWS's pattern would be refused; what is left still tells users apart.
        let fits = |letter: char| letter.is_ascii_alphanumeric() || " :_@$#=/+,-.".contains(letter);
        let value: String =
            user.chars().take(VALUE_LIMIT).map(|letter| if fits(letter) { letter } else { '_' }).collect();
        if value.trim().is_empty() {
            rendered.drop("user");
        } else {
            body.request_metadata.insert("user", value);
        }
    }
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some("standard_only") => body.service_tier = Some(Typed { r#type: "default" }),
        Some(tier @ ("default" | "flex" | "priority" | "reserved")) => body.service_tier = Some(Typed { r#type: tier }),
        Some(_) => rendered.drop("service_tier"),
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
