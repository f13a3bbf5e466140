//! The tool that stands in for a JSON schema, where a vendor has no other way to promise a form: its input is the answer's text.
//!
//! Owns the way back, whole and in a stream. Refuses to know whose dialect it is.

use super::canonical::{Answer, Event, Part, Stop, Text};

/// The tool's input becomes the text, and its call the end.
pub(super) fn as_text(answer: &mut Answer, tool: &str) {
    let mut others = false;
    for part in &mut answer.parts {
        match part {
            Part::Call(call) if call.name == tool => *part = Part::Text(Text::new(call.object())),
            Part::Call(_) => others = true,
            _ => {}
        }
    }
    if answer.stop == Stop::Tools && !others {
        answer.stop = Stop::End;
    }
}

/// The tool that stands in for a schema, in a stream.
#[derive(Debug)]
pub(super) struct Schema {
    tool: String,
    /// Calls of other tools so far: they are counted anew, without a gap.
    calls: usize,
    /// The index of the call whose input is text.
    standing_in: Option<usize>,
}

impl Schema {
    pub(super) const fn new(tool: String) -> Self {
        Self { tool, calls: 0, standing_in: None }
    }

    /// The event with the stand-in's input as text; `None` if nothing is left of it.
    pub(super) fn replace<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        match event {
            Event::Call { index, name, .. } if name == self.tool.as_str() => {
                self.standing_in = Some(index);
                None
            }
            Event::Call { id, name, signature, .. } => {
                let index = self.calls;
                self.calls += 1;
                Some(Event::Call { index, id, name, signature })
            }
            Event::Input { index, json } if Some(index) == self.standing_in => Some(Event::Text(json)),
            Event::Input { index, json } => {
                let before = usize::from(self.standing_in.is_some_and(|at| at < index));
                Some(Event::Input { index: index - before, json })
            }
            Event::Finish { stop: Stop::Tools, sequence } if self.calls == 0 && self.standing_in.is_some() => {
                Some(Event::Finish { stop: Stop::End, sequence })
            }
            other => Some(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(index: usize, name: &'static str) -> Event<'static> {
        Event::Call { index, id: "c".into(), name: name.into(), signature: None }
    }

    fn input(index: usize) -> Event<'static> {
        Event::Input { index, json: "{}".into() }
    }

    #[test]
    fn the_stand_in_becomes_text_and_the_other_calls_leave_no_gap() {
        let mut schema = Schema::new("answer".to_owned());
        assert_eq!(schema.replace(call(0, "answer")), None);
        assert_eq!(schema.replace(input(0)), Some(Event::Text("{}".into())));
        let finish = Event::Finish { stop: Stop::Tools, sequence: None };
        assert_eq!(schema.replace(finish.clone()), Some(Event::Finish { stop: Stop::End, sequence: None }));
        assert_eq!(schema.replace(call(1, "look")), Some(call(0, "look")));
        assert_eq!(schema.replace(input(1)), Some(input(0)));
        assert_eq!(schema.replace(finish.clone()), Some(finish));
    }
}
