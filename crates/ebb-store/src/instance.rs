//! Instances.

use ebb_domain::{
    AccountId, ImageId, Instance, InstanceId, InstanceStatus, Network, RegionId, Tag, Timestamp,
    VpcId, ZoneId,
};

use crate::filter::Filter;
use crate::record::{Field, Record};
use crate::row::Row;
use crate::tx::text;
use crate::{InstanceQuery, Page, ResourceKind, StoreError, Tx};

impl Tx<'_> {
    /// The instance of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn instance(&self, id: &InstanceId) -> Result<Option<Instance>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds an instance with its tags.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_instance(&self, instance: &Instance) -> Result<(), StoreError> {
        self.insert(instance, &instance.tags)
    }

    /// Saves all of an instance but its tags. This transaction must have read it.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn save_instance(&self, instance: &Instance) -> Result<(), StoreError> {
        self.save(instance)
    }

    /// Removes an instance and its tags; disks attached to it stay so. One that is not there is no
    /// error.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where this transaction has read another version, [`StoreError::Sql`].
    pub fn remove_instance(&self, id: &InstanceId) -> Result<(), StoreError> {
        self.remove(ResourceKind::Instance, id.as_str())
    }

    /// DescribeInstances.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn instances(&self, query: &InstanceQuery) -> Result<Page<Instance>, StoreError> {
        self.page(filter(query), &query.page)
    }

    /// The instances that something is under way with.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn instances_in_transition(&self) -> Result<Vec<Instance>, StoreError> {
        self.select("WHERE status NOT IN ('Running', 'Stopped') ORDER BY created_at, id", &[])
    }

    /// The instances whose disks answer.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn running_instances(&self) -> Result<Vec<InstanceId>, StoreError> {
        let sql = "SELECT id FROM instances WHERE status = 'Running' ORDER BY created_at, id";
        self.rows(("instances", "id"), sql, &[], |row| row.id("id", InstanceId::new))
    }

    fn security_groups_of(&self, id: &InstanceId) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT * FROM instance_security_groups WHERE instance = ? ORDER BY position";
        let values = [text(id.as_str())];
        self.rows(("instance_security_groups", "instance"), sql, &values, |row| {
            row.get("security_group")
        })
    }
}

impl Record for Instance {
    const KIND: ResourceKind = ResourceKind::Instance;
    const IS_CARRIED: bool = true;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn under_way(&self) -> Option<&'static str> {
        let rests = matches!(self.status, InstanceStatus::Running | InstanceStatus::Stopped);
        (!rests).then_some(status_name(self.status))
    }

    fn set_tags(&mut self, tags: Vec<Tag>) {
        self.tags = tags;
    }

    fn fields(&self) -> Vec<Field> {
        let network = &self.network;
        vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("zone", text(self.zone.as_str())),
            ("name", text(&self.name)),
            ("description", text(&self.description)),
            ("host_name", text(&self.host_name)),
            ("image", text(self.image.as_str())),
            ("instance_type", text(&self.instance_type)),
            ("status", text(status_name(self.status))),
            ("security_lock", self.security_lock.into()),
            ("expired", self.expired.into()),
            ("deletion_protection", self.deletion_protection.into()),
            ("stopped_mode", text(&self.stopped_mode)),
            ("resource_group", text(&self.resource_group)),
            ("vswitch", text(&network.vswitch)),
            ("private_ip", text(&network.private_ip)),
            ("internet_charge_type", text(&network.internet_charge_type)),
            ("bandwidth_in", network.bandwidth_in.into()),
            ("bandwidth_out", network.bandwidth_out.into()),
            ("key_pair", text(&network.key_pair)),
            ("user_data", text(&network.user_data)),
            ("created_at", self.created_at.unix_millis().into()),
            ("started_at", self.started_at.map(Timestamp::unix_millis).into()),
        ]
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id("id", InstanceId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            zone: row.id("zone", ZoneId::new)?,
            name: row.get("name")?,
            description: row.get("description")?,
            host_name: row.get("host_name")?,
            image: row.id("image", ImageId::new)?,
            instance_type: row.get("instance_type")?,
            status: row.name("status", parse_status)?,
            security_lock: row.get("security_lock")?,
            expired: row.get("expired")?,
            deletion_protection: row.get("deletion_protection")?,
            stopped_mode: row.get("stopped_mode")?,
            resource_group: row.get("resource_group")?,
            network: Network {
                vswitch: row.get("vswitch")?,
                security_groups: Vec::new(),
                private_ip: row.get("private_ip")?,
                internet_charge_type: row.get("internet_charge_type")?,
                bandwidth_in: row.get("bandwidth_in")?,
                bandwidth_out: row.get("bandwidth_out")?,
                key_pair: row.get("key_pair")?,
                user_data: row.get("user_data")?,
            },
            tags: Vec::new(),
            created_at: row.time("created_at")?,
            started_at: row.time_if_any("started_at")?,
        })
    }

    fn load_parts(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.network.security_groups = tx.security_groups_of(&self.id)?;
        Ok(())
    }

    fn save_parts(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let groups = &self.network.security_groups;
        if tx.security_groups_of(&self.id)? == *groups {
            return Ok(());
        }
        let id = text(self.id.as_str());
        tx.execute(
            "DELETE FROM instance_security_groups WHERE instance = ?",
            std::slice::from_ref(&id),
        )?;
        for (position, group) in (0_i64..).zip(groups) {
            tx.execute(
                "INSERT INTO instance_security_groups (instance, position, security_group)
                 VALUES (?, ?, ?)",
                &[id.clone(), position.into(), text(group)],
            )?;
        }
        Ok(())
    }
}

fn filter(query: &InstanceQuery) -> Filter {
    let mut filter = Filter::of(query.account.as_str(), query.region.as_str());
    filter.one_of("id", query.ids.as_ref().map(|ids| ids.iter().map(InstanceId::as_str)));
    filter.and_if("zone = ?", query.zone.as_ref().map(ZoneId::as_str));
    filter.named(query.name.as_deref());
    filter.and_if("image = ?", query.image.as_deref());
    filter.and_if("instance_type = ?", query.instance_type.as_deref());
    // On the wire a reboot is a stop, and what is being made is pending.
    filter.and_if(
        "CASE status WHEN 'Rebooting' THEN 'Stopping' WHEN 'Creating' THEN 'Pending' \
         ELSE status END = ?",
        query.status.as_deref(),
    );
    filter.and_if("vswitch = ?", query.vswitch.as_deref());
    filter.and_if(
        "vswitch IN (SELECT id FROM vswitches WHERE vpc = ?)",
        query.vpc.as_ref().map(VpcId::as_str),
    );
    let private_ips = query.private_ips.as_ref();
    filter.one_of("private_ip", private_ips.map(|ips| ips.iter().map(String::as_str)));
    filter.and_if(
        "id IN (SELECT instance FROM instance_security_groups WHERE security_group = ?)",
        query.security_group.as_deref(),
    );
    filter.and_if("key_pair = ?", query.key_pair.as_deref());
    filter.and_if("resource_group = ?", query.resource_group.as_deref());
    filter.flag("security_lock", query.locked);
    filter.created(query.created_from, query.created_to);
    filter.tagged(ResourceKind::Instance, "instances.id", &query.tags);
    filter
}

const fn status_name(status: InstanceStatus) -> &'static str {
    match status {
        InstanceStatus::Creating => "Creating",
        InstanceStatus::Pending => "Pending",
        InstanceStatus::Starting => "Starting",
        InstanceStatus::Running => "Running",
        InstanceStatus::Stopping => "Stopping",
        InstanceStatus::Stopped => "Stopped",
        InstanceStatus::Rebooting => "Rebooting",
    }
}

fn parse_status(name: &str) -> Option<InstanceStatus> {
    use InstanceStatus::{Creating, Pending, Rebooting, Running, Starting, Stopped, Stopping};

    [Creating, Pending, Starting, Running, Stopping, Stopped, Rebooting]
        .into_iter()
        .find(|status| status_name(*status) == name)
}
