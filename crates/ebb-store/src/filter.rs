//! WHERE, put together from what a list was asked for.

use std::fmt;
use std::iter;

use ebb_domain::Timestamp;

use crate::tx::{Value, text};
use crate::{ResourceKind, TagFilter};

/// The longest pattern that SQLite compares; no name is nearly as long.
const PATTERN_BYTES: usize = 50_000;

/// Conditions that must all hold. Each method adds one, or none where it is given `None`.
#[derive(Default)]
pub(crate) struct Filter {
    conditions: Vec<String>,
    values: Vec<Value>,
    /// How many conditions the whole list has, before what was asked for.
    of_whole: usize,
}

/// `WHERE …`; nothing where there is no condition.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, condition) in self.conditions.iter().enumerate() {
            write!(f, "{} ({condition})", if n == 0 { "WHERE" } else { " AND" })?;
        }
        Ok(())
    }
}

impl Filter {
    /// What every list is limited to.
    pub(crate) fn of(account: &str, region: &str) -> Self {
        let mut filter = Self::default();
        filter.and("account = ? AND region = ?", [text(account), text(region)]);
        filter.of_whole = 1;
        filter
    }

    /// What every list is limited to, and a condition more that holds for all that is shown.
    pub(crate) fn of_shown(account: &str, region: &str, shown: &str) -> Self {
        let mut filter = Self::of(account, region);
        filter.and(shown, []);
        filter.of_whole = 2;
        filter
    }

    /// Whether this is a whole list: all that an account has in a region.
    pub(crate) fn is_whole(&self) -> bool {
        self.conditions.len() == self.of_whole
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// A condition with a `?` for each of the values.
    pub(crate) fn and(
        &mut self,
        condition: impl Into<String>,
        values: impl IntoIterator<Item = Value>,
    ) {
        self.conditions.push(condition.into());
        self.values.extend(values);
    }

    /// A condition with one `?`.
    pub(crate) fn and_if(&mut self, condition: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.and(condition, [text(value)]);
        }
    }

    pub(crate) fn flag(&mut self, column: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.and(format!("{column} = ?"), [flag.into()]);
        }
    }

    pub(crate) fn one_of<'a>(
        &mut self,
        column: &str,
        choices: Option<impl IntoIterator<Item = &'a str>>,
    ) {
        let Some(choices) = choices else { return };
        let values: Vec<_> = choices.into_iter().map(text).collect();
        if values.is_empty() {
            return self.nothing();
        }
        let marks: Vec<_> = iter::repeat_n("?", values.len()).collect();
        self.and(format!("{column} IN ({})", marks.join(", ")), values);
    }

    fn nothing(&mut self) {
        self.and("1 = 0", []);
    }

    /// `created_at` between the two, both included.
    pub(crate) fn created(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) {
        if let Some(from) = from {
            self.and("created_at >= ?", [from.unix_millis().into()]);
        }
        if let Some(to) = to {
            self.and("created_at <= ?", [to.unix_millis().into()]);
        }
    }

    /// `name`, in which `*` stands for anything.
    pub(crate) fn named(&mut self, name: Option<&str>) {
        match name {
            Some(name) if name.len() > PATTERN_BYTES / 2 => self.nothing(),
            Some(name) if name.contains('*') => {
                self.and("name LIKE ? ESCAPE '\\'", [Value::Text(pattern(name))]);
            }
            exact => self.and_if("name = ?", exact),
        }
    }

    /// Has all of these tags.
    pub(crate) fn tagged(&mut self, kind: ResourceKind, resource: &str, tags: &[TagFilter]) {
        for tag in tags {
            let (and_value, value) = match &tag.value {
                Some(value) => (" AND wanted.value = ?", Some(text(value))),
                None => ("", None),
            };
            // IN, so that a list can begin with the tag: few resources have it, as a rule.
            self.and(
                format!(
                    "{resource} IN (SELECT wanted.resource FROM tags wanted \
                     WHERE wanted.kind = ? AND wanted.key = ?{and_value})"
                ),
                [text(kind.name()), text(&tag.key)].into_iter().chain(value),
            );
        }
    }
}

fn pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        match c {
            '*' => pattern.push('%'),
            '%' | '_' | '\\' => pattern.extend(['\\', c]),
            c => pattern.push(c),
        }
    }
    pattern
}
