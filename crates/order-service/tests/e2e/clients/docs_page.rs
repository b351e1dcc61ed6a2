//! The page that shows the document, in a browser.

use std::path::Path;

use super::workshop::Workshop;
use super::{server, url};

#[test]
fn the_docs_page_places_pays_and_reads_by_clicking_and_asks_nobody_else() {
    let server = server();
    // What the browser saw last, for people.
    let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs-page.png");
    let words = ["node", "main.mjs", &url(&server), screenshot.to_str().unwrap()];
    Workshop::new("browser", &server).with_node().run(&words);
}
