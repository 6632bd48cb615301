//! Writing HTML: a page that grows, and the one way in which foreign text enters it.

use std::fmt::{self, Display, Write as _};

/// A growing HTML text. `write!(page, …)` appends and cannot fail.
#[derive(Default)]
pub(crate) struct Page {
    html: String,
}

impl Page {
    /// What `write!` calls; without a `Result`, for writing to a `String` never fails.
    pub(crate) fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) {
        self.html.write_fmt(arguments).expect("writing to a string cannot fail");
    }

    /// The finished text.
    pub(crate) fn finish(self) -> String {
        self.html
    }
}

/// A box that scrolls by itself where `inside` is wider than the page, so that the page never does.
pub(crate) fn scroll_box(page: &mut Page, label: &str, inside: impl FnOnce(&mut Page)) {
    boxed(page, "scroll", label, inside);
}

/// A [`scroll_box`] that also limits the height.
pub(crate) fn tall_box(page: &mut Page, label: &str, inside: impl FnOnce(&mut Page)) {
    boxed(page, "scroll tall", label, inside);
}

/// `tabindex` lets the keyboard scroll the box, the label says what it holds.
fn boxed(page: &mut Page, class: &str, label: &str, inside: impl FnOnce(&mut Page)) {
    write!(page, "<div class=\"{class}\" tabindex=\"0\" role=\"group\" aria-label=\"{label}\">");
    inside(page);
    writeln!(page, "</div>");
}

/// Shows `text` as itself, in elements and in quoted attributes alike, whatever characters it holds.
pub(crate) fn text(text: &str) -> Text<'_> {
    Text(text)
}

/// See [`text`].
pub(crate) struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                // Control characters are no text: a parser would drop or misread them.
                c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_foreign_text_is_shown_not_obeyed() {
        let shown = text("<a title=\"x\" id='y'>&amp;</a>\0").to_string();
        assert_eq!(shown, "&lt;a title=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;\u{fffd}");
    }
}
