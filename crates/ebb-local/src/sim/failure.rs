//! What went wrong in a world, and what led to it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// So much of the story is shown, unless all of it is asked for.
const TOLD: usize = 25;

/// `{}` shows the end of the story, `{:#}` all of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) seed: u64,
    pub(super) what: String,
    pub(super) story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)?;
        let told = if f.alternate() { self.story.len() } else { TOLD };
        let first = self.story.len().saturating_sub(told);
        if first > 0 {
            write!(f, "\n  … {first} before it")?;
        }
        self.story[first..].iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Turns a panic, as of an assertion in the engine, into a failure like any other. It is not
/// printed: a planted bug may make many.
pub(super) fn catching<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| match CATCHING.get() {
            true => PANIC.set(Some(panic.to_string())),
            false => before(panic),
        }));
    });
    CATCHING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    CATCHING.set(false);
    outcome.unwrap_or_else(|_| Err(PANIC.take().unwrap_or_else(|| "a panic".into())))
}
