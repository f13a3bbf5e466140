//! A configuration as text in each format, with the line of each place.
//!
//! Owns the writing. Refuses to know settings.

use std::collections::BTreeMap;

use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Format {
    Json5,
    Yaml,
    Toml,
}

pub const FORMATS: [Format; 3] = [Format::Json5, Format::Yaml, Format::Toml];

impl Format {
    pub const fn file(self) -> &'static str {
        match self {
            Self::Json5 => "conf/my.json5",
            Self::Yaml => "conf/my.yaml",
            Self::Toml => "conf/my.toml",
        }
    }
}

/// A text with the line of each place in it.
#[derive(Default)]
pub struct Rendered {
    pub text: String,
    pub lines: BTreeMap<Vec<String>, usize>,
}

impl Rendered {
    pub fn of(tree: &Value, format: Format) -> Self {
        let mut out = Self::default();
        match format {
            Format::Json5 => out.json5(tree, &mut Vec::new()),
            Format::Yaml => out.yaml(tree, &mut Vec::new()),
            Format::Toml => out.toml(tree, &mut Vec::new()),
        }
        out
    }

    fn note(&mut self, path: &[String]) {
        let line = self.text.matches('\n').count() + 1;
        self.lines.insert(path.to_vec(), line);
    }

    /// Everything below `path` stands in this line.
    fn note_all(&mut self, value: &Value, path: &mut Vec<String>) {
        self.note(path);
        for (name, inner) in children(value) {
            path.push(name);
            self.note_all(inner, path);
            path.pop();
        }
    }

    fn json5(&mut self, value: &Value, path: &mut Vec<String>) {
        let (open, close) = match value {
            Value::Object(_) => ("{ // {", "}"),
            Value::Array(_) => ("[ /* ] */", "]"),
            leaf => return self.text.push_str(&leaf.to_string()),
        };
        self.text.push_str(open);
        self.text.push('\n');
        for (name, inner) in children(value) {
            path.push(name.clone());
            self.note(path);
            if value.is_object() {
                self.text.push_str(&format!("{}:\n ", json!(name)));
            }
            self.json5(inner, path);
            path.pop();
            self.text.push_str(",\n");
        }
        self.text.push_str(close);
    }

    fn yaml(&mut self, value: &Value, path: &mut Vec<String>) {
        let indent = "  ".repeat(path.len());
        for (name, inner) in children(value) {
            path.push(name.clone());
            let head = if value.is_object() { format!("{indent}{}:", json!(name)) } else { format!("{indent}-") };
            self.text.push_str(&head);
            if value.is_object() && inner.is_object() && inner != &json!({}) {
                self.note(path);
                self.text.push_str(" # :\n");
                self.yaml(inner, path);
            } else {
                // JSON is YAML.
                self.note_all(inner, path);
                self.text.push_str(&format!(" {inner}\n"));
            }
            path.pop();
        }
    }

    fn toml(&mut self, value: &Value, path: &mut Vec<String>) {
        let fields = children(value);
        for (name, inner) in fields.iter().filter(|(_, inner)| !inner.is_object() && !inner.is_null()) {
            path.push(name.clone());
            self.note_all(inner, path);
            self.text.push_str(&format!("{} = {}\n", json!(name), in_toml(inner)));
            path.pop();
        }
        for (name, inner) in fields.iter().filter(|(_, inner)| inner.is_object()) {
            path.push(name.clone());
            let head: Vec<_> = path.iter().map(|name| json!(name).to_string()).collect();
            self.text.push_str("\n# [\n");
            self.note(path);
            self.text.push_str(&format!("[{}]\n", head.join(".")));
            self.toml(inner, path);
            path.pop();
        }
    }
}

/// A value within a line.
fn in_toml(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<_> = fields.map(|(name, value)| format!("{} = {}", json!(name), in_toml(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(in_toml).collect::<Vec<_>>().join(", ")),
        leaf => leaf.to_string(),
    }
}

pub fn children(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    }
}
