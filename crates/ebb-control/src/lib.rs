//! Use cases: what an API call does to the store and the engine.
