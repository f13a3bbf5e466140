//! Marks behind which a prompt is cached.
//!
//! A mark becomes a `cachePoint` behind its block, for models that take one. Four are taken; of more, the last ones count,
//! because they stand for the longest prefixes. Nova takes none among tools. `1h` goes to the Claudes that keep a cache so
//! long, and is the usual five minutes elsewhere.

use super::model::Model;
use super::wire::CachePoint;
use crate::dialect::canonical::{Cache, Part, Rendered, Request};

/// As many are taken in a request.
const MOST: usize = 4;

/// The marks of one request, asked for in the prompt's order: tools, system, messages.
#[derive(Debug)]
pub(super) struct Marks {
    model: Model,
    /// So many of the first ones are left out.
    skip: usize,
}

impl Marks {
    /// Of a request, whose tools are sent or not.
    pub(super) fn of(request: &Request, model: Model, tools: bool) -> Self {
        let tools = request.tools.iter().filter(|tool| tools && model.caches_tools() && tool.cache.is_some()).count();
        let system = request.system.iter().filter(|text| text.cache.is_some()).count();
        let parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let all = tools + system + parts.filter(|part| mark(part).is_some()).count();
        Self { model, skip: all.saturating_sub(MOST) }
    }

    /// What stands behind a marked block.
    pub(super) fn take(&mut self, cache: Option<&Cache>, rendered: &mut Rendered) -> Option<CachePoint> {
        let cache = cache?;
        if self.skip > 0 || !self.model.caches {
            self.skip = self.skip.saturating_sub(1);
            rendered.drop("cache_control");
            return None;
        }
        let long = cache.ttl.as_deref() == Some("1h");
        let kept = self.model.caches_for_long();
        if long && !kept {
            rendered.drop("cache_control.ttl");
        }
        Some(CachePoint { r#type: "default", ttl: (long && kept).then_some("1h") })
    }

    /// As [`take`](Self::take), behind a tool.
    pub(super) fn take_tool(&mut self, cache: Option<&Cache>, rendered: &mut Rendered) -> Option<CachePoint> {
        if cache.is_some() && !self.model.caches_tools() {
            rendered.drop("cache_control");
            return None;
        }
        self.take(cache, rendered)
    }
}

/// The mark of a part, or one within it: behind a tool's result stands one for all of it.
pub(super) fn mark(part: &Part) -> Option<&Cache> {
    match part {
        Part::Text(text) => text.cache.as_ref(),
        Part::Image(image) => image.cache.as_ref(),
        Part::Document(document) => document.cache.as_ref(),
        Part::Call(call) => call.cache.as_ref(),
        Part::Result(result) => result.cache.as_ref().or_else(|| result.parts.iter().find_map(mark)),
        Part::Refusal(_) | Part::Audio { .. } | Part::Thinking { .. } | Part::Redacted { .. } => None,
    }
}
