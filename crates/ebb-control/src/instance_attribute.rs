//! What is said of an instance, and can be said anew: names, protection, user data, groups.

use ebb_domain::{Denied, Instance, InstanceId, description, host_name, instance_name, user_data};
use ebb_store::Durability;

use crate::control::find_instance;
use crate::{Control, ControlError, Scope};

/// ModifyInstanceAttribute: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceChange {
    /// InstanceName
    pub name: Option<String>,
    /// Description
    pub description: Option<String>,
    /// HostName
    pub host_name: Option<String>,
    /// UserData
    pub user_data: Option<String>,
    /// DeletionProtection
    pub deletion_protection: Option<bool>,
    /// SecurityGroupIds.N
    pub security_groups: Option<Vec<String>>,
}

impl Control {
    /// An instance.
    ///
    /// # Errors
    /// [`Denied::InstanceNotFound`], or a failure.
    pub fn instance(&self, scope: &Scope, id: &InstanceId) -> Result<Instance, ControlError> {
        let region = self.given_region(scope)?;
        let found = self.store.read(|tx| find_instance(tx, &scope.account, region.as_ref(), id))?;
        found.ok_or(ControlError::Denied(Denied::InstanceNotFound))
    }

    /// Says something else of an instance. Durable by the commit.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn modify_instance(
        &self,
        scope: &Scope,
        id: &InstanceId,
        change: &InstanceChange,
    ) -> Result<(), ControlError> {
        instance_name(change.name.as_deref().unwrap_or_default())?;
        host_name(change.host_name.as_deref().unwrap_or_default())?;
        description(change.description.as_deref().unwrap_or_default())?;
        user_data(change.user_data.as_deref().unwrap_or_default())?;
        self.store.write(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let mut instance = find_instance(tx, &scope.account, region.as_ref(), id)?
                .ok_or(Denied::InstanceNotFound)?;
            if instance.security_lock {
                return Err(Denied::InstanceLocked.into());
            }
            apply(&mut instance, change.clone());
            Ok(tx.save_instance(&instance)?)
        })
    }
}

fn apply(instance: &mut Instance, change: InstanceChange) {
    let set = |what: &mut String, to: Option<String>| {
        if let Some(to) = to {
            *what = to;
        }
    };
    set(&mut instance.name, change.name);
    set(&mut instance.description, change.description);
    set(&mut instance.host_name, change.host_name);
    set(&mut instance.network.user_data, change.user_data);
    instance.deletion_protection =
        change.deletion_protection.unwrap_or(instance.deletion_protection);
    if let Some(groups) = change.security_groups {
        instance.network.security_groups = groups;
    }
}
