//! Proofreads the tables against the service's catalogue of errors, where it is at hand. Of
//! operations that it does not have, our own list gives each error with its reason.

use std::collections::HashMap;
use std::path::Path;

use ebb_store::StoreError;
use ebb_volume::{EngineError, VolumeId};

use super::{COMMON, refusals};
use crate::ops::FAMILIES;

type Catalogue = HashMap<(String, String), Vec<(u16, String)>>;

/// (operation, code) to the (status, message) pairs that the catalogue has.
fn catalogue() -> Option<Catalogue> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/ecs");
    let Ok(text) = std::fs::read_to_string(folder.join("errors.tsv")) else {
        eprintln!("skipped: the catalogue of errors is not beside this checkout");
        return None;
    };
    let ecs = text.lines().skip(1).filter_map(|line| line.strip_prefix("ecs\t"));
    let unrecorded =
        include_str!("../../../../tests/fixtures/unrecorded_errors.tsv").lines().skip(1);
    let mut found = Catalogue::new();
    for line in ecs.chain(unrecorded) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [action, status, code, message, ..] = fields[..] else { continue };
        found
            .entry((action.to_owned(), code.to_owned()))
            .or_default()
            .push((status.parse().unwrap(), message.to_owned()));
    }
    for operation in FAMILIES.iter().copied().flatten() {
        add_metadata(&mut found, &folder, operation.name);
    }
    Some(found)
}

/// What the operation's own metadata lists, where the catalogue has less.
fn add_metadata(catalogue: &mut Catalogue, folder: &Path, operation: &str) {
    let path = folder.join("ops").join(operation).with_extension("json");
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    for error in metadata["errors"].as_array().unwrap() {
        let [code, message] = ["code", "message"].map(|key| error[key].as_str().unwrap());
        let status = error["http"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap();
        let at = (operation.to_owned(), code.to_owned());
        catalogue.entry(at).or_default().push((status, message.to_owned()));
    }
}

#[test]
fn every_row_is_in_the_catalogue() {
    let Some(catalogue) = catalogue() else { return };
    let mut rows = 0;
    for operation in FAMILIES.iter().copied().flatten() {
        for row in refusals(operation.name) {
            rows += 1;
            let key = (operation.name.to_owned(), row.code.to_owned());
            let known = catalogue.get(&key).unwrap_or_else(|| panic!("{key:?} is not in it"));
            let fits = known.iter().any(|(status, message)| {
                *status == row.status && (message.contains("%s") || message.trim() == row.message)
            });
            assert!(fits, "{key:?}: {} {:?} against {known:?}", row.status, row.message);
        }
    }
    assert!(rows > 150, "only {rows} rows were read");
}

#[test]
fn no_operation_has_a_code_twice() {
    for operation in FAMILIES.iter().copied().flatten() {
        let mut codes: Vec<_> = refusals(operation.name).iter().map(|row| row.code).collect();
        codes.sort_unstable();
        let before = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), before, "{}", operation.name);
    }
}

#[test]
fn common_rows_are_not_the_tables_own() {
    let mut codes: Vec<_> = COMMON.iter().map(|row| row.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), COMMON.len());
}

/// An engine that goes on, as one of Ceph does when the cluster is silent.
#[test]
fn an_engine_that_failed_is_a_temporary_failure() {
    let failed = EngineError::Failed("osd.7".into());
    let lost = EngineError::OutcomeUnknown("osd.7".into());
    for (error, says) in [(failed, "temporary"), (lost, "is not known")] {
        let answer = super::refused("ResetDisk")(error.into());
        assert_eq!((answer.status, &*answer.code), (503, "ServiceUnavailable"));
        assert!(answer.message.contains(says) && !answer.message.contains("osd"));
        assert!(answer.detail().is_some_and(|detail| detail.contains("osd.7")));
    }
    let in_use = super::refused("ResetDisk")(EngineError::InUse(VolumeId(7)).into());
    assert_eq!((in_use.status, &*in_use.code), (503, "ServiceUnavailable"));
    let stopped = super::refused("ResetDisk")(EngineError::Stopped("for good".into()).into());
    assert_eq!((stopped.status, &*stopped.code), (500, "InternalError"));
}

/// SDKs try again from 500 on; what a store says of where it is, is for the log.
#[test]
fn a_store_that_is_away_is_a_temporary_failure() {
    let away = StoreError::Unavailable("postgres://secret".into());
    let lost = StoreError::OutcomeUnknown("postgres://secret".into());
    for (error, says) in [(away, "temporary"), (lost, "is not known")] {
        let answer = super::refused("DeleteDisk")(error.into());
        assert_eq!((answer.status, &*answer.code), (503, "ServiceUnavailable"));
        assert!(answer.message.contains(says) && !answer.message.contains("secret"));
        assert!(answer.detail().is_some_and(|detail| detail.contains("secret")));
    }
}
