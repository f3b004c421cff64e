//! Metadata in SQL: everything the server knows, but for the bytes on its disks.
//!
//! ```text
//!   Store::read  ─┐                 disk.rs snapshot.rs instance.rs account.rs …   one file a noun
//!   Store::write ─┴─► Tx ─────────►   record.rs, filter.rs, page.rs                what they share
//!                                       tx.rs, row.rs                              values and rows
//!                                   sqlite.rs   postgres/                        one is used
//! ```
//!
//! - A caller gives a closure; all it does through its [`Tx`] is one transaction. A read sees one
//!   state, a write happens wholly or not at all.
//! - A row is saved only over the version that the same transaction read.
//! - A row that does not read back as what was stored is [`StoreError::Corrupt`], never a guess.
//! - Only those below `Tx` in the picture, error.rs and the schema know which database it is. The
//!   SQL elsewhere is what both understand.
//!
//! Deliberately not here: what may happen (ebb-domain), when it happens (ebb-control), clocks.

mod access_key;
mod account;
mod auto_policy;
mod category;
mod chain;
mod copy;
mod disk;
mod encryption;
mod error;
mod filter;
mod image;
mod instance;
mod kms;
mod meta;
mod network;
mod nonce;
mod page;
mod pool;
mod postgres;
mod query;
mod ram;
mod record;
mod row;
mod schema;
mod server;
mod shared;
mod snapshot;
mod snapshot_group;
mod sqlite;
mod store;
mod tag;
mod task;
mod throttled;
mod token;
mod tx;

pub use access_key::AccessKeyRecord;
pub use auto_policy::AutoPolicyQuery;
pub use chain::{Chain, ChainQuery};
pub use copy::CopiedTable;
pub use error::{SqlError, StoreError};
pub use image::ImageQuery;
pub use kms::Alias;
pub use network::NetworkQuery;
pub use nonce::Nonce;
pub use postgres::PostgresUrl;
pub use query::{
    DiskQuery, InstanceQuery, LockQuery, Page, PageRequest, ResourceKind, SnapshotQuery, TagCount,
    TagCountQuery, TagFilter, TagQuery, TagRow,
};
pub use ram::{IdentitySince, PolicySince};
pub use server::{Claimed, ExportRow, Member, Server, ServerId, Whose};
pub use snapshot_group::SnapshotGroupQuery;
pub use store::{Durability, Store};
pub use task::TaskQuery;
pub use token::TokenRow;
pub use tx::Tx;
