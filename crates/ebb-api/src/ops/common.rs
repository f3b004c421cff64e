//! What the operations of several families share: pages, tags, filters.

use ebb_api_derive::Params;
use ebb_control::Scope;
use ebb_control::{PageRequest, TagFilter};
use ebb_domain::{Denied, Tag, Timestamp};
use serde::Serialize;

use crate::{ApiError, Context, Scalar, integer_in, time};

/// PageNumber: from 1.
#[derive(Debug, Clone, Copy)]
pub struct PageNumber(u32);

impl Scalar for PageNumber {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        integer_in(raw, key, 1..=1_000_000).map(Self)
    }
}

/// PageSize: 1 to 100.
#[derive(Debug, Clone, Copy)]
pub struct PageSize(u32);

impl Scalar for PageSize {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        integer_in(raw, key, 1..=100).map(Self)
    }
}

/// The PageSize of DescribeInstanceStatus: 1 to 50.
#[derive(Debug, Clone, Copy)]
pub struct SmallPageSize(u32);

impl Scalar for SmallPageSize {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        integer_in(raw, key, 1..=50).map(Self)
    }
}

impl From<SmallPageSize> for PageSize {
    fn from(size: SmallPageSize) -> Self {
        Self(size.0)
    }
}

/// How a list is asked for in parts. MaxResults or NextToken, even an empty one, asks for pages by
/// token; PageNumber and PageSize then mean nothing (api.md §1.9).
pub(crate) struct Paging {
    pub number: Option<PageNumber>,
    pub size: Option<PageSize>,
    pub token: Option<String>,
    pub max_results: Option<i64>,
    /// What MaxResults is brought into: too small or too large is no error.
    pub max_results_range: (i64, i64),
}

/// What a page is answered with.
#[derive(Debug)]
pub(crate) struct Paged {
    pub request: PageRequest,
    pub number: u32,
    pub size: u32,
    by_token: bool,
}

impl Paging {
    pub(crate) fn resolve(self) -> Paged {
        let by_token = self.max_results.is_some() || self.token.is_some();
        if by_token {
            let (least, most) = self.max_results_range;
            let size = self.max_results.unwrap_or(10).clamp(least, most);
            let size = u32::try_from(size).unwrap_or(10);
            let request = PageRequest::Token { after: self.token, size };
            return Paged { request, number: 0, size, by_token };
        }
        let number = self.number.map_or(1, |number| number.0);
        let size = self.size.map_or(10, |size| size.0);
        Paged { request: PageRequest::Number { number, size }, number, size, by_token }
    }
}

impl Paged {
    /// Of a list that has pages by number alone.
    pub(crate) fn by_number(number: Option<PageNumber>, size: Option<PageSize>) -> Self {
        Paging { number, size, token: None, max_results: None, max_results_range: (1, 100) }
            .resolve()
    }

    /// NextToken: empty on the last page, and for pages by number.
    pub(crate) fn next_token(&self, next: Option<String>) -> String {
        next.filter(|_| self.by_token).unwrap_or_default()
    }
}

/// `Tag.N`.
#[derive(Debug, Clone, Params)]
pub struct TagParam {
    /// The key.
    pub key: Option<String>,
    /// The value.
    pub value: Option<String>,
}

/// Tags to put on something.
pub(crate) fn tags(params: Vec<TagParam>) -> Vec<Tag> {
    params
        .into_iter()
        .map(|tag| Tag { key: tag.key.unwrap_or_default(), value: tag.value.unwrap_or_default() })
        .collect()
}

/// Tags to look for.
pub(crate) fn tag_filters(params: Vec<TagParam>) -> Result<Vec<TagFilter>, Denied> {
    if params.len() > 20 {
        return Err(Denied::TooManyTags);
    }
    let filter = |tag: TagParam| {
        let key = tag.key.ok_or(Denied::TagWithoutKey)?;
        Ok(TagFilter { key, value: tag.value })
    };
    params.into_iter().map(filter).collect()
}

/// A list of tags as most answers have it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tags {
    tag: Vec<TagItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TagItem {
    tag_key: String,
    tag_value: String,
}

impl From<Vec<Tag>> for Tags {
    fn from(tags: Vec<Tag>) -> Self {
        let item = |tag: Tag| TagItem { tag_key: tag.key, tag_value: tag.value };
        Self { tag: tags.into_iter().map(item).collect() }
    }
}

/// `Filter.N`.
#[derive(Debug, Clone, Params)]
pub struct FilterParam {
    /// `CreationStartTime` or `CreationEndTime`.
    pub key: Option<String>,
    /// `2026-02-23T12:46Z`
    pub value: Option<String>,
}

/// The two ends of the time of creation that filters can name.
pub(crate) fn created_between(
    filters: &[FilterParam],
) -> Result<(Option<Timestamp>, Option<Timestamp>), Denied> {
    let (mut from, mut to) = (None, None);
    for filter in filters {
        let value = filter.value.as_deref().unwrap_or_default();
        match filter.key.as_deref() {
            None | Some("") => continue,
            Some("CreationStartTime") => &mut from,
            Some("CreationEndTime") => &mut to,
            Some(_) => return Err(Denied::FilterUnknown),
        }
        .replace(time::parse_either(value).ok_or(Denied::FilterValue)?);
    }
    Ok((from, to))
}

/// Who asks, and of which region if one was given.
pub(crate) fn scope(cx: &Context) -> Scope {
    Scope { account: cx.account.clone(), region: cx.region.clone() }
}

/// The token of a request that makes something.
pub(crate) fn client_token(
    cx: &Context,
    action: &'static str,
    token: Option<String>,
) -> Option<ebb_control::ClientToken> {
    let fingerprint = cx.fingerprint();
    token.map(|token| ebb_control::ClientToken { action, token, fingerprint })
}

/// A reply of nothing but the RequestId.
#[derive(Debug, Serialize)]
pub struct Done {}

/// A text that a client may clear: `DiskName=` empties it.
#[derive(Debug, Clone)]
pub struct Text(pub String);

impl Scalar for Text {
    const TAKES_EMPTY: bool = true;

    fn parse(raw: &str, _key: &str) -> Result<Self, ApiError> {
        Ok(Self(raw.to_owned()))
    }
}

/// ClientToken: up to 64 ASCII characters.
#[derive(Debug, Clone)]
pub struct Token(pub String);

impl Scalar for Token {
    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        if raw.len() <= 64 && raw.is_ascii() {
            Ok(Self(raw.to_owned()))
        } else {
            Err(ApiError::invalid(key, "at most 64 ASCII characters"))
        }
    }
}
