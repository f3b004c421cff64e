//! Every shape of a field, through the derive.

use super::*;

/// A probe
/// of all shapes.
#[derive(Debug, ebb_api_derive::Params)]
struct Probe {
    /// Which disk.
    disk_id: String,
    #[param(name = "KMSKeyId")]
    kms_key_id: Option<String>,
    size: Option<u32>,
    dry_run: Option<bool>,
    tag: Vec<Tag>,
    instance_id: Repeat<u32>,
    #[param(name = "timePoints")]
    time_points: Option<JsonList<u32>>,
    #[param(flat)]
    system_disk: Option<SystemDisk>,
    note: Option<Note>,
}

#[derive(Debug, PartialEq, ebb_api_derive::Params)]
struct Tag {
    key: String,
    value: Option<String>,
}

#[derive(Debug, PartialEq, ebb_api_derive::Params)]
struct SystemDisk {
    size: u32,
}

#[derive(Debug, ebb_api_derive::Params)]
struct Strict {
    #[param(missing = "MissingParamter.RegionId")]
    region_id: String,
    #[param(required, missing = no_resource)]
    resource_id: Repeat<String>,
    #[param(required)]
    tag: Vec<Tag>,
    #[param(flat)]
    system_disk: SystemDisk,
}

fn no_resource(key: &str) -> ApiError {
    ApiError::new(404, "MissingParameter.ResourceIds", format!("{key} is not there."))
}

/// A text that can be cleared.
#[derive(Debug, PartialEq)]
struct Note(String);

impl Scalar for Note {
    const TAKES_EMPTY: bool = true;

    fn parse(raw: &str, _key: &str) -> Result<Self, ApiError> {
        Ok(Self(raw.to_owned()))
    }
}

fn params(query: &str) -> Params {
    Params::from_pairs(query.split('&').filter_map(|pair| pair.split_once('='))).unwrap()
}

fn read<T: FromParams>(query: &str) -> Result<T, ApiError> {
    T::from_params(&params(query))
}

fn refusal<T: FromParams + std::fmt::Debug>(query: &str) -> (u16, String, String) {
    let error = read::<T>(query).unwrap_err();
    (error.status, error.code.into_owned(), error.message.into_owned())
}

fn missing(key: &str) -> (u16, String, String) {
    let message = format!(
        "The input parameter \"{key}\" that is mandatory for processing this request is not \
         supplied."
    );
    (400, "MissingParameter".to_owned(), message)
}

fn invalid(query: &str, key: &str) -> String {
    let (status, code, message) = refusal::<Probe>(query);
    assert_eq!((status, code.as_str()), (400, "InvalidParameter"), "{query}");
    let head = format!("The specified parameter \"{key}\" is not valid. Expected ");
    message.strip_prefix(&head).expect(&message).to_owned()
}

#[test]
fn every_shape_is_read() {
    let probe: Probe = read(
        "DiskId=d-1&KMSKeyId=k&Size=40&DryRun=True&Tag.1.Key=a&Tag.1.Value=b&Tag.2.Key=c\
         &InstanceId.1=7&InstanceId.2=8&timePoints=[1,\"23\"]&SystemDisk.Size=20&Note=&Unknown.1=x",
    )
    .unwrap();
    assert_eq!(probe.disk_id, "d-1");
    assert_eq!(probe.kms_key_id.as_deref(), Some("k"));
    assert_eq!(probe.size, Some(40));
    assert_eq!(probe.dry_run, Some(true));
    let tag = |key: &str, value: Option<&str>| Tag {
        key: key.to_owned(),
        value: value.map(str::to_owned),
    };
    assert_eq!(probe.tag, [tag("a", Some("b")), tag("c", None)]);
    assert_eq!(probe.instance_id, Repeat(vec![7, 8]));
    assert_eq!(probe.time_points, Some(JsonList(vec![1, 23])));
    assert_eq!(probe.system_disk, Some(SystemDisk { size: 20 }));
    assert_eq!(probe.note, Some(Note(String::new())));
}

#[test]
fn optional_shapes_may_be_absent_or_empty() {
    let probe: Probe = read("DiskId=d-1&Size=&DryRun=&timePoints=&KMSKeyId=").unwrap();
    assert_eq!((probe.size, probe.dry_run, probe.kms_key_id), (None, None, None));
    assert_eq!((probe.tag.len(), probe.instance_id), (0, Repeat(vec![])));
    assert_eq!((probe.time_points, probe.system_disk, probe.note), (None, None, None));
}

#[test]
fn first_letters_may_be_lower_case() {
    let probe: Probe = read(
        "diskId=d-1&tag.1.key=a&Tag.2.key=b&TimePoints=[5]&systemDisk.size=9&instanceId.1=3\
         &kMSKeyId=k",
    )
    .unwrap();
    assert_eq!(probe.disk_id, "d-1");
    assert_eq!(probe.tag.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(probe.time_points, Some(JsonList(vec![5])));
    assert_eq!(probe.system_disk, Some(SystemDisk { size: 9 }));
    assert_eq!(probe.instance_id, Repeat(vec![3]));
    assert_eq!(probe.kms_key_id.as_deref(), Some("k"));
}

#[test]
fn lists_keep_the_order_of_their_numbers_and_may_have_gaps() {
    let probe: Probe =
        read("DiskId=d&InstanceId.10=10&InstanceId.9=9&InstanceId.2=&InstanceId.1000=4").unwrap();
    assert_eq!(probe.instance_id, Repeat(vec![9, 10, 4]));
    let probe: Probe = read("DiskId=d&Tag.12.Key=z&Tag.3.Key=y").unwrap();
    assert_eq!(probe.tag.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>(), ["y", "z"]);
}

#[test]
fn list_numbers_out_of_range_are_refused() {
    let numbered = "entries numbered from 1 to 1000, without leading zeros.";
    for number in ["0", "01", "1001", "99999999999999999999999"] {
        let key = format!("InstanceId.{number}");
        assert_eq!(invalid(&format!("DiskId=d&{key}=1"), &key), numbered);
        let key = format!("Tag.{number}.Key");
        assert_eq!(invalid(&format!("DiskId=d&{key}=1"), &key), numbered);
    }
    let probe: Probe = read("DiskId=d&Tag.x.Key=1&Tag.1=2&InstanceId.=3&InstanceId.1.A=4").unwrap();
    assert_eq!((probe.tag.len(), probe.instance_id.0.len()), (0, 0), "unknown names are ignored");
}

#[test]
fn missing_and_empty_mandatory_parameters_are_named() {
    assert_eq!(refusal::<Probe>("Size=1"), missing("DiskId"));
    assert_eq!(refusal::<Probe>("DiskId="), missing("DiskId"));
    assert_eq!(refusal::<Probe>("DiskId=d&Tag.3.Value=x"), missing("Tag.3.Key"));
    assert_eq!(refusal::<Probe>("DiskId=d&SystemDisk.Category=x"), missing("SystemDisk.Size"));
}

#[test]
fn a_field_can_have_its_own_missing_code() {
    let (status, code, message) = refusal::<Strict>("ResourceId.1=r");
    assert_eq!((status, code), (400, "MissingParamter.RegionId".to_owned()));
    assert_eq!(message, missing("RegionId").2);
    let not_there = "ResourceId is not there.".to_owned();
    let expected = (404, "MissingParameter.ResourceIds".to_owned(), not_there);
    assert_eq!(refusal::<Strict>("RegionId=r"), expected);
    assert_eq!(refusal::<Strict>("RegionId=r&ResourceId.1="), expected);
    assert_eq!(refusal::<Strict>("RegionId=r&ResourceId.1=x"), missing("Tag"));
    let rest = "RegionId=r&ResourceId.1=x&Tag.1.Key=k";
    assert_eq!(refusal::<Strict>(rest), missing("SystemDisk.Size"));
    let strict: Strict = read(&format!("{rest}&SystemDisk.Size=1")).unwrap();
    assert_eq!(strict.region_id, "r");
    assert_eq!(strict.resource_id.0, ["x"]);
    assert_eq!(strict.tag.len(), 1);
    assert_eq!(strict.system_disk.size, 1);
}

#[test]
fn bad_values_are_refused_with_what_is_accepted() {
    for bad in ["-1", "+1", "1.0", " 1", "0x1", "4294967296", "é"] {
        let expected = invalid(&format!("DiskId=d&Size={bad}"), "Size");
        assert_eq!(expected, "a decimal integer from 0 to 4294967295.", "{bad}");
    }
    assert_eq!(invalid("DiskId=d&DryRun=yes", "DryRun"), "true or false.");
    assert_eq!(
        invalid("DiskId=d&InstanceId.2=x", "InstanceId.2"),
        "a decimal integer from 0 to 4294967295."
    );
    assert_eq!(
        invalid("DiskId=d&SystemDisk.Size=x", "SystemDisk.Size"),
        "a decimal integer from 0 to 4294967295."
    );
    let long = format!("[{}0]", "0,".repeat(1000));
    for bad in ["5", "[true]", "[[1]]", "[1", "{}", "null", long.as_str()] {
        let expected = invalid(&format!("DiskId=d&timePoints={bad}"), "timePoints");
        assert_eq!(expected, "a JSON array of at most 1000 values, such as [\"a\",\"b\"].");
    }
    assert_eq!(integer_in("-5", "X", -5..=5), Ok(-5));
    let error = integer_in("6", "X", -5..=5).unwrap_err();
    assert!(error.message.ends_with("Expected a decimal integer from -5 to 5."), "{error}");
}

#[test]
fn a_name_given_twice_is_refused() {
    for pairs in [[("A", "1"), ("A", "1")], [("Tag.1.Key", "1"), ("Tag.1.key", "2")]] {
        let error = Params::from_pairs(pairs).err().unwrap();
        assert_eq!((error.status, &*error.code), (400, "InvalidParameter"));
        assert!(error.message.contains(&format!("\"{}\"", pairs[1].0)), "{error}");
    }
}

#[test]
fn the_table_describes_the_struct() {
    assert_eq!((Probe::NAME, Probe::DOC), ("Probe", "A probe of all shapes."));
    let table: Vec<_> = Probe::PARAMS.iter().map(|def| (def.name, def.required)).collect();
    assert_eq!(
        table,
        [
            ("DiskId", true),
            ("KMSKeyId", false),
            ("Size", false),
            ("DryRun", false),
            ("Tag", false),
            ("InstanceId", false),
            ("timePoints", false),
            ("SystemDisk", false),
            ("Note", false),
        ]
    );
    assert_eq!(Probe::PARAMS[0].doc, "Which disk.");
    assert!(matches!(Probe::PARAMS[2].kind, Kind::Integer));
    assert!(matches!(Probe::PARAMS[3].kind, Kind::Boolean));
    assert!(matches!(Probe::PARAMS[4].kind, Kind::Structs([ParamDef { name: "Key", .. }, _])));
    assert!(matches!(Probe::PARAMS[5].kind, Kind::Repeat(Kind::Integer)));
    assert!(matches!(Probe::PARAMS[6].kind, Kind::JsonList(Kind::Integer)));
    assert!(matches!(Probe::PARAMS[7].kind, Kind::Flat([ParamDef { name: "Size", .. }])));
    assert!(Strict::PARAMS.iter().all(|def| def.required));
}

#[test]
fn the_fingerprint_is_that_of_what_was_asked() {
    let print = |query: &str| params(query).business().fingerprint();
    let base = print("DiskId=d-1&Size=5");
    assert_eq!(base, print("Size=5&diskId=d-1&ClientToken=x&Timestamp=now&SignatureNonce=1"));
    assert_ne!(base, print("DiskId=d-1&Size=6"));
    assert_ne!(base, print("DiskId=d-1"));
    assert_ne!(print("AB=c&D=e"), print("A=Bc&D=e"));
}
