//! Lines of scripts changed while a test runs, to show that the test would notice.
//!
//! Without the feature `mutants`, which only this crate's own tests turn on, [`call`] is [`ScriptCall::new`].

#[cfg(feature = "mutants")]
pub(crate) use switch::call;
#[cfg(feature = "mutants")]
pub use switch::{Strict, strictly, with};

#[cfg(feature = "mutants")]
mod switch {
    use std::{cell::RefCell, collections::HashSet};

    use larder_store::{Script, ScriptCall, ScriptHandle};

    /// A script's name, and a text to put in place of another.
    type Change = (&'static str, &'static str, &'static str);

    thread_local! {
        static CHANGE: RefCell<Option<Change>> = const { RefCell::new(None) };
        /// The texts that were called strictly; `None`: as they stand.
        static STRICT: RefCell<Option<HashSet<String>>> = const { RefCell::new(None) };
    }

    /// Does `work` with the text `from` of the script named `script` replaced by `to`, on this thread alone: `work` must
    /// not leave it for what it calls.
    ///
    /// # Panics
    /// If `work` does; and where the script that it calls has no such text, for then the mutant is not one.
    pub fn with<R>(script: &'static str, from: &'static str, to: &'static str, work: impl FnOnce() -> R) -> R {
        struct Back;
        impl Drop for Back {
            fn drop(&mut self) {
                CHANGE.take();
            }
        }
        CHANGE.set(Some((script, from, to)));
        let _back = Back;
        work()
    }

    /// While it lives, what this thread calls begins with the line by which servers are strict about slots.
    #[derive(Debug)]
    pub struct Strict(());

    /// Makes this thread's calls strict.
    #[must_use]
    pub fn strictly() -> Strict {
        STRICT.set(Some(HashSet::new()));
        Strict(())
    }

    impl Strict {
        /// Whether a script was called that is this text, or has it in it.
        #[must_use]
        pub fn has_called(&self, text: &str) -> bool {
            STRICT.with_borrow(|called| called.iter().flatten().any(|called| called.contains(text)))
        }
    }

    impl Drop for Strict {
        fn drop(&mut self) {
            STRICT.take();
        }
    }

    /// A call of `script`, as it stands or changed.
    pub(crate) fn call(script: impl Into<ScriptHandle>) -> ScriptCall {
        let script = script.into();
        let (name, text) = (script.name(), script.source(true));
        if let Some((_, from, to)) = CHANGE.with_borrow(|change| change.filter(|(of, ..)| *of == name)) {
            assert!(text.contains(from), "{name} has no `{from}`");
            return ScriptCall::new(Script::loaded(name, text.replace(from, to)));
        }
        STRICT.with_borrow_mut(|called| {
            let Some(called) = called else {
                return ScriptCall::new(&script);
            };
            called.insert(text.to_owned());
            let first = if text.starts_with("#!") { "" } else { "#!lua\n" };
            ScriptCall::new(Script::loaded(name, [first, text].concat()))
        })
    }
}

#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) fn call(script: impl Into<larder_store::ScriptHandle>) -> larder_store::ScriptCall {
    larder_store::ScriptCall::new(script)
}
