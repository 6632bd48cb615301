//! The lecture as one page: text, equations, figures and what was found, with nothing to fetch.

use super::{Check, Expected, Outcome, Part, Table, math};
use crate::figure::html::{Page, scroll_box, text};
use crate::figure::{self, number};
use crate::report;

const STYLE: &str = include_str!("page.css");

/// Where the source files stand.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/");

/// The experiments as the text of one HTML file, which needs nothing else. `command` is the one that makes it again.
pub fn page(outcomes: &[Outcome], command: &str) -> String {
    let mut page = Page::default();
    head(&mut page);
    write!(page, "<body>\n<main>\n");
    header(&mut page, outcomes, command);
    contents(&mut page, outcomes);
    for part in Part::ALL {
        let mut of_part = outcomes.iter().filter(|outcome| outcome.experiment.part == part).peekable();
        if of_part.peek().is_none() {
            continue;
        }
        writeln!(page, "<h2 class=\"part\">{}</h2>", text(part.title()));
        for outcome in of_part {
            section(&mut page, outcome);
        }
    }
    write!(
        page,
        "</main>\n<footer><p>Written by Ocelli {}.</p></footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    page.finish()
}

fn head(page: &mut Page) {
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Learned feedforward visual processing</title>\n<style>\n{}{}{STYLE}</style>\n</head>\n",
        report::STYLE,
        figure::STYLE
    );
}

fn header(page: &mut Page, outcomes: &[Outcome], command: &str) {
    let accepted = outcomes.iter().filter(|outcome| outcome.finding.accepted()).count();
    let checks: usize = outcomes.iter().map(|outcome| outcome.finding.checks.len()).sum();
    let seconds = outcomes.iter().map(|outcome| outcome.seconds).sum();
    write!(
        page,
        "<header>\n<p class=\"eyebrow\">Ocelli, a companion to the lecture</p>\n\
         <h1>Learned feedforward visual processing</h1>\n\
         <p class=\"lead\">What MIT’s course 6.869 says in its lecture on learned vision, from filters made by hand to \
         back-propagation, done again with one library: every number found and every figure on this page was computed, \
         and stands beside what the lecture or the original paper says.</p>\n\
         <p class=\"note\">{accepted} of {} experiments found what was expected, {} numbers in all, in {}. Made by \
         <code>{}</code>.</p>\n</header>\n",
        outcomes.len(),
        number::count(checks as u64),
        number::duration(seconds),
        text(command),
    );
}

fn contents(page: &mut Page, outcomes: &[Outcome]) {
    writeln!(page, "<nav aria-label=\"Contents\"><ul>");
    for outcome in outcomes {
        let experiment = outcome.experiment;
        writeln!(page, "<li><a href=\"#{}\">{}</a></li>", experiment.name, text(experiment.title));
    }
    writeln!(page, "</ul></nav>");
}

fn section(page: &mut Page, outcome: &Outcome) {
    let (experiment, finding) = (outcome.experiment, &outcome.finding);
    let name = experiment.name;
    write!(
        page,
        "<section id=\"{name}\" aria-labelledby=\"{name}-h\">\n<h2 id=\"{name}-h\">{}</h2>\n",
        text(experiment.title)
    );
    for paragraph in experiment.about.split("\n\n") {
        writeln!(page, "<p>{}</p>", prose(paragraph));
    }
    for equation in experiment.equations {
        writeln!(page, "<div class=\"equation\">{}</div>", math::mathml(equation));
    }
    for (i, figure) in finding.figures.iter().enumerate() {
        scroll_figure(page, &figure.drawing.inline(), &figure.caption, i + 1);
    }
    checks(page, &finding.checks);
    for table in &finding.tables {
        write_table(page, table);
    }
    for remark in &finding.remarks {
        writeln!(page, "<p>{}</p>", prose(remark));
    }
    let data = if finding.data.is_empty() { String::new() } else { format!(" on {}", text(&finding.data)) };
    let claims: Vec<String> = experiment.checklist.iter().map(u8::to_string).collect();
    write!(
        page,
        "<p class=\"note\"><code>ocelli lecture {name}</code>{data}, {}; source: \
         <a href=\"{REPOSITORY}{1}\">{1}</a>; claims {2} of docs/lecture.md</p>\n</section>\n",
        number::duration(outcome.seconds),
        text(experiment.source),
        claims.join(", "),
    );
}

fn scroll_figure(page: &mut Page, svg: &str, caption: &str, number: usize) {
    writeln!(page, "<figure class=\"plate\">");
    scroll_box(page, &format!("Figure {number}"), |page| write!(page, "{svg}"));
    write!(page, "<figcaption>{}</figcaption>\n</figure>\n", prose(caption));
}

fn checks(page: &mut Page, checks: &[Check]) {
    if checks.is_empty() {
        return;
    }
    scroll_box(page, "What was found", |page| {
        writeln!(
            page,
            "<table class=\"numbers found\"><thead><tr><th scope=\"col\">What</th><th scope=\"col\">Found</th>\
             <th scope=\"col\" class=\"words\">Expected</th></tr></thead><tbody>"
        );
        for check in checks {
            let (class, mark) = match check.expected {
                // What papers found elsewhere is told, and nothing is asked.
                Expected::Anything => ("", ""),
                _ if check.holds() => ("good", "✓"),
                _ => ("bad", "✗"),
            };
            writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><td>{} <span class=\"{class}\">{mark}</span></td>\
                 <td class=\"words\">{}</td></tr>",
                text(&check.what),
                text(&check.shown()),
                text(&check.wanted()),
            );
        }
        write!(page, "</tbody></table>");
    });
}

fn write_table(page: &mut Page, table: &Table) {
    writeln!(page, "<h3>{}</h3>", text(&table.title));
    scroll_box(page, "Table", |page| {
        write!(page, "<table class=\"numbers\"><thead><tr>");
        for name in &table.heading {
            write!(page, "<th scope=\"col\">{}</th>", text(name));
        }
        writeln!(page, "</tr></thead><tbody>");
        for row in &table.rows {
            write!(page, "<tr>");
            for (column, cell) in row.iter().enumerate() {
                match column {
                    0 => write!(page, "<th scope=\"row\">{}</th>", text(cell)),
                    _ => write!(page, "<td>{}</td>", text(cell)),
                }
            }
            writeln!(page, "</tr>");
        }
        write!(page, "</tbody></table>");
    });
}

/// Text in which what stands between backticks is code.
fn prose(words: &str) -> String {
    let mut html = String::new();
    for (i, piece) in words.split('`').enumerate() {
        let piece = text(piece);
        html += &if i % 2 == 1 { format!("<code>{piece}</code>") } else { piece.to_string() };
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lecture::{EXPERIMENTS, Expected, Finding};

    #[test]
    fn a_page_shows_what_was_found_and_text_as_text() {
        let mut finding = Finding::default();
        finding.check("a < b", 2.0, Expected::AtMost(1.0));
        finding.remark("`x` is <b>");
        let outcome = Outcome { experiment: &EXPERIMENTS[0], finding, seconds: 0.1 };
        let html = page(&[outcome], "ocelli lecture all");
        assert!(html.contains("a &lt; b") && html.contains("<code>x</code> is &lt;b&gt;"), "{html}");
        assert!(html.contains("class=\"bad\"") && html.contains("0 of 1 experiments"), "{html}");
        assert!(html.contains("<math"), "{html}");
    }
}
