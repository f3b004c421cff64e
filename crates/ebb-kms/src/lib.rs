//! Keys, and what is sealed with them.
//!
//! ```text
//!   master key ──seals──► secrets of access keys, in the records
//!        │
//!        └─seals──► material of keys, in the records ◄── EmbeddedKeys ─┐
//!                                                                      ├─ are a KeyStore
//!                   material of keys, in Vault       ◄── VaultKeys ────┘
//! ```
//! A copy of the records alone tells no secret: the master key is not among them. What a key is
//! called, whose it is and whether it may be used now is not known here: a [`KeyStore`] has
//! material, and its caller the records.
//!
//! Nothing here reads a clock or a random number: who calls gives them. Only [`VaultKeys`] reads
//! files, its token and its authority, and asks others by HTTP.

mod blob;
mod embedded;
mod gcm;
mod master;
mod store;
mod vault;

pub use embedded::EmbeddedKeys;
pub use gcm::NONCE_BYTES;
pub use master::MasterKey;
pub use store::{KeyStore, KeyStoreError, Material, Opened, is_key_name};
pub use vault::{VaultConfig, VaultKeys, VaultToken};
