//! Where a volume is: what an operator needs to find it with Ceph's own tools, or to use it without
//! this program.

use ebb_volume::{EngineError, VolumeId};

use crate::RbdEngine;
use crate::ffi::Image;
use crate::records::{
    FlattenRow, ImageRow, Records, SnapshotRow, VolumeRow, flatten_key, id_in, image_key,
    volume_key,
};

/// Names of features, by their bits.
const FEATURES: [(u64, &str); 10] = [
    (1, "layering"),
    (2, "striping"),
    (4, "exclusive-lock"),
    (8, "object-map"),
    (16, "fast-diff"),
    (32, "deep-flatten"),
    (64, "journaling"),
    (128, "data-pool"),
    (256, "operations"),
    (512, "migrating"),
];

/// Where a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The image that it is now.
    pub image: String,
    /// What the names of its objects are made of.
    pub id: String,
    /// The image's features, by name.
    pub features: Vec<&'static str>,
    /// How large it is.
    pub size_bytes: u64,
    /// What it is a clone of, its own parent first: `image@snapshot`, by the snapshot's number
    /// where it was deleted and stays for its clones only.
    pub parents: Vec<String>,
    /// Snapshots of this image and of its parents, oldest first.
    pub snapshots: Vec<Snap>,
    /// How far its flattening is.
    pub flattening: Option<Flattening>,
    /// Addresses of clients that have it open for writing; this engine's own is one of them.
    pub watchers: Vec<String>,
    /// Whether it is open at this engine.
    pub in_use: bool,
}

/// A snapshot of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snap {
    /// The engine's id of it.
    pub snapshot: u64,
    /// `image@snapshot`.
    pub name: String,
    /// How large it is.
    pub size_bytes: u64,
}

/// How far a flattening is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flattening {
    /// Objects that had to be copied.
    pub objects: u64,
    /// How many are left.
    pub left: u64,
}

impl RbdEngine {
    /// Where a volume is. Changes nothing and disturbs nobody.
    ///
    /// # Errors
    /// [`EngineError::NoSuchVolume`], or the cluster does not answer.
    pub fn locate(&self, volume: VolumeId) -> Result<Place, EngineError> {
        self.shared.serving()?;
        let records = self.shared.records();
        let row: Option<VolumeRow> = records.row(&volume_key(volume))?;
        let row = row.ok_or(EngineError::NoSuchVolume(volume))?;
        let rows = records.all::<SnapshotRow>("s/")?;
        let image = Image::open_to_look(&records.pool, &row.image)?;
        let features = image.features()?;
        let parents = parents(records, &row.image)?;
        let of_chain =
            |name: &String| *name == row.image || parents.iter().any(|(parent, _)| parent == name);
        let mut snapshots: Vec<(u64, Snap)> = Vec::new();
        for (key, snap) in rows.iter().filter(|(_, snap)| of_chain(&snap.image)) {
            let (snapshot, size_bytes) = (id_in(key)?, snap.size);
            let name = format!("{}@{}", snap.image, snap.snap);
            snapshots.push((snap.id, Snap { snapshot, name, size_bytes }));
        }
        snapshots.sort_by_key(|(id, _)| *id);
        let named = |(image, id): &(String, u64)| {
            let of = rows.iter().find(|(_, snap)| snap.image == *image && snap.id == *id);
            let name = of.map_or_else(|| format!("#{id}"), |(_, snap)| snap.snap.clone());
            format!("{image}@{name}")
        };
        let flattening: Option<FlattenRow> = records.row(&flatten_key(&row.image))?;
        Ok(Place {
            id: image.id()?,
            features: FEATURES
                .iter()
                .filter(|(bit, _)| features & bit != 0)
                .map(|(_, name)| *name)
                .collect(),
            size_bytes: row.size,
            parents: parents.iter().map(named).collect(),
            snapshots: snapshots.into_iter().map(|(_, snap)| snap).collect(),
            flattening: flattening.map(|row| Flattening { objects: row.objects, left: row.left }),
            watchers: image.watchers()?,
            in_use: self.shared.in_use(volume),
            image: row.image,
        })
    }
}

/// The images that one is a clone of, with the numbers of their snapshots.
fn parents(records: &Records, image: &str) -> Result<Vec<(String, u64)>, EngineError> {
    let mut found = Vec::new();
    let mut row: Option<ImageRow> = records.row(&image_key(image))?;
    while let Some(parent) = row.and_then(|row| row.parent) {
        row = records.row(&image_key(&parent.0))?;
        found.push(parent);
    }
    Ok(found)
}
