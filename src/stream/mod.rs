//! Bodies in flight: the gate before the first content and the relay after it.

pub mod buffer;
mod cut;
pub mod ending;
pub mod gate;
mod joint;
pub mod relay;
pub mod spoken;
pub mod tap;
pub mod translated;

#[cfg(test)]
mod script;
