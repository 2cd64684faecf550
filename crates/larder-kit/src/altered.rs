//! Lines of scripts changed while a test runs, to show that the test would notice.
//!
//! Without the feature `mutants`, which only this crate's own tests turn on, [`call`] is [`ScriptCall::new`].

#[cfg(feature = "mutants")]
pub(crate) use switch::call;
#[cfg(feature = "mutants")]
pub use switch::with;

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::RefCell;

    use larder_store::{Script, ScriptCall};

    /// A script's name, and a text to put in place of another.
    type Change = (&'static str, &'static str, &'static str);

    thread_local! {
        static CHANGE: RefCell<Option<Change>> = const { RefCell::new(None) };
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

    /// A call of `script`, as it stands or changed.
    pub(crate) fn call(script: &'static Script) -> ScriptCall {
        let Some((_, from, to)) = CHANGE.with_borrow(|change| change.filter(|(name, ..)| *name == script.name()))
        else {
            return ScriptCall::new(script);
        };
        let text = script.source(true);
        assert!(text.contains(from), "{} has no `{from}`", script.name());
        ScriptCall::new(Script::loaded(script.name(), text.replace(from, to)))
    }
}

#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) fn call(script: &'static larder_store::Script) -> larder_store::ScriptCall {
    larder_store::ScriptCall::new(script)
}
