//! Fills the templates.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::error::PageError;
use super::scale::short as told;
use crate::report::short;

/// The templates, by the names that they call each other. What is filled into those that end in `.html` is escaped.
const TEMPLATES: [(&str, &str); 6] = [
    ("page.html", include_str!("templates/page.html")),
    ("figures.html", include_str!("templates/figures.html")),
    ("run.html", include_str!("templates/run.html")),
    ("sweep.html", include_str!("templates/sweep.html")),
    ("style.css", include_str!("templates/style.css")),
    ("sort.js", include_str!("templates/sort.js")),
];

/// The page that the template `name` makes of `content`.
///
/// # Errors
///
/// When a template is wrong.
pub(super) fn render(name: &str, content: &impl Serialize) -> Result<String, PageError> {
    let mut environment = Environment::new();
    // A misspelt name is an error.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = environment.syntax().to_builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.add_filter("count", short);
    environment.add_filter("told", told);
    environment.add_filter("digits", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment.add_filter("path", path);
    environment.add_filter("exponent", |value: f64| format!("{value:.0e}"));
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment.get_template(name)?.render(Serde(content))?)
}

/// The path of a file as a link: what has another meaning there is written by its code.
fn path(path: &str) -> String {
    let written = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b'=' | b',' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_its_file() {
        assert_eq!(path("a=1,b=Some(x)?#%/report.html"), "a=1,b=Some%28x%29%3F%23%25/report.html");
    }
}
