//! Equations: a small notation, set as MathML for pages and written out for terminals.
//!
//! The notation is that of TeX as far as it goes: `x_{i-1}`, `e^{-x}`, `\frac{a}{b}`, `\sqrt{x}`, `\hat{x}`, `\bar{x}`; `\tanh` and
//! other names of functions; `\{` and `\}` for braces that are seen; `"words"` in quotes; everything else, Greek letters and signs included, as it is written.
//! Letters are variables of their own: `Wx` is W times x. `\quad` is a wide space.

/// The equation as a MathML element.
pub(crate) fn mathml(equation: &str) -> String {
    let mut reader = Reader { rest: equation };
    format!(
        "<math xmlns=\"http://www.w3.org/1998/Math/MathML\" display=\"block\">{}</math>",
        reader.row(None)
    )
}

/// The equation as a line of text.
pub(crate) fn plain(equation: &str) -> String {
    let mut text = String::new();
    let mut rest = equation;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                rest = after;
                if let (true, Some(sign)) = (name.is_empty(), rest.chars().next()) {
                    text.push(sign);
                    rest = &rest[sign.len_utf8()..];
                    continue;
                }
                match name {
                    "frac" => {
                        let (above, after) = braced(rest);
                        let (below, after) = braced(after);
                        text += &format!("{}/{}", grouped(above), grouped(below));
                        rest = after;
                    }
                    "sqrt" | "hat" | "bar" => {
                        let (inner, after) = braced(rest);
                        let inner = plain(inner);
                        text += &if name == "sqrt" { format!("√({inner})") } else { inner };
                        rest = after;
                    }
                    "quad" => text += "   ",
                    name => text += name,
                }
            }
            '_' | '^' => {
                text.push(c);
                if rest.starts_with('{') {
                    let (inner, after) = braced(rest);
                    text += &grouped(inner);
                    rest = after;
                }
            }
            '"' | '{' | '}' => {}
            c => text.push(c),
        }
    }
    text
}

/// In round brackets where it is more than a letter or a number.
fn grouped(inner: &str) -> String {
    let text = plain(inner);
    if text.chars().all(char::is_alphanumeric) { text } else { format!("({text})") }
}

/// What stands between the braces at the beginning, and what follows them. Without braces: nothing, and everything.
fn braced(text: &str) -> (&str, &str) {
    let Some(inner) = text.strip_prefix('{') else { return ("", text) };
    let mut depth = 1;
    for (i, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&inner[..i], &inner[i + 1..]);
        }
    }
    (inner, "")
}

/// Signs that carry their limits above and below.
const LARGE: &[char] = &['Σ', '∏', '∫'];

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Takes what `belongs` from the beginning.
    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    /// Everything up to `end`, or the end of the text.
    fn row(&mut self, end: Option<char>) -> String {
        let mut row = String::new();
        loop {
            match self.peek() {
                None => return row,
                c if c == end => {
                    self.take();
                    return row;
                }
                Some(' ') => {
                    self.take();
                }
                Some(c) => {
                    let base = self.atom();
                    row += &self.scripted(base, LARGE.contains(&c));
                }
            }
        }
    }

    /// What one script or one argument is: a group in braces, or a single thing.
    fn argument(&mut self) -> String {
        if self.peek() == Some('{') {
            self.take();
            return format!("<mrow>{}</mrow>", self.row(Some('}')));
        }
        self.atom()
    }

    fn atom(&mut self) -> String {
        match self.peek() {
            None => String::new(),
            Some('{') => self.argument(),
            Some('\\') => {
                self.take();
                let name = self.run(|c| c.is_ascii_alphabetic());
                match if name.is_empty() { self.take() } else { None } {
                    Some(sign) => format!("<mo>{}</mo>", escaped(&sign.to_string())),
                    None => self.command(name),
                }
            }
            Some('"') => {
                self.take();
                let words = self.run(|c| c != '"');
                self.take();
                format!("<mtext>{}</mtext>", escaped(words))
            }
            Some(c) if c.is_ascii_digit() => {
                let number = self.run(|c| c.is_ascii_digit() || c == '.');
                format!("<mn>{number}</mn>")
            }
            Some(c) if c.is_alphabetic() && !LARGE.contains(&c) => {
                self.take();
                format!("<mi>{c}</mi>")
            }
            Some(c) => {
                self.take();
                let sign = if c == '-' { "−".to_owned() } else { escaped(&c.to_string()) };
                format!("<mo>{sign}</mo>")
            }
        }
    }

    fn command(&mut self, name: &str) -> String {
        match name {
            "frac" => format!("<mfrac>{}{}</mfrac>", self.argument(), self.argument()),
            "sqrt" => format!("<msqrt>{}</msqrt>", self.argument()),
            "hat" => format!("<mover>{}<mo>^</mo></mover>", self.argument()),
            "bar" => format!("<mover>{}<mo>¯</mo></mover>", self.argument()),
            "quad" => "<mspace width=\"2em\"/>".to_owned(),
            name => format!("<mi>{name}</mi><mspace width=\"0.1em\"/>"),
        }
    }

    /// The base with the scripts that follow it.
    fn scripted(&mut self, base: String, large: bool) -> String {
        let (mut below, mut above) = (None, None);
        loop {
            match self.peek() {
                Some('_') if below.is_none() => {
                    self.take();
                    below = Some(self.argument());
                }
                Some('^') if above.is_none() => {
                    self.take();
                    above = Some(self.argument());
                }
                _ => break,
            }
        }
        match (below, above, large) {
            (None, None, _) => base,
            (Some(below), None, false) => format!("<msub>{base}{below}</msub>"),
            (None, Some(above), false) => format!("<msup>{base}{above}</msup>"),
            (Some(below), Some(above), false) => format!("<msubsup>{base}{below}{above}</msubsup>"),
            (Some(below), None, true) => format!("<munder>{base}{below}</munder>"),
            (None, Some(above), true) => format!("<mover>{base}{above}</mover>"),
            (Some(below), Some(above), true) => format!("<munderover>{base}{below}{above}</munderover>"),
        }
    }
}

fn escaped(text: &str) -> String {
    crate::figure::html::text(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(equation: &str) -> String {
        let set = mathml(equation);
        let start = set.find('>').unwrap() + 1;
        set[start..].trim_end_matches("</math>").to_owned()
    }

    #[test]
    fn scripts_fractions_and_words_are_set() {
        assert_eq!(inner("x_i^2"), "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>");
        assert_eq!(inner("x_{i-1}"), "<msub><mi>x</mi><mrow><mi>i</mi><mo>−</mo><mn>1</mn></mrow></msub>");
        assert_eq!(inner("\\frac{1}{2}"), "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>");
        assert_eq!(inner("Σ_i w"), "<munder><mo>Σ</mo><mi>i</mi></munder><mi>w</mi>");
        assert_eq!(inner("\"a < b\""), "<mtext>a &lt; b</mtext>");
        assert_eq!(inner("\\{a\\}"), "<mo>{</mo><mi>a</mi><mo>}</mo>");
        assert_eq!(inner("\\tanh a"), "<mi>tanh</mi><mspace width=\"0.1em\"/><mi>a</mi>");
    }

    #[test]
    fn anything_is_set_without_hanging() {
        for odd in ["", "_", "^", "x_", "{", "}", "\\", "\\frac", "\"", "x__i", "a^b^c", "x_{"] {
            mathml(odd);
            plain(odd);
        }
    }

    #[test]
    fn terminals_get_a_line() {
        assert_eq!(plain("y = \\tanh(Σ_i w_i x_i + b)"), "y = tanh(Σ_i w_i x_i + b)");
        assert_eq!(plain("c ∈ \\{-1, 0\\}"), "c ∈ {-1, 0}");
        assert_eq!(plain("σ(a) = \\frac{1}{1 + e^{-a}}"), "σ(a) = 1/(1 + e^(-a))");
    }
}
