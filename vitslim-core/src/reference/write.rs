//! The reference as Markdown, and as text for a terminal.

use std::fmt::Write;

use super::language::WORDS;
use super::read::{Field, Reference, Section};

/// Columns of the text.
const WIDTH: usize = 80;

impl Reference {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from("# The experiment language\n\n");
        text.push_str("Made from the types of the runner by `vitslim schema --format markdown`.\n\n");
        text.push_str("| written | meaning |\n|---|---|\n");
        for (form, meaning) in WORDS {
            let _ = writeln!(text, "| `{form}` | {} |", cell(meaning));
        }
        for section in self.all() {
            let _ = write!(text, "\n## {}\n\n{}\n", section.title, section.meaning);
            table(&mut text, &section.fields);
            if section.variants.iter().all(|variant| variant.fields.is_empty())
                && !section.variants.is_empty()
            {
                text.push_str("\n| written | meaning |\n|---|---|\n");
                for variant in &section.variants {
                    let _ = writeln!(text, "| `{}` | {} |", variant.form, cell(&variant.meaning));
                }
                continue;
            }
            for variant in &section.variants {
                let _ = write!(text, "\n### `{}`\n\n{}\n", variant.form, variant.meaning);
                table(&mut text, &variant.fields);
            }
        }
        text
    }

    /// As text in 80 columns.
    pub fn text(&self) -> String {
        let mut text = String::new();
        paragraph(&mut text, 0, "The experiment language.");
        text.push('\n');
        for (form, meaning) in WORDS {
            paragraph(&mut text, 0, form);
            paragraph(&mut text, 4, meaning);
        }
        for section in self.all() {
            text.push('\n');
            paragraph(&mut text, 0, &section.title.to_uppercase());
            paragraph(&mut text, 0, &section.meaning);
            section.fields.iter().for_each(|field| entry(&mut text, 2, field));
            for variant in &section.variants {
                paragraph(&mut text, 2, &format!("{}  {}", variant.form, variant.meaning));
                variant.fields.iter().for_each(|field| entry(&mut text, 6, field));
            }
        }
        text
    }

    fn all(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().chain(&self.configurations)
    }
}

fn table(text: &mut String, fields: &[Field]) {
    if fields.is_empty() {
        return;
    }
    text.push_str("\n| field | type | unit | default | range | meaning |\n|---|---|---|---|---|---|\n");
    for field in fields {
        let or = |value: &Option<String>, none: &str| cell(value.as_deref().unwrap_or(none));
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            field.name,
            cell(&field.kind),
            or(&field.unit, ""),
            or(&field.default, "required"),
            or(&field.range, ""),
            cell(&field.meaning),
        );
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn entry(text: &mut String, indent: usize, field: &Field) {
    let mut told = vec![field.kind.replace('`', "")];
    told.extend(field.unit.as_ref().map(|unit| format!("in {unit}")));
    told.extend(field.range.clone());
    told.push(match &field.default {
        Some(default) => format!("default {}", default.replace('`', "")),
        None => "required".to_owned(),
    });
    paragraph(text, indent, &format!("{}: {}", field.name, told.join("; ")));
    paragraph(text, indent + 4, &field.meaning.replace('`', ""));
}

fn paragraph(text: &mut String, indent: usize, sentence: &str) {
    let margin = " ".repeat(indent);
    let below = " ".repeat(indent + 2);
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(&margin)
        .subsequent_indent(if indent == 0 { "" } else { &below })
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    text.push_str(&textwrap::fill(sentence, options));
    text.push('\n');
}
