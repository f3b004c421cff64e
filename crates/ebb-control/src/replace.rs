//! ReplaceSystemDisk: an instance gets another system disk, from an image, and the old one goes.
//!
//! ```text
//!   one commit    the old disk Deleting, off the instance     the new one Creating, on it
//!   engine                                                    its volume is made
//!   one commit                                                In_use: durable, and answered
//!   engine        its volume goes; a start carries it out
//! ```

use ebb_domain::{
    Account, Attachment, Denied, Disk, DiskId, DiskKind, DiskStatus, Field, ImageId, Instance,
    InstanceId, InstanceStatus, NewDisk, SYSTEM_DEVICE, SizeRequest, disk_size,
};
use ebb_store::{Durability, Tx};

use crate::control::{account, check_disk_quota, find_instance};
use crate::data_keys::{DataKeys, Halt};
use crate::disk::replayed_disk;
use crate::encryption::of_image;
use crate::run::{SYSTEM_DISK_GIB_MAX, Source};
use crate::{ClientToken, Control, ControlError, Scope, Step};

/// ReplaceSystemDisk.
#[derive(Debug, Clone)]
pub struct ReplaceSystemDisk {
    /// InstanceId
    pub instance: InstanceId,
    /// ImageId
    pub image: ImageId,
    /// SystemDisk.Size; that of the old one, or the image's if that is larger, where it is `None`
    pub size_gib: Option<i64>,
    /// Encrypted
    pub encrypted: Option<bool>,
    /// KMSKeyId
    pub key: Option<String>,
    /// ClientToken
    pub token: Option<ClientToken>,
}

/// What is known once the old disk says Deleting and the new one Creating.
struct Intended {
    instance: Instance,
    old: Disk,
    new: Disk,
}

impl Control {
    /// Gives a stopped instance a new system disk. The old one and its automatic snapshots are
    /// gone when this returns, or where the engine cannot delete it now, with the next start; its
    /// other snapshots stay.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which the instance has the disk that it had.
    pub fn replace_system_disk(
        &self,
        scope: &Scope,
        request: &ReplaceSystemDisk,
    ) -> Result<DiskId, ControlError> {
        if request.key.is_some() && request.encrypted != Some(true) {
            return Err(Denied::KeyWithoutEncryption.into());
        }
        let token = request.token.as_ref();
        let (owner, durability) = (&scope.account, Durability::Recoverable);
        let intended = self.write_with_data_keys(owner, durability, |tx, keys| {
            if let Some(made) = self.replay(tx, &scope.account, token)? {
                return Ok(Err(replayed_disk(tx, &made)?));
            }
            Ok(Ok(self.intend_replace(tx, keys, scope, request)?))
        })?;
        let Intended { instance, old, new } = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        self.pass(Step::DiskIntended);
        if let Err(error) = self.make_volume(&new) {
            self.undo_replace(scope, token, &instance, &old, &new)?;
            return Err(error);
        }
        self.pass(Step::VolumeMade);
        self.store.write(Durability::Durable, |tx| self.rest_disk(tx, &new.id))?;
        // Only now that no power loss can bring it back.
        match self.finish_delete_disk(&old.id) {
            Err(error) if error.is_undone() => {
                tracing::error!(disk = %old.id, %error, "replaced, and goes with the next start");
            }
            other => other?,
        }
        Ok(new.id)
    }

    fn intend_replace(
        &self,
        tx: &Tx<'_>,
        keys: &mut DataKeys,
        scope: &Scope,
        request: &ReplaceSystemDisk,
    ) -> Result<Intended, Halt> {
        let (owner, region) = (&scope.account, self.given_region(scope)?);
        let before = find_instance(tx, owner, region.as_ref(), &request.instance)?
            .ok_or(Denied::InstanceNotFound)?;
        let source = Source::find(tx, owner, &before.region, &request.image)?;
        let is_system = |disk: &Disk| disk.kind == DiskKind::System;
        let mut old = tx
            .disks_of_instance(&before.id)?
            .into_iter()
            .find(is_system)
            .ok_or(Denied::NoSystemDisk)?;
        let account = account(tx, owner)?;
        check_replace(&account, &before, &old, tx.has_unfinished_snapshot(&old.id)?)?;
        let asked = NewDisk {
            encrypted: request.encrypted,
            key: request.key.clone(),
            ..NewDisk::default()
        };
        let encryption = match &source.system {
            None => keys.of_new(tx, owner, &before.region, &asked)?,
            Some(id) => of_image(tx, owner, &before.region, &asked, id)?,
        };
        let new = Disk { encryption, ..self.successor(&old, &before, request, source)? };
        let more_gib = new.size_gib.saturating_sub(old.size_gib);
        check_disk_quota(tx, &account, more_gib.into())?;
        keys.keep(tx, owner)?;
        let kept = old.clone();
        old.attachments.clear();
        old.status = DiskStatus::Deleting;
        tx.save_disk(&old)?;
        tx.insert_disk(&new)?;
        let instance = Instance { image: request.image.clone(), ..before.clone() };
        tx.save_instance(&instance)?;
        self.remember(tx, owner, request.token.as_ref(), vec![new.id.to_string()])?;
        Ok(Intended { instance: before, old: kept, new })
    }

    /// Of the old disk's category and level.
    fn successor(
        &self,
        old: &Disk,
        instance: &Instance,
        request: &ReplaceSystemDisk,
        source: Source,
    ) -> Result<Disk, Denied> {
        let least = i64::from(source.size_gib);
        let asked = request.size_gib.unwrap_or_else(|| least.max(old.size_gib.into()));
        if (1..least).contains(&asked) {
            return Err(Denied::SmallerThanImage);
        }
        let size = SizeRequest {
            category: old.category,
            level: old.performance_level,
            size_gib: Some(asked),
            multi_attach: false,
        };
        let (size_gib, level) = disk_size(size, None)
            .ok()
            .filter(|_| asked <= SYSTEM_DISK_GIB_MAX)
            .ok_or(Denied::Malformed(Field::SystemDiskSize))?;
        let now = self.now();
        Ok(Disk {
            id: DiskId::mint(self.random()),
            size_gib,
            performance_level: level,
            status: DiskStatus::Creating,
            source_snapshot: source.system,
            cloned_from: None,
            image: Some(request.image.clone()),
            created_at: now,
            attached_at: Some(now),
            detached_at: None,
            attachments: vec![Attachment {
                instance: instance.id.clone(),
                device: SYSTEM_DEVICE.to_owned(),
                at: now,
            }],
            volume: self.new_engine_id(),
            ..old.clone()
        })
    }

    fn undo_replace(
        &self,
        scope: &Scope,
        token: Option<&ClientToken>,
        before: &Instance,
        old: &Disk,
        new: &Disk,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Recoverable, |tx| {
            self.forget(tx, &scope.account, token)?;
            tx.remove_disk(&new.id, self.now())?;
            if let Some(found) = tx.disk(&old.id)? {
                let (status, attachments) = (old.status.clone(), old.attachments.clone());
                tx.save_disk(&Disk { status, attachments, ..found })?;
            }
            if let Some(found) = tx.instance(&before.id)? {
                tx.save_instance(&Instance { image: before.image.clone(), ..found })?;
            }
            Ok(())
        })
    }
}

/// A lock for security does not forbid it (api.md §3.1).
fn check_replace(
    account: &Account,
    instance: &Instance,
    old: &Disk,
    unfinished_snapshot: bool,
) -> Result<(), Denied> {
    if instance.expired || account.arrears {
        return Err(Denied::InstanceExpired);
    }
    if instance.status != InstanceStatus::Stopped {
        return Err(Denied::InstanceStatus);
    }
    if old.status != DiskStatus::InUse {
        return Err(Denied::DiskStatus);
    }
    if unfinished_snapshot { Err(Denied::DiskCreatingSnapshot) } else { Ok(()) }
}
