//! The page of a challenge: submissions ranked.

use super::html::{Page, scroll_box, text};
use super::number::{count, percent};
use super::{foot, head};
use crate::challenge::{LABELS, Leaderboard, Standing};

/// A leaderboard as the text of one HTML file, under the name `challenge`.
pub fn render_leaderboard(challenge: &str, board: &Leaderboard) -> String {
    let mut page = Page::default();
    head(&mut page, challenge, "leaderboard");
    write!(page, "<body>\n<main>\n<header>\n");
    super::summary::eyebrow(&mut page, "leaderboard");
    writeln!(
        page,
        "<h1>{}</h1>\n<p class=\"lead\"><b>{}</b> submissions for <b>{}</b> pictures</p>\n</header>",
        text(challenge),
        count(board.standings.len() as u64),
        count(board.images as u64),
    );
    writeln!(
        page,
        "<section id=\"ranks\" aria-labelledby=\"ranks-h\">\n<h2 id=\"ranks-h\">Ranks</h2>\n<p>Error@n is the share of pictures \
         whose true label is not among the first n. Ranked by error@{LABELS}, then by error@1.</p>"
    );
    scroll_box(&mut page, "Ranks", |page| ranks(page, &board.standings));
    writeln!(page, "</section>");
    refused(&mut page, board);
    foot(&mut page, env!("CARGO_PKG_VERSION"));
    page.finish()
}

fn ranks(page: &mut Page, standings: &[Standing]) {
    write!(
        page,
        "<table class=\"numbers sortable\"><thead><tr><th scope=\"col\">Rank</th><th scope=\"col\" class=\"words\">Submission</th>"
    );
    for n in (1..=LABELS).rev() {
        write!(page, "<th scope=\"col\">Error@{n}</th>");
    }
    writeln!(page, "</tr></thead><tbody>");
    for Standing { rank, name, score } in standings {
        write!(
            page,
            "<tr><th scope=\"row\" data-value=\"{rank}\">{rank}</th><td class=\"words\"><b>{}</b></td>",
            text(name)
        );
        for (n, error) in score.error.iter().enumerate().rev() {
            let bar = if n + 1 == LABELS {
                format!(" class=\"bar\" style=\"--share:{error:.4}\"")
            } else {
                String::new()
            };
            write!(page, "<td{bar} data-value=\"{error}\">{}</td>", percent(*error, 2));
        }
        writeln!(page, "</tr>");
    }
    write!(page, "</tbody></table>");
}

fn refused(page: &mut Page, board: &Leaderboard) {
    if board.refused.is_empty() {
        return;
    }
    writeln!(
        page,
        "<section id=\"refused\" aria-labelledby=\"refused-h\">\n<h2 id=\"refused-h\">Not ranked</h2>\n\
         <p>Files that are no valid submission.</p>"
    );
    scroll_box(page, "Not ranked", |page| {
        writeln!(
            page,
            "<table class=\"numbers\"><thead><tr><th scope=\"col\">File</th><th scope=\"col\" class=\"words\">What is wrong</th>\
             </tr></thead><tbody>"
        );
        for file in &board.refused {
            writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><td class=\"words long\">{}</td></tr>",
                text(&file.name),
                text(&file.error)
            );
        }
        write!(page, "</tbody></table>");
    });
    writeln!(page, "</section>");
}
