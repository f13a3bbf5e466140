//! Files of a configuration: the configuration itself, and secrets that stand in files of their own.
//!
//! Owns reading, with bounds on what is read. Refuses to know what a file says; its complaints name paths and numbers,
//! never contents.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::problem::holds_key;

/// A configuration that is longer is something else. In bytes.
const LONGEST_CONFIGURATION: usize = 1 << 20;

/// A secret that is longer is something else. In bytes.
const LONGEST_SECRET: usize = 16 << 10;

/// Why a file could not be used, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) what: String,
    pub(super) hint: Option<String>,
    /// The line where the text stops being one.
    pub(super) line: Option<usize>,
}

impl Unusable {
    fn new(what: impl Into<String>, hint: &str) -> Self {
        Self { what: what.into(), hint: Some(hint.to_owned()), line: None }
    }
}

/// The text of a configuration, without a byte order mark.
pub(super) fn configuration(path: &Path) -> Result<String, Unusable> {
    let bytes = bounded(path, LONGEST_CONFIGURATION).map_err(|error| match error {
        Unread::Io(ErrorKind::NotFound) => Unusable::new(
            "the file cannot be read: there is none",
            "check the path given by --config or BACKSTOP_CONFIG",
        ),
        Unread::Io(ErrorKind::PermissionDenied) => {
            Unusable::new("the file cannot be read: permission denied", "let the user that runs backstop read it")
        }
        Unread::Io(kind) => Unusable { what: format!("the file cannot be read: {kind}"), hint: None, line: None },
        Unread::Directory => Unusable::new("this is a directory", "name the file in it: --config DIR/backstop.json5"),
        Unread::TooLong => Unusable::new("the file is longer than 1 MiB", "this is probably not the configuration"),
    })?;
    let text = text(bytes)?;
    // As old editors leave it.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Unusable::new("the file is empty", "config/backstop.json5 of the sources shows every setting"));
    }
    Ok(text)
}

/// The secret that a file holds, without the white space that editors and shells leave around it.
pub(super) fn secret(path: &Path) -> Result<String, Unusable> {
    read_secret(path).map_err(|unusable| {
        let hint = "a key is written by itself, without `file:` and in a variable without `_FILE`";
        if is_key(path) { Unusable::new(NO_PATH, hint) } else { unusable }
    })
}

/// What is said of a secret where a path belongs.
pub(super) const NO_PATH: &str = "this looks like a key, not a path";

/// Whether a path that leads nowhere is more likely a key.
pub(super) fn is_key(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let random = |part: &str| {
        let has = |kind: fn(&u8) -> bool| part.as_bytes().iter().any(kind);
        let letters = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        part.len() >= 20 && !part.contains('.') && letters && has(u8::is_ascii_digit)
    };
    holds_key(&text) || text.split('/').any(random)
}

fn read_secret(path: &Path) -> Result<String, Unusable> {
    let shown = path.display();
    // Opening a pipe would wait for whoever writes into it.
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return Err(Unusable::new(format!("{shown} is not a regular file"), "name a file that holds the key"));
    }
    let bytes = bounded(path, LONGEST_SECRET).map_err(|error| match error {
        Unread::Io(ErrorKind::NotFound) => Unusable::new(
            format!("there is no file {shown}"),
            "create it or correct the path; relative paths begin at the configuration's directory",
        ),
        Unread::Io(ErrorKind::PermissionDenied) => Unusable::new(
            format!("{shown} cannot be read: permission denied"),
            "let the user that runs backstop read it",
        ),
        Unread::Io(kind) => Unusable { what: format!("{shown} cannot be read: {kind}"), hint: None, line: None },
        Unread::Directory => Unusable::new(format!("{shown} is a directory"), "name the file in it"),
        Unread::TooLong => {
            Unusable::new(format!("{shown} is longer than 16 KiB"), "a file holds one key and nothing else")
        }
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Unusable::new(format!("{shown} is not UTF-8"), "a file holds one key and nothing else"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
    if text.is_empty() {
        return Err(Unusable::new(format!("{shown} is empty"), "write the key into it"));
    }
    Ok(text.to_owned())
}

/// Why no bytes came.
enum Unread {
    Io(ErrorKind),
    Directory,
    TooLong,
}

fn bounded(path: &Path, longest: usize) -> Result<Vec<u8>, Unread> {
    let io = |error: std::io::Error| Unread::Io(error.kind());
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(Unread::Directory);
    }
    let mut bytes = Vec::new();
    // What is no regular file has no honest length.
    let limit = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() > longest { Err(Unread::TooLong) } else { Ok(bytes) }
}

fn text(bytes: Vec<u8>) -> Result<String, Unusable> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        Unusable {
            what: format!("the file is not UTF-8 (from line {line} on)"),
            hint: Some("save it as UTF-8".to_owned()),
            line: Some(line),
        }
    })
}
