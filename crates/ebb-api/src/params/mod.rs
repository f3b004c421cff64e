//! A request's parameters: by name, then typed.
//!
//! ```text
//! Tag.1.Key=a&InstanceId.1=i-1&DiskIds=["d-1"]&SystemDisk.Size=40
//!    └ Vec<Tag>    └ Repeat<T>    └ JsonList<T>     └ #[param(flat)]
//! ```
//!
//! Not serde: each parameter's type decides its own error code, ECS has three spellings of a list,
//! and the table of parameters ([`ParamDef`]) feeds the reference page, the command line and tests.
//!
//! A name is looked up with every part's first letter raised, because clients send both `RegionId`
//! and `regionId`, `Tag.1.Key` and `Tag.1.key`. Names that no operation asks for are ignored.

mod field;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use field::{Field, FlatField, Repeat};
pub use scalar::{JsonList, Scalar, integer_in};

use crate::ApiError;

/// The largest N in `Name.N`, and the longest JSON list.
const MAX_LIST: usize = 1000;

/// The gateway's own parameters, and the old ones that ECS declares everywhere and nobody needs:
/// no operation sees them.
const SYSTEM: &[&str] = &[
    "AcceptLanguage",
    "AccessKeyId",
    "Action",
    "ClientIP",
    "Format",
    "OwnerAccount",
    "OwnerId",
    "ResourceOwnerAccount",
    "ResourceOwnerId",
    "SecureTransport",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "SourceIp",
    "Timestamp",
    "Version",
];

/// What `#[derive(Params)]` makes of a struct.
pub trait FromParams: Sized {
    /// The type's name; for an operation its wire name, such as `CreateDisk`.
    const NAME: &'static str;
    /// The type's doc comment.
    const DOC: &'static str;
    /// One entry a field, in the order of the fields.
    const PARAMS: &'static [ParamDef];

    /// Reads every field.
    ///
    /// # Errors
    /// The first field, in order, that is missing or not valid.
    fn from_params(params: &Params) -> Result<Self, ApiError>;
}

/// One parameter of an operation.
#[derive(Debug, Clone, Copy)]
pub struct ParamDef {
    /// As the reference spells it: `KMSKeyId`, `timePoints`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Absent or empty is an error.
    pub required: bool,
    /// The field's doc comment.
    pub doc: &'static str,
    /// Makes the error for a required one that is not there, from its full name.
    pub missing: fn(&str) -> ApiError,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text.
    String,
    /// A decimal number.
    Integer,
    /// `true` or `false`, in any case.
    Boolean,
    /// A JSON array in one value.
    JsonList(&'static Kind),
    /// `Name.1`, `Name.2`, …
    Repeat(&'static Kind),
    /// `Name.1.Part`, `Name.2.Part`, …
    Structs(&'static [ParamDef]),
    /// `Name.Part`.
    Flat(&'static [ParamDef]),
}

/// A request's parameters, or those below one prefix such as `Tag.1.`.
#[derive(Clone)]
pub struct Params {
    /// Folded name to value.
    all: Arc<BTreeMap<String, String>>,
    /// As declared; ends in a dot unless empty.
    prefix: String,
}

impl Params {
    /// Takes decoded names and values.
    ///
    /// # Errors
    /// 400 `InvalidParameter` where a name comes twice: which of the two counts would be a guess,
    /// and a guess that differs from another reader's is a way past a check.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ApiError> {
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            match all.entry(fold(name)) {
                Entry::Vacant(entry) => drop(entry.insert(value.to_owned())),
                Entry::Occupied(_) => return Err(ApiError::invalid(name, "it to be given once")),
            }
        }
        Ok(Self { all: Arc::new(all), prefix: String::new() })
    }

    /// What is left for the operation: all but the gateway's own parameters.
    #[must_use]
    pub fn business(&self) -> Self {
        let keep = |(name, value): (&String, &String)| {
            (!SYSTEM.contains(&name.as_str())).then(|| (name.clone(), value.clone()))
        };
        Self {
            all: Arc::new(self.all.iter().filter_map(keep).collect()),
            prefix: self.prefix.clone(),
        }
    }

    /// The value of `name`, which may be empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.get(&fold(&self.key(name))).map(String::as_str)
    }

    /// All names, with every part's first letter raised, and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The full name of `name`, for messages: `Tag.1.Key`.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// SHA-256 over the sorted names and values, ClientToken left out: equal for two requests that
    /// ask for the same.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (name, value) in self.all.iter().filter(|(name, _)| *name != "ClientToken") {
            for part in [name, value] {
                // The length first, so that no two lists of parts give the same bytes.
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }

    /// The parameters below `name`.
    fn below(&self, name: &str) -> Self {
        Self { all: Arc::clone(&self.all), prefix: format!("{}{name}.", self.prefix) }
    }

    fn is_empty(&self) -> bool {
        let prefix = fold(&self.prefix);
        self.all.range(prefix.clone()..).next().is_none_or(|(name, _)| !name.starts_with(&prefix))
    }

    /// The numbers N for which `Name.N` (or, `nested`, `Name.N.…`) was given, ascending. Gaps are
    /// as they are: some clients number what is left after they dropped an entry.
    fn indexes(&self, name: &str, nested: bool) -> Result<Vec<usize>, ApiError> {
        let prefix = fold(&format!("{}{name}.", self.prefix));
        let mut found = Vec::new();
        for (key, _) in self.all.range(prefix.clone()..) {
            let Some(rest) = key.strip_prefix(&prefix) else { break };
            let (index, inner) = match rest.split_once('.') {
                Some((index, _)) => (index, true),
                None => (rest, false),
            };
            if inner == nested && !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) {
                found.push(list_index(index).ok_or_else(|| {
                    ApiError::invalid(key, "entries numbered from 1 to 1000, without leading zeros")
                })?);
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

fn list_index(digits: &str) -> Option<usize> {
    let index = digits.parse().ok().filter(|index| (1..=MAX_LIST).contains(index))?;
    (!digits.starts_with('0')).then_some(index)
}

/// Raises the first letter of every part of a name.
fn fold(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| if std::mem::replace(&mut start, c == '.') { c.to_ascii_uppercase() } else { c })
        .collect()
}
