//! Strings and characters: the tokens with quotes.

use super::lex::{Kind, Lexer};

impl Lexer<'_> {
    /// Raw strings, raw identifiers, bytes: what a letter and a quote or a hash begin.
    pub(super) fn prefixed(&mut self, c: char) -> Option<Kind> {
        let start = self.at;
        let after = self.rest().trim_start_matches(['b', 'r']);
        let letters = self.rest().len() - after.len();
        let hashes = after.len() - after.trim_start_matches('#').len();
        let prefix = self.rest()[..letters].to_owned();
        let opened = after[hashes..].chars().next();
        let raw = matches!(prefix.as_str(), "r" | "br");
        if c != 'b' && c != 'r' {
            None
        } else if prefix == "r" && hashes == 1 && opened.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 2;
            self.skip_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'));
            Some(Kind::Ident)
        } else if raw && opened == Some('"') {
            self.at += letters + hashes + 1;
            let closing = format!("\"{}", "#".repeat(hashes));
            let Some(length) = self.rest().find(&closing) else {
                self.at = self.source.text().len();
                let message = format!("this raw string is never closed, expected `{closing}`");
                self.fault(start, start + letters + hashes + 1, message);
                return Some(Kind::Bad);
            };
            let content = self.rest()[..length].to_owned();
            self.at += length + closing.len();
            Some(self.unless_bytes(prefix == "br", start, Kind::String(content)))
        } else if prefix == "b" && hashes == 0 && matches!(opened, Some('"' | '\'')) {
            self.at += 2;
            let kind = if opened == Some('"') { self.quoted(start) } else { self.character(start) };
            Some(self.unless_bytes(true, start, kind))
        } else {
            None
        }
    }

    fn unless_bytes(&mut self, bytes: bool, start: usize, kind: Kind) -> Kind {
        if !bytes || kind == Kind::Bad {
            return kind;
        }
        self.fault(start, self.at, "byte strings are not part of an experiment, write a string: `\"...\"`");
        Kind::Bad
    }

    /// The rest of a string whose opening quote is read.
    pub(super) fn quoted(&mut self, start: usize) -> Kind {
        let mut content = String::new();
        let mut good = true;
        loop {
            match self.peek() {
                None | Some('\n') => {
                    let message = "this string is not closed on its line, expected `\"`";
                    let help = "a line break in a string is written `\\n`, or in a raw string: `r\"...\"`";
                    return self.fault_with_help(start, self.at, message, help);
                }
                Some('"') => {
                    self.at += 1;
                    return if good { Kind::String(content) } else { Kind::Bad };
                }
                Some('\\') => match self.escape() {
                    Some(c) => content.push(c),
                    None => good = false,
                },
                Some(c) => {
                    content.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// The rest of a character whose opening quote is read.
    pub(super) fn character(&mut self, start: usize) -> Kind {
        let c = match self.peek() {
            Some('\\') => self.escape(),
            Some(c) if c != '\n' && c != '\'' => {
                self.at += c.len_utf8();
                Some(c)
            }
            _ => None,
        };
        match c {
            Some(c) if self.peek() == Some('\'') => {
                self.at += 1;
                Kind::Char(c)
            }
            _ => {
                self.skip_while(|c| !matches!(c, '\'' | '\n' | ','));
                if self.peek() == Some('\'') {
                    self.at += 1;
                }
                self.fault(start, self.at, "a string is written in double quotes: `\"...\"`");
                Kind::Bad
            }
        }
    }

    /// An escape, from its backslash on. `None` if there is no such escape: its fault is told.
    fn escape(&mut self) -> Option<char> {
        let start = self.at;
        self.at += 1;
        let name = self.peek().filter(|&c| c != '\n')?;
        self.at += name.len_utf8();
        let escaped = match name {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '0' => Some('\0'),
            '\\' | '"' | '\'' => Some(name),
            'x' => self.code_point(2),
            'u' if self.peek() == Some('{') => {
                self.at += 1;
                let rest = self.rest();
                let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
                let escaped = self.code_point(digits);
                let closed = self.peek() == Some('}');
                self.at += usize::from(closed);
                escaped.filter(|_| closed)
            }
            _ => None,
        };
        if escaped.is_none() {
            let text = self.source.text()[start..self.at].to_owned();
            let help = "a backslash is written `\\\\`, or plainly in a raw string: `r\"...\"`";
            self.fault_with_help(start, self.at, &format!("unknown escape `{text}`"), help);
        }
        escaped
    }

    fn code_point(&mut self, digits: usize) -> Option<char> {
        let text = self.rest().get(..digits)?;
        // `from_str_radix` takes a sign.
        let code = u32::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))?;
        self.at += digits;
        char::from_u32(code)
    }
}
