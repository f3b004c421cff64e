//! Names of operations and parameters, checked against the table and completed from it: in any
//! case, and as much of a name as tells it from the others.

use ebb_api::{Kind, OperationDef, ParamDef};

use crate::Failure;

/// The operation of that name.
pub(super) fn operation(given: &str) -> Result<&'static OperationDef, Failure> {
    let all = || ebb_api::ops::FAMILIES.iter().copied().flatten();
    let names: Vec<&str> = all().map(|operation| operation.name).collect();
    let name = complete(given, &names, "an operation", "ebb operations lists them")?;
    all().find(|found| found.name == name).ok_or_else(|| format!("no operation {name}").into())
}

/// The whole of a parameter's name: `tag.1.key` is Tag.1.Key.
pub(super) fn parameter(operation: &OperationDef, given: &str) -> Result<String, Failure> {
    let mut parts = given.split('.');
    let first = parts.next().unwrap_or_default();
    // Every operation takes it, whether or not its documentation says so.
    if first.eq_ignore_ascii_case("RegionId") && parts.clone().next().is_none() {
        return Ok("RegionId".to_owned());
    }
    let top = one_of(operation.params, first, operation.name)?;
    let (mut whole, mut kind) = (top.name.to_owned(), top.kind);
    loop {
        kind = match kind {
            Kind::Structs(below) => {
                whole += &index(&whole, parts.next())?;
                Kind::Flat(below)
            }
            Kind::Repeat(of) => {
                whole += &index(&whole, parts.next())?;
                *of
            }
            Kind::Flat(below) => {
                let part = one_of(below, parts.next().unwrap_or_default(), &whole)?;
                whole += &format!(".{}", part.name);
                part.kind
            }
            Kind::String | Kind::Integer | Kind::Boolean | Kind::JsonList(_) => break,
        };
    }
    match parts.next() {
        None => Ok(whole),
        Some(_) => Err(format!("--{given} goes too deep: --{whole} is a value").into()),
    }
}

fn one_of<'d>(known: &'d [ParamDef], given: &str, of: &str) -> Result<&'d ParamDef, Failure> {
    let names: Vec<&str> = known.iter().map(|param| param.name).collect();
    let hint = format!("{of} takes {}", self::names(known));
    let name = complete(given, &names, "a parameter", &hint)?;
    known.iter().find(|param| param.name == name).ok_or_else(|| hint.into())
}

fn names(known: &[ParamDef]) -> String {
    let names: Vec<String> = known.iter().map(|param| format!("--{}", param.name)).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// `.1`, `.2`, …: the next part of a name that is given several times.
fn index(whole: &str, given: Option<&str>) -> Result<String, Failure> {
    let number = given.and_then(|text| text.parse::<u32>().ok()).filter(|number| *number > 0);
    let number =
        number.ok_or_else(|| format!("--{whole} is given as --{whole}.1, --{whole}.2 …"))?;
    Ok(format!(".{number}"))
}

/// The one name that is meant: that one, that one in another case, or the only one that begins so.
fn complete<'n>(
    given: &str,
    known: &[&'n str],
    what: &str,
    hint: &str,
) -> Result<&'n str, Failure> {
    let begins = |name: &&&str| {
        name.get(..given.len()).is_some_and(|start| start.eq_ignore_ascii_case(given))
    };
    if let Some(name) = known.iter().find(|name| name.eq_ignore_ascii_case(given)) {
        return Ok(name);
    }
    let meant: Vec<&str> = known.iter().filter(begins).copied().collect();
    match meant[..] {
        [name] => Ok(name),
        [] => Err(format!("{given:?} is not {what}: {hint}").into()),
        _ => Err(format!("{given:?} may be {}", meant.join(", ")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(action: &str, given: &str) -> Result<String, String> {
        parameter(operation(action).unwrap(), given).map_err(|error| error.to_string())
    }

    #[test]
    fn an_operation_is_known_by_its_beginning_in_any_case() {
        let name = |given| operation(given).map(|found| found.name).map_err(|e| e.to_string());
        assert_eq!(name("ResetDisk"), Ok("ResetDisk"));
        assert_eq!(name("resetdisks"), Ok("ResetDisks"));
        assert_eq!(name("openSnap"), Ok("OpenSnapshotService"));
        let error = "\"ResetD\" may be ResetDiskDefaultKMSKeyId, ResetDisk, ResetDisks";
        assert_eq!(name("ResetD"), Err(error.to_owned()));
        let error = "\"Frobnicate\" is not an operation: ebb operations lists them";
        assert_eq!(name("Frobnicate"), Err(error.to_owned()));
    }

    #[test]
    fn a_parameter_is_known_by_its_beginning_in_any_case() {
        assert_eq!(whole("ResetDisk", "diskid"), Ok("DiskId".to_owned()));
        assert_eq!(whole("ResetDisk", "Snap"), Ok("SnapshotId".to_owned()));
        assert_eq!(whole("ResetDisk", "regionid"), Ok("RegionId".to_owned()));
        let ambiguous = whole("ResetDisk", "D");
        assert_eq!(ambiguous, Err("\"D\" may be DiskId, DryRun".to_owned()));
        let unknown = whole("ResetDisk", "Colour").unwrap_err();
        assert_eq!(
            unknown,
            "\"Colour\" is not a parameter: ResetDisk takes --DiskId, --SnapshotId, --DryRun"
        );
    }

    #[test]
    fn parts_are_completed_too() {
        assert_eq!(whole("CreateDisk", "tag.2.key"), Ok("Tag.2.Key".to_owned()));
        assert_eq!(whole("StartInstances", "instanceid.1"), Ok("InstanceId.1".to_owned()));
        assert_eq!(whole("RunInstances", "systemdisk.size"), Ok("SystemDisk.Size".to_owned()));
        for wrong in ["Tag", "Tag.Key", "Tag.0.Key", "Tag.1", "Tag.1.Colour", "Tag.1.Key.x"] {
            assert!(whole("CreateDisk", wrong).is_err(), "{wrong}");
        }
        assert!(whole("CreateDisk", "Size.1").is_err());
        assert!(whole("StartInstances", "InstanceId").is_err());
    }
}
