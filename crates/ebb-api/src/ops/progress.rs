//! OperationProgressSet: what became of each part of a call that does one thing to several.

use serde::Serialize;

/// All parts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ProgressSet {
    operation_progress: Vec<Progress>,
}

impl FromIterator<Progress> for ProgressSet {
    fn from_iter<I: IntoIterator<Item = Progress>>(parts: I) -> Self {
        Self { operation_progress: parts.into_iter().collect() }
    }
}

/// One part.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Progress {
    operation_status: &'static str,
    error_code: String,
    error_msg: String,
    related_item_set: RelatedItems,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RelatedItems {
    related_item: Vec<RelatedItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RelatedItem {
    name: &'static str,
    value: String,
}

impl Progress {
    /// A part with that status; `about` names what it was done to: `("DiskId", "d-…")`.
    pub(super) fn new<const N: usize>(
        status: &'static str,
        about: [(&'static str, String); N],
    ) -> Self {
        let related_item =
            about.into_iter().map(|(name, value)| RelatedItem { name, value }).collect();
        Self {
            operation_status: status,
            error_code: String::new(),
            error_msg: String::new(),
            related_item_set: RelatedItems { related_item },
        }
    }

    /// The same, and why.
    pub(super) fn because(self, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_code: code.into(), error_msg: message.into(), ..self }
    }
}
