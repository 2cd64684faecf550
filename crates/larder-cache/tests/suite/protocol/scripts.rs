//! The texts of the scripts that the cache sends, and texts with one line changed.

use std::collections::BTreeMap;

/// Scripts by name.
#[derive(Clone, Debug)]
pub(crate) struct Scripts(BTreeMap<&'static str, String>);

macro_rules! scripts {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../../src/script/", $name, ".lua")).to_owned())),*]
    };
}

/// As the cache sends them.
pub(crate) static AS_WRITTEN: std::sync::LazyLock<Scripts> = std::sync::LazyLock::new(|| {
    Scripts(BTreeMap::from(scripts![
        "begin",
        "endput",
        "endw",
        "extend",
        "fill",
        "get",
        "heal",
        "inv",
        "invtag",
        "mark_stale",
        "put",
        "release",
        "renew",
        "revalidate",
        "rotate",
        "rotate_tags",
        "wback",
        "wbclaim",
        "wbcount",
        "wbdead",
        "wbdraw",
        "wbepoch",
        "wblag",
        "wbletters",
        "wbput"
    ]))
    .with_joined("wbput_if")
});

impl Scripts {
    /// The texts of two as one, as the cache sends them.
    fn with_joined(mut self, name: &'static str) -> Self {
        let text = concat!(
            include_str!("../../../src/script/wbif.lua"),
            include_str!("../../../src/script/wbput.lua")
        );
        self.0.insert(name, text.to_owned());
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// The same with every `text` of `script` replaced.
    #[track_caller]
    pub(crate) fn changed(&self, script: &str, text: &str, other: &str) -> Self {
        let mut changed = self.clone();
        let source = changed.0.get_mut(script).expect("the mutant names a script");
        assert!(
            source.contains(text),
            "{script} has no `{text}`: the mutant must follow the script"
        );
        *source = source.replace(text, other);
        changed
    }
}
