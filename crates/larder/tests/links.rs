//! Every link from the README and the guide to a file of this repository leads somewhere.

use std::path::{Path, PathBuf};

fn pages(root: &Path) -> Vec<PathBuf> {
    let guide = std::fs::read_dir(root.join("docs/guide")).expect("the guide exists");
    let guide = guide.map(|page| page.expect("readable").path());
    [root.join("README.md"), root.join("ARCHITECTURE.md")]
        .into_iter()
        .chain(guide)
        .collect()
}

/// The targets of `[text](target)` in `page`.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut checked = 0;
    for page in pages(&root) {
        let text = std::fs::read_to_string(&page).expect("readable");
        for link in links(&text).filter(|link| !link.contains("://")) {
            let file = link.split('#').next().unwrap_or(link);
            let target = page.parent().expect("a page is in a folder").join(file);
            assert!(
                target.exists(),
                "{} links to {link}, which is not there",
                page.display()
            );
            checked += 1;
        }
    }
    assert!(
        checked > 10,
        "only {checked} links were found: are they still written as [text](target)?"
    );
}
