//! A server that kills itself at a step, for tests of what is left then.
//!
//! From outside nobody can kill a process in a window of microseconds. A build with debug
//! assertions, which is what tests run, can be told to do it itself, with SIGKILL: nothing of it
//! gets to do anything after that. A release build has no such option.

use std::sync::Arc;

use clap::Args;
use ebb_control::Step;

/// What `ebb serve` can be told of its end.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KillArgs {
    /// The step at which the server kills itself, in a build for tests.
    #[cfg(debug_assertions)]
    #[arg(long, env = "EBB_KILL_AT", hide = true, value_name = "STEP", value_parser = step)]
    kill_at: Option<Step>,
}

impl KillArgs {
    /// What is called at each step.
    #[cfg(debug_assertions)]
    pub(crate) fn probe(&self) -> Arc<dyn Fn(Step) + Send + Sync> {
        use rustix::process::{Signal, getpid, kill_process};

        let Some(last) = self.kill_at else { return Arc::new(|_| ()) };
        Arc::new(move |step| {
            if step == last {
                kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
            }
        })
    }

    /// What is called at each step.
    #[cfg(not(debug_assertions))]
    pub(crate) fn probe(&self) -> Arc<dyn Fn(Step) + Send + Sync> {
        Arc::new(|_| ())
    }
}

/// A step by its name in the source.
#[cfg(debug_assertions)]
fn step(name: &str) -> Result<Step, String> {
    let found = Step::ALL.into_iter().find(|step| format!("{step:?}") == name);
    found.ok_or_else(|| format!("there is no such step; there are: {:?}", Step::ALL))
}
