//! Replies and errors as JSON and XML, from one tree.
//!
//! ```text
//! {"Disks":{"Disk":[{"DiskId":"d-1"},{"DiskId":"d-2"}]}}
//! <Disks><Disk><DiskId>d-1</DiskId></Disk><Disk><DiskId>d-2</DiskId></Disk></Disks>
//! ```
//!
//! An array under the key K is K repeated, which is all that XML needs of ECS's two-level lists; an
//! empty one leaves its wrapper. A null is not written in XML.
//!
//! Deliberately not here: escaping of element names. Keys are field names of our own types.

use serde_json::{Map, Value};

use crate::{ApiError, RequestId};

/// What the client wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Xml,
}

impl Format {
    /// The spelling with the charset, byte for byte: the newer SDKs compare it exactly.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }

    /// A reply, with RequestId first.
    ///
    /// # Errors
    /// A reply that is not an object has no place for the RequestId: a fault of the operation's.
    pub(crate) fn success(
        self,
        action: &str,
        request_id: &RequestId,
        reply: Value,
    ) -> Result<String, ApiError> {
        let fields = match reply {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            _ => return Err(ApiError::internal(format_args!("{action} replied with no object"))),
        };
        let mut all = Map::new();
        all.insert("RequestId".to_owned(), request_id.as_str().into());
        all.extend(fields);
        Ok(self.write(&format!("{action}Response"), Value::Object(all)))
    }

    /// An error's five fields, all strings: one SDK panics on anything else.
    pub(crate) fn failure(
        self,
        error: &ApiError,
        request_id: &RequestId,
        host: &str,
        product: &str,
    ) -> String {
        let recommend = format!(
            "https://api.aliyun.com/troubleshoot?q={}&product={product}&requestId={request_id}",
            error.code
        );
        let fields = [
            ("RequestId", request_id.as_str()),
            ("HostId", host),
            ("Code", &error.code),
            ("Message", &error.message),
            ("Recommend", &recommend),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
        self.write("Error", Value::Object(fields.collect()))
    }

    fn write(self, root: &str, tree: Value) -> String {
        match self {
            Self::Json => tree.to_string(),
            Self::Xml => {
                let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
                element(&mut out, root, &tree);
                out
            }
        }
    }
}

fn element(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Array(entries) => entries.iter().for_each(|entry| entry_of(out, name, entry)),
        Value::Object(fields) => wrap(out, name, |out| {
            fields.iter().for_each(|(name, value)| element(out, name, value));
        }),
        Value::String(text) => wrap(out, name, |out| escape(out, text)),
        Value::Bool(_) | Value::Number(_) => {
            wrap(out, name, |out| out.push_str(&value.to_string()))
        }
    }
}

/// A list in a list is an element of its own, so that the inner lists stay apart.
fn entry_of(out: &mut String, name: &str, entry: &Value) {
    match entry {
        Value::Array(_) => wrap(out, name, |out| element(out, name, entry)),
        _ => element(out, name, entry),
    }
}

fn wrap(out: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    out.extend(["<", name, ">"]);
    content(out);
    out.extend(["</", name, ">"]);
}

/// What XML 1.0 cannot hold in any spelling becomes U+FFFD: better one lost control character than
/// a document that no parser reads. A bare carriage return would be read back as a line feed.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn xml(reply: Value) -> String {
        let id = RequestId::random();
        let text = Format::Xml.success("Probe", &id, reply).unwrap();
        let head = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ProbeResponse><RequestId>{id}</RequestId>"
        );
        text.strip_prefix(&head).unwrap().strip_suffix("</ProbeResponse>").unwrap().to_owned()
    }

    #[test]
    fn xml_repeats_a_key_for_each_entry() {
        let reply = json!({"TotalCount": 2, "Disks": {"Disk": [
            {"DiskId": "d-1", "Encrypted": false}, {"DiskId": "d-2", "Encrypted": true}]}});
        assert_eq!(
            xml(reply),
            "<TotalCount>2</TotalCount><Disks>\
             <Disk><DiskId>d-1</DiskId><Encrypted>false</Encrypted></Disk>\
             <Disk><DiskId>d-2</DiskId><Encrypted>true</Encrypted></Disk></Disks>"
        );
    }

    #[test]
    fn xml_keeps_the_wrapper_of_an_empty_list_and_drops_null() {
        assert_eq!(
            xml(json!({"Tags": {"Tag": []}, "Gone": null, "NextToken": ""})),
            "<Tags></Tags><NextToken></NextToken>"
        );
    }

    #[test]
    fn xml_nests_lists_in_lists() {
        assert_eq!(xml(json!({"A": [["x", "y"], []]})), "<A><A>x</A><A>y</A></A><A></A>");
    }

    #[test]
    fn xml_escapes_what_it_must() {
        assert_eq!(
            xml(json!({"N": "a<b>&\"'\u{0}\u{1f}\r\n\t\u{7f}é\u{ffff}"})),
            "<N>a&lt;b&gt;&amp;\"'\u{fffd}\u{fffd}&#13;\n\t\u{7f}é\u{fffd}</N>"
        );
    }

    #[test]
    fn json_has_the_request_id_first_and_keeps_types_and_order() {
        let id = RequestId::random();
        let reply = json!({"Zeta": 1, "Alpha": {"Tag": []}, "On": true, "Text": "\u{1}\"<"});
        let expected = format!(
            r#"{{"RequestId":"{id}","Zeta":1,"Alpha":{{"Tag":[]}},"On":true,"Text":"\u0001\"<"}}"#
        );
        assert_eq!(Format::Json.success("Probe", &id, reply).unwrap(), expected);
        let bare = Format::Json.success("Probe", &id, Value::Null).unwrap();
        assert_eq!(bare, format!(r#"{{"RequestId":"{id}"}}"#));
    }

    #[test]
    fn a_reply_that_is_no_object_is_our_fault() {
        let error = Format::Json.success("Probe", &RequestId::random(), json!([1])).unwrap_err();
        assert_eq!((error.status, &*error.code), (500, "InternalError"));
    }

    #[test]
    fn errors_have_five_fields_in_both_formats() {
        let id = RequestId::random();
        let error = ApiError::new(404, "InvalidDiskId.NotFound", "No \"such\" <disk>.");
        let link = format!(
            "https://api.aliyun.com/troubleshoot\
             ?q=InvalidDiskId.NotFound&product=Ecs&requestId={id}"
        );
        let json: Value =
            serde_json::from_str(&Format::Json.failure(&error, &id, "h:1", "Ecs")).unwrap();
        assert_eq!(
            json,
            json!({"RequestId": id.as_str(), "HostId": "h:1", "Code": "InvalidDiskId.NotFound",
                "Message": "No \"such\" <disk>.", "Recommend": link})
        );
        assert_eq!(
            Format::Xml.failure(&error, &id, "h:1", "Ecs"),
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><RequestId>{id}</RequestId>\
                 <HostId>h:1</HostId><Code>InvalidDiskId.NotFound</Code>\
                 <Message>No \"such\" &lt;disk&gt;.</Message><Recommend>{}</Recommend></Error>",
                link.replace('&', "&amp;")
            )
        );
    }
}
