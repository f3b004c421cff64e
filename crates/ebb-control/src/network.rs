//! VPCs, VSwitches and security groups: records, which a program makes before an instance and
//! deletes after it.

use std::collections::HashMap;

use ebb_domain::{
    AccountId, Denied, Instance, RegionId, SecurityGroup, SecurityGroupId, Tag, VSwitch, VSwitchId,
    Vpc, VpcId, ZoneId, check_tags, description, network_name, vpc_cidr, vswitch_cidr,
};
use ebb_store::{Durability, NetworkQuery, Page, Tx};

use crate::{ClientToken, Control, ControlError, Scope};

/// CreateVpc.
#[derive(Debug, Clone)]
pub struct CreateVpc {
    /// RegionId
    pub region: RegionId,
    /// CidrBlock
    pub cidr: Option<String>,
    /// VpcName
    pub name: String,
    /// Description
    pub description: String,
    /// ClientToken
    pub token: Option<ClientToken>,
}

/// CreateVSwitch.
#[derive(Debug, Clone)]
pub struct CreateVSwitch {
    /// VpcId
    pub vpc: VpcId,
    /// ZoneId
    pub zone: ZoneId,
    /// CidrBlock
    pub cidr: String,
    /// VSwitchName
    pub name: String,
    /// Description
    pub description: String,
    /// ClientToken
    pub token: Option<ClientToken>,
}

/// CreateSecurityGroup.
#[derive(Debug, Clone)]
pub struct CreateSecurityGroup {
    /// RegionId
    pub region: RegionId,
    /// VpcId
    pub vpc: Option<VpcId>,
    /// SecurityGroupName
    pub name: String,
    /// Description
    pub description: String,
    /// SecurityGroupType: `enterprise`
    pub enterprise: bool,
    /// ResourceGroupId
    pub resource_group: String,
    /// Tag.N
    pub tags: Vec<Tag>,
    /// ClientToken
    pub token: Option<ClientToken>,
}

impl Control {
    /// Makes a VPC. Durable by the commit, as all changes of networks are.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn create_vpc(
        &self,
        owner: &AccountId,
        request: &CreateVpc,
    ) -> Result<VpcId, ControlError> {
        self.region(&request.region)?;
        network_name(&request.name)?;
        description(&request.description)?;
        let cidr = vpc_cidr(request.cidr.as_deref())?;
        self.make(owner, request.token.as_ref(), |tx| {
            let vpc = Vpc {
                id: VpcId::mint(self.random()),
                account: owner.clone(),
                region: request.region.clone(),
                name: request.name.clone(),
                description: request.description.clone(),
                cidr,
                created_at: self.now(),
            };
            tx.insert_vpc(&vpc)?;
            Ok(vpc.id.to_string())
        })
        .map(VpcId::new)
    }

    /// Makes a VSwitch.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn create_vswitch(
        &self,
        scope: &Scope,
        request: &CreateVSwitch,
    ) -> Result<VSwitchId, ControlError> {
        network_name(&request.name)?;
        description(&request.description)?;
        let region = self.given_region(scope)?;
        self.make(&scope.account, request.token.as_ref(), |tx| {
            let vpc = find_vpc(tx, &scope.account, region.as_ref(), &request.vpc)?;
            if !self.region(&vpc.region)?.zones().contains(&request.zone) {
                return Err(Denied::ZoneNotFound.into());
            }
            let cidr = vswitch_cidr(&request.cidr, &vpc, &tx.vswitches_of(&vpc.id)?)?;
            let vswitch = VSwitch {
                id: VSwitchId::mint(self.random()),
                account: scope.account.clone(),
                region: vpc.region,
                zone: request.zone.clone(),
                vpc: vpc.id,
                name: request.name.clone(),
                description: request.description.clone(),
                cidr,
                created_at: self.now(),
            };
            tx.insert_vswitch(&vswitch)?;
            Ok(vswitch.id.to_string())
        })
        .map(VSwitchId::new)
    }

    /// Makes a security group.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn create_security_group(
        &self,
        owner: &AccountId,
        request: &CreateSecurityGroup,
    ) -> Result<SecurityGroupId, ControlError> {
        self.region(&request.region)?;
        network_name(&request.name)?;
        description(&request.description)?;
        check_tags(&request.tags)?;
        self.make(owner, request.token.as_ref(), |tx| {
            if let Some(vpc) = &request.vpc {
                find_vpc(tx, owner, Some(&request.region), vpc)?;
            }
            let group = SecurityGroup {
                id: SecurityGroupId::mint(self.random()),
                account: owner.clone(),
                region: request.region.clone(),
                vpc: request.vpc.clone(),
                name: request.name.clone(),
                description: request.description.clone(),
                enterprise: request.enterprise,
                resource_group: request.resource_group.clone(),
                tags: request.tags.clone(),
                created_at: self.now(),
            };
            tx.insert_security_group(&group)?;
            Ok(group.id.to_string())
        })
        .map(SecurityGroupId::new)
    }

    /// What `make` makes, or what it made when the token was first given.
    fn make(
        &self,
        owner: &AccountId,
        token: Option<&ClientToken>,
        make: impl Fn(&Tx<'_>) -> Result<String, ControlError>,
    ) -> Result<String, ControlError> {
        self.store.write(Durability::Durable, |tx| {
            let made = self.replay(tx, owner, token)?;
            if let Some(id) = made.and_then(|ids| ids.into_iter().next()) {
                return Ok(id);
            }
            let id = make(tx)?;
            self.remember(tx, owner, token, vec![id.clone()])?;
            Ok(id)
        })
    }

    /// Deletes a VPC that has neither VSwitches nor security groups.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn delete_vpc(&self, scope: &Scope, id: &VpcId) -> Result<(), ControlError> {
        let region = self.given_region(scope)?;
        self.store.write(Durability::Durable, |tx| {
            find_vpc(tx, &scope.account, region.as_ref(), id)?;
            if !tx.vswitches_of(id)?.is_empty() {
                return Err(Denied::VpcHasVSwitches.into());
            }
            if tx.has_security_groups(id)? {
                return Err(Denied::VpcHasSecurityGroups.into());
            }
            Ok(tx.remove_vpc(id)?)
        })
    }

    /// Deletes a VSwitch that no instance names.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn delete_vswitch(&self, scope: &Scope, id: &VSwitchId) -> Result<(), ControlError> {
        let region = self.given_region(scope)?;
        self.store.write(Durability::Durable, |tx| {
            let theirs = |found: &VSwitch| {
                found.account == scope.account && region.as_ref().is_none_or(|r| found.region == *r)
            };
            tx.vswitch(id)?.filter(theirs).ok_or(Denied::VSwitchNotFound)?;
            if tx.instances_of_vswitch(&scope.account, id)? > 0 {
                return Err(Denied::NetworkInUse.into());
            }
            Ok(tx.remove_vswitch(id)?)
        })
    }

    /// Deletes a security group that no instance names.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn delete_security_group(
        &self,
        owner: &AccountId,
        region: &RegionId,
        id: &SecurityGroupId,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        self.store.write(Durability::Durable, |tx| {
            find_security_group(tx, owner, region, id)?;
            if tx.instances_of_security_group(owner, id)? > 0 {
                return Err(Denied::NetworkInUse.into());
            }
            Ok(tx.remove_security_group(id)?)
        })
    }

    /// VPCs, each with its VSwitches' ids.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], [`Denied::NextToken`], or a failure.
    pub fn vpcs(&self, query: &NetworkQuery) -> Result<Page<(Vpc, Vec<VSwitchId>)>, ControlError> {
        self.region(&query.region)?;
        self.store.read(|tx| {
            let Page { items, total, next } = tx.vpcs(query)?;
            let mut with_vswitches = Vec::with_capacity(items.len());
            for vpc in items {
                let ids = tx.vswitches_of(&vpc.id)?.into_iter().map(|vswitch| vswitch.id);
                with_vswitches.push((vpc, ids.collect()));
            }
            Ok(Page { items: with_vswitches, total, next })
        })
    }

    /// VSwitches, each with the number of instances that name it.
    ///
    /// # Errors
    /// As [`Control::vpcs`].
    pub fn vswitches(&self, query: &NetworkQuery) -> Result<Page<(VSwitch, u64)>, ControlError> {
        self.region(&query.region)?;
        self.store.read(|tx| {
            let Page { items, total, next } = tx.vswitches(query)?;
            let mut counted = Vec::with_capacity(items.len());
            for vswitch in items {
                let instances = tx.instances_of_vswitch(&query.account, &vswitch.id)?;
                counted.push((vswitch, instances));
            }
            Ok(Page { items: counted, total, next })
        })
    }

    /// Security groups, each with the number of instances that name it.
    ///
    /// # Errors
    /// As [`Control::vpcs`].
    pub fn security_groups(
        &self,
        query: &NetworkQuery,
    ) -> Result<Page<(SecurityGroup, u64)>, ControlError> {
        self.region(&query.region)?;
        self.store.read(|tx| {
            let Page { items, total, next } = tx.security_groups(query)?;
            let mut counted = Vec::with_capacity(items.len());
            for group in items {
                let instances = tx.instances_of_security_group(&query.account, &group.id)?;
                counted.push((group, instances));
            }
            Ok(Page { items: counted, total, next })
        })
    }

    /// A security group.
    ///
    /// # Errors
    /// [`Denied::SecurityGroupNotFound`], or a failure.
    pub fn security_group(
        &self,
        owner: &AccountId,
        region: &RegionId,
        id: &SecurityGroupId,
    ) -> Result<SecurityGroup, ControlError> {
        self.region(region)?;
        self.store.read(|tx| find_security_group(tx, owner, region, id))
    }

    /// The VPC of each of these instances' VSwitches, by the VSwitch's id.
    ///
    /// # Errors
    /// A failure.
    pub fn vpcs_of(&self, instances: &[Instance]) -> Result<HashMap<String, VpcId>, ControlError> {
        Ok(self.store.read(|tx| tx.vpcs_of(instances))?)
    }
}

fn find_vpc(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: Option<&RegionId>,
    id: &VpcId,
) -> Result<Vpc, ControlError> {
    let theirs = |found: &Vpc| found.account == *owner && region.is_none_or(|r| found.region == *r);
    Ok(tx.vpc(id)?.filter(theirs).ok_or(Denied::VpcNotFound)?)
}

fn find_security_group(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: &RegionId,
    id: &SecurityGroupId,
) -> Result<SecurityGroup, ControlError> {
    let theirs = |found: &SecurityGroup| found.account == *owner && found.region == *region;
    Ok(tx.security_group(id)?.filter(theirs).ok_or(Denied::SecurityGroupNotFound)?)
}
