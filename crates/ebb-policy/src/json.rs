//! The JSON of a document: a tree in which no member is there twice, and how it is walked.
//!
//! With a usual JSON value the second of two `Condition` would silently take the first's place,
//! and with it a restriction that somebody wrote down. So the tree is read by a visitor of its
//! own. serde_json bounds the depth (128), and the length is checked before.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::error::PolicyError;

#[derive(Debug)]
pub(crate) enum Json {
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
    /// A number, a boolean or null: no document has one.
    Other,
}

/// Part of a document, and where it is.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    json: &'a Json,
    at: String,
}

impl Json {
    /// Reads a document of at most `limit` characters, white space and all.
    pub(crate) fn parse(text: &str, limit: usize) -> Result<Self, PolicyError> {
        let chars = text.chars().count();
        if chars > limit {
            let what = format!("has {chars} characters, more than {limit}");
            return Err(PolicyError::new("", what));
        }
        serde_json::from_str(text)
            .map_err(|error| PolicyError::new("", format!("is not JSON as it must be: {error}")))
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node { json: self, at: String::new() }
    }
}

impl<'a> Node<'a> {
    pub(crate) fn refuse(&self, what: impl Into<String>) -> PolicyError {
        PolicyError::new(self.at.clone(), what)
    }

    pub(crate) fn text(&self) -> Result<&'a str, PolicyError> {
        match self.json {
            Json::Text(text) => Ok(text),
            Json::Other => Err(self.refuse("must be a string: what is not one is quoted as well")),
            Json::List(_) | Json::Object(_) => Err(self.refuse("must be a string")),
        }
    }

    /// The elements of a list that has some.
    pub(crate) fn list(&self) -> Result<Vec<Node<'a>>, PolicyError> {
        let Json::List(elements) = self.json else {
            return Err(self.refuse("must be a list"));
        };
        if elements.is_empty() {
            return Err(self.refuse("must not be empty"));
        }
        let nodes = elements.iter().enumerate();
        Ok(nodes.map(|(at, json)| Node { json, at: format!("{}[{at}]", self.at) }).collect())
    }

    /// One string, or a list of them.
    pub(crate) fn one_or_more(&self) -> Result<Vec<Node<'a>>, PolicyError> {
        match self.json {
            Json::List(_) => self.list(),
            json => Ok(vec![Node { json, at: self.at.clone() }]),
        }
    }

    /// The members of an object that has some.
    pub(crate) fn members(&self) -> Result<Vec<(&'a str, Node<'a>)>, PolicyError> {
        let Json::Object(members) = self.json else {
            return Err(self.refuse("must be an object"));
        };
        if members.is_empty() {
            return Err(self.refuse("must not be empty"));
        }
        let dot = if self.at.is_empty() { "" } else { "." };
        let node = |name: &str, json| Node { json, at: format!("{}{dot}{name}", self.at) };
        Ok(members.iter().map(|(name, json)| (name.as_str(), node(name, json))).collect())
    }

    /// The members of an object that may have these and no others, in this order.
    pub(crate) fn only<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<Node<'a>>; N], PolicyError> {
        let mut found = [const { None }; N];
        for (name, node) in self.members()? {
            let Some(place) = names.iter().position(|known| *known == name) else {
                let what = format!("is not known; there may be {}", names.join(", "));
                return Err(node.refuse(what));
            };
            found[place] = Some(node);
        }
        Ok(found)
    }

    pub(crate) fn required(&self, name: &str, found: Option<Self>) -> Result<Self, PolicyError> {
        found.ok_or_else(|| self.refuse(format!("lacks {name}")))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = from.next_element()? {
            elements.push(element);
        }
        Ok(Json::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some(name) = from.next_key::<String>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format_args!("{name} is there twice")));
            }
            members.push((name, from.next_value()?));
        }
        Ok(Json::Object(members))
    }
}
