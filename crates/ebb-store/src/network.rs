//! VPCs, VSwitches, security groups.

use std::collections::HashMap;

use ebb_domain::{
    AccountId, Cidr, Instance, RegionId, SecurityGroup, SecurityGroupId, Tag, Timestamp, VSwitch,
    VSwitchId, Vpc, VpcId, ZoneId,
};

use crate::filter::Filter;
use crate::record::{Field, Record};
use crate::row::Row;
use crate::tx::text;
use crate::{Page, PageRequest, ResourceKind, StoreError, TagFilter, Tx};

/// DescribeVpcs, DescribeVSwitches, DescribeSecurityGroups. `None` and an empty list of tags mean
/// any. What a kind has not, it is not asked for by: a VPC has its id alone, a VSwitch its id, VPC
/// and zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Which.
    pub ids: Option<Vec<String>>,
    /// VpcId
    pub vpc: Option<VpcId>,
    /// ZoneId
    pub zone: Option<ZoneId>,
    /// SecurityGroupName; `*` stands for anything
    pub name: Option<String>,
    /// SecurityGroupType: `enterprise` or not
    pub enterprise: Option<bool>,
    /// ResourceGroupId
    pub resource_group: Option<String>,
    /// All of them
    pub tags: Vec<TagFilter>,
    /// Which part
    pub page: PageRequest,
}

impl NetworkQuery {
    /// All of an account in a region.
    #[must_use]
    pub const fn all(account: AccountId, region: RegionId, page: PageRequest) -> Self {
        Self {
            account,
            region,
            ids: None,
            vpc: None,
            zone: None,
            name: None,
            enterprise: None,
            resource_group: None,
            tags: Vec::new(),
            page,
        }
    }

    fn filter(&self) -> Filter {
        let mut filter = Filter::of(self.account.as_str(), self.region.as_str());
        filter.one_of("id", self.ids.as_ref().map(|ids| ids.iter().map(String::as_str)));
        filter.and_if("vpc = ?", self.vpc.as_ref().map(VpcId::as_str));
        filter.and_if("zone = ?", self.zone.as_ref().map(ZoneId::as_str));
        filter.named(self.name.as_deref());
        filter.flag("enterprise", self.enterprise);
        filter.and_if("resource_group = ?", self.resource_group.as_deref());
        filter.tagged(ResourceKind::SecurityGroup, "security_groups.id", &self.tags);
        filter
    }
}

impl Tx<'_> {
    /// The VPC of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn vpc(&self, id: &VpcId) -> Result<Option<Vpc>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds a VPC.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_vpc(&self, vpc: &Vpc) -> Result<(), StoreError> {
        self.insert(vpc, &[])
    }

    /// Removes a VPC.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn remove_vpc(&self, id: &VpcId) -> Result<(), StoreError> {
        self.remove(ResourceKind::Vpc, id.as_str())
    }

    /// DescribeVpcs.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn vpcs(&self, query: &NetworkQuery) -> Result<Page<Vpc>, StoreError> {
        self.page(query.filter(), &query.page)
    }

    /// The VSwitch of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn vswitch(&self, id: &VSwitchId) -> Result<Option<VSwitch>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds a VSwitch.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_vswitch(&self, vswitch: &VSwitch) -> Result<(), StoreError> {
        self.insert(vswitch, &[])
    }

    /// Removes a VSwitch.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn remove_vswitch(&self, id: &VSwitchId) -> Result<(), StoreError> {
        self.remove(ResourceKind::VSwitch, id.as_str())
    }

    /// DescribeVSwitches.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn vswitches(&self, query: &NetworkQuery) -> Result<Page<VSwitch>, StoreError> {
        self.page(query.filter(), &query.page)
    }

    /// The VSwitches of a VPC, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn vswitches_of(&self, vpc: &VpcId) -> Result<Vec<VSwitch>, StoreError> {
        self.select("WHERE vpc = ? ORDER BY created_at, id", &[text(vpc.as_str())])
    }

    /// The security group of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn security_group(
        &self,
        id: &SecurityGroupId,
    ) -> Result<Option<SecurityGroup>, StoreError> {
        self.find(id.as_str())
    }

    /// Adds a security group with its tags.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_security_group(&self, group: &SecurityGroup) -> Result<(), StoreError> {
        self.insert(group, &group.tags)
    }

    /// Saves all of a security group but its tags. This transaction must have read it.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn save_security_group(&self, group: &SecurityGroup) -> Result<(), StoreError> {
        self.save(group)
    }

    /// Removes a security group and its tags.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Sql`].
    pub fn remove_security_group(&self, id: &SecurityGroupId) -> Result<(), StoreError> {
        self.remove(ResourceKind::SecurityGroup, id.as_str())
    }

    /// DescribeSecurityGroups.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn security_groups(&self, query: &NetworkQuery) -> Result<Page<SecurityGroup>, StoreError> {
        self.page(query.filter(), &query.page)
    }

    /// Whether a VPC has security groups.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn has_security_groups(&self, vpc: &VpcId) -> Result<bool, StoreError> {
        self.exists("SELECT 1 FROM security_groups WHERE vpc = ?", &[text(vpc.as_str())])
    }

    /// How many of an account's instances name a VSwitch.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn instances_of_vswitch(
        &self,
        account: &AccountId,
        id: &VSwitchId,
    ) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM instances WHERE vswitch = ? AND account = ?";
        self.count(sql, &[text(id.as_str()), text(account.as_str())])
    }

    /// How many of an account's instances name a security group.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn instances_of_security_group(
        &self,
        account: &AccountId,
        id: &SecurityGroupId,
    ) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM instances WHERE account = ? AND id IN
                   (SELECT instance FROM instance_security_groups WHERE security_group = ?)";
        self.count(sql, &[text(account.as_str()), text(id.as_str())])
    }

    /// The VPC of each of these instances' VSwitches, by the VSwitch's id; those of their own
    /// account alone.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn vpcs_of(&self, instances: &[Instance]) -> Result<HashMap<String, VpcId>, StoreError> {
        let mut vpcs = HashMap::new();
        for instance in instances {
            let name = &instance.network.vswitch;
            if name.is_empty() || vpcs.contains_key(name) {
                continue;
            }
            let found = self.vswitch(&VSwitchId::new(name.as_str()))?;
            if let Some(found) = found.filter(|found| found.account == instance.account) {
                vpcs.insert(name.clone(), found.vpc);
            }
        }
        Ok(vpcs)
    }
}

impl Record for Vpc {
    const KIND: ResourceKind = ResourceKind::Vpc;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("name", text(&self.name)),
            ("description", text(&self.description)),
            ("cidr", text(&self.cidr.to_string())),
            ("created_at", self.created_at.unix_millis().into()),
        ]
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id("id", VpcId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            name: row.get("name")?,
            description: row.get("description")?,
            cidr: row.name("cidr", Cidr::parse)?,
            created_at: row.time("created_at")?,
        })
    }
}

impl Record for VSwitch {
    const KIND: ResourceKind = ResourceKind::VSwitch;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("zone", text(self.zone.as_str())),
            ("vpc", text(self.vpc.as_str())),
            ("name", text(&self.name)),
            ("description", text(&self.description)),
            ("cidr", text(&self.cidr.to_string())),
            ("created_at", self.created_at.unix_millis().into()),
        ]
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id("id", VSwitchId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            zone: row.id("zone", ZoneId::new)?,
            vpc: row.id("vpc", VpcId::new)?,
            name: row.get("name")?,
            description: row.get("description")?,
            cidr: row.name("cidr", Cidr::parse)?,
            created_at: row.time("created_at")?,
        })
    }
}

impl Record for SecurityGroup {
    const KIND: ResourceKind = ResourceKind::SecurityGroup;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn set_tags(&mut self, tags: Vec<Tag>) {
        self.tags = tags;
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            ("id", text(self.id.as_str())),
            ("account", text(self.account.as_str())),
            ("region", text(self.region.as_str())),
            ("vpc", self.vpc.as_ref().map(|vpc| vpc.as_str().to_owned()).into()),
            ("name", text(&self.name)),
            ("description", text(&self.description)),
            ("enterprise", self.enterprise.into()),
            ("resource_group", text(&self.resource_group)),
            ("created_at", self.created_at.unix_millis().into()),
        ]
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id("id", SecurityGroupId::new)?,
            account: row.id("account", AccountId::new)?,
            region: row.id("region", RegionId::new)?,
            vpc: row.id_if_any("vpc", VpcId::new)?,
            name: row.get("name")?,
            description: row.get("description")?,
            enterprise: row.get("enterprise")?,
            resource_group: row.get("resource_group")?,
            tags: Vec::new(),
            created_at: row.time("created_at")?,
        })
    }
}
