//! What a page of the guide shows compiles and does what it says: a whole program is a doctest of this crate, and anything
//! less a piece of an example, which the tests run too.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Code as it compares: without comments and space, so that a page may explain and break lines as it likes.
fn bare(code: &str) -> String {
    let without_comments = code.lines().map(|line| match line.find("//") {
        // Not the slashes of a URL.
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    });
    let without_space: String = without_comments
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    // Where lines are broken, commas end them.
    without_space.replace(",}", "}").replace(",)", ")")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect()
}

fn examples(root: &Path) -> Vec<String> {
    let crates = fs::read_dir(root.join("crates")).expect("there are crates");
    let folders = crates.map(|entry| entry.expect("readable").path().join("examples"));
    folders
        .flat_map(|folder| files(&folder, "rs"))
        .map(|file| bare(&fs::read_to_string(file).expect("readable")))
        .collect()
}

/// The code of each ```rust block.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    let after_fence = page.split("```rust").skip(1);
    after_fence.map(|rest| {
        let code = &rest[rest.find('\n').unwrap_or(rest.len())..];
        code.split("```").next().unwrap_or(code)
    })
}

#[test]
fn what_the_guide_shows_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let examples = examples(&root);
    let doctests = fs::read_to_string(root.join("crates/larder/src/lib.rs")).expect("readable");
    let mut checked = 0;
    let mut unknown = Vec::new();
    for page in files(&root.join("docs/guide"), "md") {
        let text = fs::read_to_string(&page).expect("readable");
        for block in blocks(&text) {
            checked += 1;
            let code = bare(block);
            let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_doctest = code.contains("fnmain()") && doctests.contains(&format!("docs/guide/{name}\""));
            if !is_doctest && !examples.iter().any(|example| example.contains(&code)) {
                unknown.push(format!("{name}:\n{block}"));
            }
        }
    }
    assert!(checked > 5, "only {checked} blocks were found");
    assert!(
        unknown.is_empty(),
        "neither a doctest of larder nor in an example under crates/*/examples:\n\n{}",
        unknown.join("\n\n")
    );
}
