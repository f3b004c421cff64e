//! Derives an operation's typed parameters.
