//! What is said of one call.

use serde::{Serialize, Serializer};

/// No text in a line has more characters: a longer one is cut, and ends in `…`.
pub const MAX_CHARS: usize = 256;

/// A line names no more resources: of more it says how many.
pub const MAX_RESOURCES: usize = 100;

/// One call, as it was answered. What is not known is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<'a> {
    /// Whose resources the call was about.
    pub account: &'a str,
    /// Who called, such as `acs:ram::1234567890123456:user/alice`.
    pub identity: &'a str,
    /// The key that signed the request.
    pub access_key_id: &'a str,
    /// Where the request came from.
    pub source_ip: &'a str,
    /// What the client calls itself.
    pub user_agent: Option<&'a str>,
    /// Whether the request came by TLS.
    pub tls: bool,
    /// The API's family.
    pub product: &'a str,
    /// The API.
    pub action: &'a str,
    /// What the call was about.
    pub resources: &'a [String],
    /// The HTTP status of the answer.
    pub status: u16,
    /// The error code, empty where there was no error.
    pub code: &'a str,
    /// The id in the answer.
    pub request_id: &'a str,
    /// How long it took.
    pub milliseconds: u64,
}

impl Entry<'_> {
    /// The members of the line's object that follow its head, without braces.
    pub(crate) fn members(&self) -> String {
        let shown = &self.resources[..self.resources.len().min(MAX_RESOURCES)];
        let members = Members {
            account: Cut(self.account),
            identity: Cut(self.identity),
            access_key_id: Cut(self.access_key_id),
            source_ip: Cut(self.source_ip),
            user_agent: self.user_agent.map(Cut),
            tls: self.tls,
            product: Cut(self.product),
            action: Cut(self.action),
            resources: Texts(shown),
            resources_left_out: self.resources.len() - shown.len(),
            status: self.status,
            code: Cut(self.code),
            request_id: Cut(self.request_id),
            milliseconds: self.milliseconds,
        };
        let object = serde_json::to_string(&members).expect("texts and numbers have a JSON form");
        object[1..object.len() - 1].to_owned()
    }
}

#[derive(Serialize)]
struct Members<'a> {
    account: Cut<'a>,
    identity: Cut<'a>,
    access_key_id: Cut<'a>,
    source_ip: Cut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cut<'a>>,
    tls: bool,
    product: Cut<'a>,
    action: Cut<'a>,
    resources: Texts<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    resources_left_out: usize,
    status: u16,
    code: Cut<'a>,
    request_id: Cut<'a>,
    milliseconds: u64,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

struct Cut<'a>(&'a str);

impl Serialize for Cut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0;
        // As many bytes are no more characters.
        if text.len() <= MAX_CHARS {
            return serializer.serialize_str(text);
        }
        let mut ends = text.char_indices().map(|(at, _)| at).skip(MAX_CHARS - 1);
        match (ends.next(), ends.next()) {
            (Some(end), Some(_)) => serializer.serialize_str(&format!("{}…", &text[..end])),
            _ => serializer.serialize_str(text),
        }
    }
}

struct Texts<'a>(&'a [String]);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|text| Cut(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entry: &Entry) -> serde_json::Value {
        serde_json::from_str(&format!("{{{}}}", entry.members())).unwrap()
    }

    #[test]
    fn what_a_client_chose_is_cut_and_escaped() {
        for (text, expected) in [
            ("x".repeat(MAX_CHARS), "x".repeat(MAX_CHARS)),
            ("x".repeat(MAX_CHARS + 1), "x".repeat(MAX_CHARS - 1) + "…"),
            ("ü".repeat(MAX_CHARS), "ü".repeat(MAX_CHARS)),
            ("ü".repeat(9 * MAX_CHARS), "ü".repeat(MAX_CHARS - 1) + "…"),
            ("a\"}\n{\"seq\":1".to_owned(), "a\"}\n{\"seq\":1".to_owned()),
        ] {
            let entry = Entry { action: &text, user_agent: Some(&text), ..Entry::default() };
            assert!(!entry.members().contains('\n'));
            assert_eq!(read(&entry)["action"], expected);
            assert_eq!(read(&entry)["user_agent"], expected);
        }
    }

    #[test]
    fn only_so_many_resources_are_named() {
        let resources = vec!["d-1".to_owned(); MAX_RESOURCES + 2];
        let few = read(&Entry { resources: &resources[..2], ..Entry::default() });
        assert_eq!(few["resources"], serde_json::json!(["d-1", "d-1"]));
        assert!(few.get("resources_left_out").is_none() && few.get("user_agent").is_none());
        let many = read(&Entry { resources: &resources, ..Entry::default() });
        assert_eq!(many["resources"].as_array().unwrap().len(), MAX_RESOURCES);
        assert_eq!(many["resources_left_out"], 2);
    }
}
