//! Servers that share a store, and what each of them has in hand.
//!
//! - A row of `servers` stands for one server from its start to its end. While it lives its `beat`
//!   counts. One that another server takes for gone is marked dead, and from then on none of its
//!   writes is taken ([`StoreError::ShutOut`]): that is checked within each of them.
//! - A row that has something under way names its carrier: the server, and the epoch in which it
//!   put it under way. The carrier changes with the status, and by [`Tx::claim`] alone.
//! - A row of `exports` names the server that has a disk's volume open. That is one at a time.
//!
//! Deliberately not here: time. How long a beat may stand still is for who watches it.

use std::fmt;
use std::sync::Arc;

use ebb_domain::{DiskId, ImageId, InstanceId, SnapshotGroupId, SnapshotId, TaskId};

use crate::filter::Filter;
use crate::row::Row;
use crate::tx::{Value, text};
use crate::{StoreError, Tx};

/// A server's id: a new one for each start, of [`ServerId::LENGTH`] characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(Arc<str>);

impl ServerId {
    /// Characters of every id: what a carrier begins with is found by it.
    pub const LENGTH: usize = 16;

    /// The id with these bits.
    #[must_use]
    pub fn new(bits: u64) -> Self {
        Self(format!("{bits:016x}").into())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a server says of itself, and others of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Which.
    pub id: ServerId,
    /// Its data directory, by an id that stays with it.
    pub home: String,
    /// Which volumes it uses, if others may use them too.
    pub volumes: Option<String>,
    /// How its engine is shut out.
    pub client: String,
    /// Where its exports are: `nbd://HOST:PORT`, or `nbds`.
    pub nbd: String,
    /// Where its API is: `HOST:PORT`.
    pub api: String,
    /// What the ids of its scratch volumes begin with.
    pub scratch: u64,
    /// It counts while the server lives.
    pub beat: u64,
    /// Whether it was taken for gone.
    pub is_dead: bool,
}

/// Who writes: a server, in one of its epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which server.
    pub server: ServerId,
    /// What is put under way in one epoch is known apart from what is in another.
    pub epoch: u64,
}

impl Member {
    /// As rows name it.
    pub(crate) fn carrier(&self) -> Value {
        text(&format!("{}/{}", self.server, self.epoch))
    }
}

/// The export of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRow {
    /// The server that has its volume open, or is about to.
    pub server: ServerId,
    /// How often it was asked to look at the record.
    pub asked: u64,
    /// Up to which question it has.
    pub done: u64,
}

/// Whose rows [`Tx::claim`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Those of servers that are not there any more.
    Orphans,
    /// Likewise, and what has no carrier, as what was put under way by an older Ebbtide.
    All,
    /// Those of a server's own past.
    Past(&'a Member),
}

/// Rows that have something under way, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Disks.
    pub disks: Vec<DiskId>,
    /// Snapshots.
    pub snapshots: Vec<SnapshotId>,
    /// Snapshot groups.
    pub groups: Vec<SnapshotGroupId>,
    /// Images.
    pub images: Vec<ImageId>,
    /// Instances.
    pub instances: Vec<InstanceId>,
    /// Tasks.
    pub tasks: Vec<TaskId>,
}

impl Claimed {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Tx<'_> {
    /// Refuses to go on for a server that was taken for gone, or has ended.
    pub(crate) fn must_be_member(&self) -> Result<(), StoreError> {
        let Some(member) = self.member() else { return Ok(()) };
        let sql = "SELECT 1 FROM servers WHERE id = ? AND dead = 0";
        match self.exists(sql, &[text(member.server.as_str())])? {
            true => Ok(()),
            false => Err(StoreError::ShutOut),
        }
    }

    /// The servers that there are, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.rows(("servers", "id"), "SELECT * FROM servers ORDER BY id", &[], |row| {
            Ok(Server {
                id: server_id(row, "id")?,
                home: row.get("home")?,
                volumes: row.get("volumes")?,
                client: row.get("client")?,
                nbd: row.get("nbd")?,
                api: row.get("api")?,
                scratch: row.get::<i64>("scratch")?.cast_unsigned(),
                beat: row.get::<i64>("beat")?.cast_unsigned(),
                is_dead: row.get::<i64>("dead")? != 0,
            })
        })
    }

    /// Adds a server.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn insert_server(&self, server: &Server) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO servers (id, home, volumes, client, nbd, api, scratch, beat, dead)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                text(server.id.as_str()),
                text(&server.home),
                server.volumes.as_deref().map(text).into(),
                text(&server.client),
                text(&server.nbd),
                text(&server.api),
                server.scratch.cast_signed().into(),
                server.beat.cast_signed().into(),
                i64::from(server.is_dead).into(),
            ],
        )?;
        Ok(())
    }

    pub(crate) fn beat(&self, id: &ServerId) -> Result<(), StoreError> {
        let sql = "UPDATE servers SET beat = beat + 1 WHERE id = ? AND dead = 0";
        match self.execute(sql, &[text(id.as_str())])? {
            1 => Ok(()),
            _ => Err(StoreError::ShutOut),
        }
    }

    /// Takes a server for gone: from this commit on, nothing that it writes is taken.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn mark_dead(&self, id: &ServerId) -> Result<(), StoreError> {
        self.execute("UPDATE servers SET dead = 1 WHERE id = ?", &[text(id.as_str())])?;
        Ok(())
    }

    /// Forgets a server: what it had in hand can be claimed from this commit on.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_server(&self, id: &ServerId) -> Result<(), StoreError> {
        self.execute("DELETE FROM servers WHERE id = ?", &[text(id.as_str())])?;
        Ok(())
    }

    /// Whether this server does what one server does for all. It is its from now on where nobody
    /// who is still there has it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn take_duty(&self, name: &str, id: &ServerId) -> Result<bool, StoreError> {
        let sql = "INSERT INTO duties (name, server) VALUES (?, ?)
                   ON CONFLICT (name) DO UPDATE SET server = excluded.server
                   WHERE duties.server NOT IN (SELECT id FROM servers)";
        self.execute(sql, &[text(name), text(id.as_str())])?;
        self.has_duty(name, id)
    }

    /// Whether this server does it now.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn has_duty(&self, name: &str, id: &ServerId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM duties WHERE name = ? AND server = ?";
        self.exists(sql, &[text(name), text(id.as_str())])
    }
}

impl Tx<'_> {
    /// The export of a disk, if a server has it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn export(&self, disk: &DiskId) -> Result<Option<ExportRow>, StoreError> {
        let sql = "SELECT * FROM exports WHERE disk = ?";
        Ok(self.rows(("exports", "disk"), sql, &[text(disk.as_str())], read_export)?.pop())
    }

    /// Where the servers are that have the exports of some disks.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn export_servers(&self, disks: &[&DiskId]) -> Result<Vec<(DiskId, String)>, StoreError> {
        let mut filter = Filter::default();
        filter.one_of("exports.disk", Some(disks.iter().map(|disk| disk.as_str())));
        let sql = format!(
            "SELECT exports.disk, servers.nbd FROM exports
             JOIN servers ON servers.id = exports.server {filter}"
        );
        self.rows(("exports", "disk"), &sql, filter.values(), |row| {
            Ok((row.id("disk", DiskId::new)?, row.get("nbd")?))
        })
    }

    /// Gives a disk's export to a server, whoever had it.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn put_export(&self, disk: &DiskId, server: &ServerId) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO exports (disk, server, asked, done) VALUES (?, ?, 0, 0)
             ON CONFLICT (disk) DO UPDATE SET server = excluded.server",
            &[text(disk.as_str()), text(server.as_str())],
        )?;
        Ok(())
    }

    /// Takes a disk's export from the server that has it. One that it has not is no error.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_export(&self, disk: &DiskId, server: &ServerId) -> Result<(), StoreError> {
        let sql = "DELETE FROM exports WHERE disk = ? AND server = ?";
        self.execute(sql, &[text(disk.as_str()), text(server.as_str())])?;
        Ok(())
    }

    /// Asks the server that has a disk's export to look at the record.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn ask_export(&self, disk: &DiskId) -> Result<(), StoreError> {
        let sql = "UPDATE exports SET asked = asked + 1 WHERE disk = ?";
        self.execute(sql, &[text(disk.as_str())])?;
        Ok(())
    }

    /// Says that a server has looked at the record since that question.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn answer_export(
        &self,
        disk: &DiskId,
        server: &ServerId,
        asked: u64,
    ) -> Result<(), StoreError> {
        let asked = asked.cast_signed();
        let sql = "UPDATE exports SET done = ? WHERE disk = ? AND server = ? AND done < ?";
        let values = [asked.into(), text(disk.as_str()), text(server.as_str()), asked.into()];
        self.execute(sql, &values)?;
        Ok(())
    }

    /// The questions that a server has not answered.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn asked_exports(&self, server: &ServerId) -> Result<Vec<(DiskId, u64)>, StoreError> {
        let sql = "SELECT * FROM exports WHERE server = ? AND asked > done ORDER BY disk";
        self.rows(("exports", "disk"), sql, &[text(server.as_str())], |row| {
            Ok((row.id("disk", DiskId::new)?, read_export(row)?.asked))
        })
    }

    /// Disks whose exports are those of servers that are there.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn held_exports(&self) -> Result<Vec<DiskId>, StoreError> {
        let sql = "SELECT * FROM exports WHERE server IN (SELECT id FROM servers) ORDER BY disk";
        self.rows(("exports", "disk"), sql, &[], |row| row.id("disk", DiskId::new))
    }

    /// Disks whose exports are those of servers that are not there any more.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn orphan_exports(&self) -> Result<Vec<DiskId>, StoreError> {
        let sql = "SELECT * FROM exports WHERE server NOT IN (SELECT id FROM servers)
                   ORDER BY disk";
        self.rows(("exports", "disk"), sql, &[], |row| row.id("disk", DiskId::new))
    }

    /// Takes their exports from servers that are not there any more.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_orphan_exports(&self) -> Result<(), StoreError> {
        self.execute("DELETE FROM exports WHERE server NOT IN (SELECT id FROM servers)", &[])?;
        Ok(())
    }
}

impl Tx<'_> {
    /// Makes rows that have something under way this member's, and says which they are.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn claim(&self, by: &Member, whose: Whose<'_>) -> Result<Claimed, StoreError> {
        Ok(Claimed {
            disks: self.claim_in(
                "disks",
                "status NOT IN ('Available', 'In_use')",
                by,
                whose,
                DiskId::new,
            )?,
            snapshots: self.claim_in(
                "snapshots",
                "status IN ('progressing', 'deleting')",
                by,
                whose,
                SnapshotId::new,
            )?,
            groups: self.claim_in(
                "snapshot_groups",
                "status = 'progressing'",
                by,
                whose,
                SnapshotGroupId::new,
            )?,
            images: self.claim_in("images", "status = 'Creating'", by, whose, ImageId::new)?,
            instances: self.claim_in(
                "instances",
                "status NOT IN ('Running', 'Stopped')",
                by,
                whose,
                InstanceId::new,
            )?,
            tasks: self.claim_in("tasks", "status = 'Processing'", by, whose, TaskId::new)?,
        })
    }

    fn claim_in<T>(
        &self,
        table: &'static str,
        under_way: &str,
        by: &Member,
        whose: Whose<'_>,
        id: impl Fn(String) -> T,
    ) -> Result<Vec<T>, StoreError> {
        let orphan = format!(
            "carrier IS NOT NULL AND substr(carrier, 1, {}) NOT IN (SELECT id FROM servers)",
            ServerId::LENGTH
        );
        let (found, values) = match whose {
            Whose::Orphans => (orphan, Vec::new()),
            Whose::All => (format!("(carrier IS NULL OR ({orphan})) AND {under_way}"), Vec::new()),
            Whose::Past(member) => ("carrier = ?".to_owned(), vec![member.carrier()]),
        };
        let sql = format!("SELECT id FROM {table} WHERE {found} ORDER BY created_at, id");
        let ids: Vec<String> = self.rows((table, "id"), &sql, &values, |row| row.get("id"))?;
        let sql = format!("UPDATE {table} SET carrier = ? WHERE id = ?");
        for id in &ids {
            self.execute(&sql, &[by.carrier(), text(id)])?;
        }
        Ok(ids.into_iter().map(id).collect())
    }
}

fn server_id(row: &Row<'_>, column: &'static str) -> Result<ServerId, StoreError> {
    Ok(ServerId(row.get::<String>(column)?.into()))
}

fn read_export(row: &Row<'_>) -> Result<ExportRow, StoreError> {
    Ok(ExportRow {
        server: server_id(row, "server")?,
        asked: row.get::<i64>("asked")?.cast_unsigned(),
        done: row.get::<i64>("done")?.cast_unsigned(),
    })
}
