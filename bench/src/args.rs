//! The few command-line options of the bench binaries.
//!
//! Owns `--name value` pairs and what is left over. Refuses to know what they mean.

use std::collections::HashMap;

/// What went wrong, for `main` to show.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Options by name, and the words that are none.
#[derive(Debug, Default)]
pub struct Args {
    options: HashMap<String, String>,
    /// The words without a `--name` in front, in order.
    pub words: Vec<String>,
}

impl Args {
    /// What was given.
    ///
    /// # Errors
    /// An option without a value.
    pub fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, Error> {
        let mut args = Self::default();
        while let Some(word) = given.next() {
            match word.strip_prefix("--") {
                Some(name) => {
                    let value = given.next().ok_or_else(|| format!("--{name} needs a value"))?;
                    let values = args.options.entry(name.to_owned()).or_default();
                    if !values.is_empty() {
                        values.push('\n');
                    }
                    values.push_str(&value);
                }
                None => args.words.push(word),
            }
        }
        Ok(args)
    }

    /// Refuses options that are not among these, and words.
    ///
    /// # Errors
    /// The first of them.
    pub fn only(&self, names: &[&str]) -> Result<(), Error> {
        match self.options.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(format!("there is no --{name}: only --{}", names.join(", --")).into()),
            None if self.words.is_empty() => Ok(()),
            None => Err(format!("{:?} is no option", self.words[0]).into()),
        }
    }

    /// The value of an option, if it was given. One that was given more than once has a line for each.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The value of an option that must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn required(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| format!("--{name} is missing").into())
    }

    /// A whole number, or what it is when not given.
    ///
    /// # Errors
    /// It is no number.
    pub fn number(&self, name: &str, default: usize) -> Result<usize, Error> {
        match self.get(name) {
            Some(text) => text.parse().map_err(|_| format!("--{name} {text:?} is no whole number").into()),
            None => Ok(default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    #[test]
    fn options_and_words_come_apart() {
        let given = ["--url", "u", "plain:2", "--connections", "3"].map(str::to_owned);
        let args = Args::parse(given.into_iter()).unwrap();
        assert_eq!(args.required("url").unwrap(), "u");
        assert_eq!(args.number("connections", 1).unwrap(), 3);
        assert_eq!(args.words, ["plain:2"]);
        assert!(Args::parse(["--url".to_owned()].into_iter()).is_err());
        let twice = Args::parse(["--header", "a: 1", "--header", "b: 2"].map(str::to_owned).into_iter()).unwrap();
        assert_eq!(twice.get("header").unwrap().lines().collect::<Vec<_>>(), ["a: 1", "b: 2"]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let parse = |given: &[&str]| Args::parse(given.iter().map(|word| (*word).to_owned())).unwrap();
        assert!(parse(&["--a", "1"]).only(&["a", "b"]).is_ok());
        assert!(parse(&["--c", "1"]).only(&["a", "b"]).is_err());
        assert!(parse(&["word"]).only(&["a", "b"]).is_err());
    }
}
