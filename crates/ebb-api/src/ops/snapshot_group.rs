//! Snapshot groups (api.md §3.4): snapshots of several disks at one instant.

use ebb_api_derive::Params;
use ebb_control::{CreateSnapshotGroup as New, GroupAndSnapshots, SnapshotGroupQuery};
use ebb_domain::{
    Denied, DiskId, InstanceId, RegionId, Snapshot, SnapshotGroupId, SnapshotGroupStatus,
    SnapshotId, SnapshotStatus, Tag,
};
use serde::Serialize;

use super::common::{Done, Paging, TagParam, Text, Token, client_token, scope, tag_filters, tags};
use super::disk_list::kind_name;
use super::progress::{Progress, ProgressSet};
use crate::refusals::{deny, refused};
use crate::time::seconds;
use crate::{ApiError, Context, Operation, OperationDef, Repeat};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateSnapshotGroup>(),
    OperationDef::of::<DescribeSnapshotGroups>(),
    OperationDef::of::<ModifySnapshotGroup>(),
    OperationDef::of::<DeleteSnapshotGroup>(),
];

/// Freezes several disks as they are at one instant, the same for all.
#[derive(Debug, Params)]
pub struct CreateSnapshotGroup {
    /// Where.
    pub region_id: RegionId,
    /// Of the disks that it has; this or DiskId.
    pub instance_id: Option<InstanceId>,
    /// Which; up to 16, of one zone, and 32 TiB together.
    pub disk_id: Repeat<DiskId>,
    /// All of the instance's but these.
    pub exclude_disk_id: Repeat<DiskId>,
    /// 2 to 128 characters, not beginning with `auto`.
    pub name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// The same request again is the same group.
    pub client_token: Option<Token>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// Every snapshot here is usable at once, whatever this says.
    pub instant_access: Option<bool>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
}

/// The new group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSnapshotGroupReply {
    snapshot_group_id: String,
}

impl Operation for CreateSnapshotGroup {
    type Reply = CreateSnapshotGroupReply;

    fn call(self, cx: &Context) -> Result<CreateSnapshotGroupReply, ApiError> {
        let refuse = |denied: Denied| deny("CreateSnapshotGroup", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let token = self.client_token.map(|token| token.0);
        let new = New {
            instance: self.instance_id,
            disks: self.disk_id.0,
            left_out: self.exclude_disk_id.0,
            name: self.name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            resource_group: self.resource_group_id.unwrap_or_default(),
            tags: tags(self.tag),
            token: client_token(cx, "CreateSnapshotGroup", token),
        };
        let id = cx
            .control
            .create_snapshot_group(&scope(cx), &new)
            .map_err(refused("CreateSnapshotGroup"))?;
        Ok(CreateSnapshotGroupReply { snapshot_group_id: id.to_string() })
    }
}

/// Lists groups, newest first.
#[derive(Debug, Params)]
pub struct DescribeSnapshotGroups {
    /// Where.
    pub region_id: RegionId,
    /// Of that instance, where the group was made by naming it.
    pub instance_id: Option<InstanceId>,
    /// Its name; `*` stands for anything.
    pub name: Option<String>,
    /// Up to 10; unknown ones are simply absent.
    pub snapshot_group_id: Repeat<SnapshotGroupId>,
    /// `progressing`, `accomplished` or `failed`, each of which will do.
    pub status: Repeat<String>,
    /// `SNAPSHOT_GROUP_PROGRESS_STATUS`, with exactly one SnapshotGroupId.
    pub additional_attributes: Repeat<String>,
    /// As given when it was made.
    pub resource_group_id: Option<String>,
    /// All of them.
    pub tag: Vec<TagParam>,
    /// The NextToken of the page before.
    pub next_token: Option<String>,
    /// 1 to 500.
    pub max_results: Option<i64>,
}

/// A page of groups.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshotGroupsReply {
    next_token: String,
    snapshot_groups: Groups,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Groups {
    snapshot_group: Vec<GroupItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GroupItem {
    snapshot_group_id: String,
    instance_id: String,
    name: String,
    description: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_status: Option<&'static str>,
    creation_time: String,
    resource_group_id: String,
    tags: GroupTags,
    snapshots: Members,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    snapshot: Vec<Member>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    snapshot_id: String,
    source_disk_id: String,
    source_disk_type: &'static str,
    progress: &'static str,
    available: bool,
    instant_access: bool,
    tags: GroupTags,
}

/// Unlike anywhere else a tag is a Key and a Value here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GroupTags {
    tag: Vec<GroupTag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GroupTag {
    key: String,
    value: String,
}

impl From<Vec<Tag>> for GroupTags {
    fn from(tags: Vec<Tag>) -> Self {
        let tag = |Tag { key, value }| GroupTag { key, value };
        Self { tag: tags.into_iter().map(tag).collect() }
    }
}

impl Operation for DescribeSnapshotGroups {
    type Reply = DescribeSnapshotGroupsReply;

    fn call(self, cx: &Context) -> Result<DescribeSnapshotGroupsReply, ApiError> {
        let refuse = |denied: Denied| deny("DescribeSnapshotGroups", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        if self.snapshot_group_id.0.len() > 10 {
            return Err(ApiError::invalid("SnapshotGroupId", "at most 10 ids"));
        }
        let progress = progress_wanted(&self.additional_attributes.0)?;
        if progress && self.snapshot_group_id.0.len() != 1 {
            return Err(refuse(Denied::GroupIdMustBeOne));
        }
        let paged = Paging {
            number: None,
            size: None,
            token: self.next_token,
            max_results: Some(self.max_results.unwrap_or(10)),
            max_results_range: (1, 500),
        }
        .resolve();
        let query = SnapshotGroupQuery {
            account: cx.account.clone(),
            region: self.region_id,
            ids: Some(self.snapshot_group_id.0).filter(|ids| !ids.is_empty()),
            instance: self.instance_id,
            name: self.name,
            statuses: statuses(self.status.0)?,
            resource_group: self.resource_group_id,
            tags: tag_filters(self.tag).map_err(refuse)?,
            page: paged.request.clone(),
        };
        let page = cx.control.snapshot_groups(&query).map_err(refused("DescribeSnapshotGroups"))?;
        let item = |found| GroupItem::new(found, progress);
        Ok(DescribeSnapshotGroupsReply {
            next_token: paged.next_token(page.next),
            snapshot_groups: Groups { snapshot_group: page.items.into_iter().map(item).collect() },
        })
    }
}

fn progress_wanted(attributes: &[String]) -> Result<bool, ApiError> {
    const PROGRESS: &str = "SNAPSHOT_GROUP_PROGRESS_STATUS";
    match attributes.iter().find(|name| *name != PROGRESS) {
        Some(_) => Err(ApiError::invalid("AdditionalAttributes", PROGRESS)),
        None => Ok(!attributes.is_empty()),
    }
}

/// No group is ever `failed`: one that came to nothing is gone.
fn statuses(names: Vec<String>) -> Result<Option<Vec<String>>, ApiError> {
    let known = |name: &String| name == "failed" || SnapshotGroupStatus::parse(name).is_some();
    match names.iter().find(|name| !known(name)) {
        Some(name) => Err(ApiError::new(
            403,
            "InvalidStatus.ValueNotSupported",
            format!("The Status {name} is none of progressing, accomplished and failed."),
        )),
        None => Ok(Some(names).filter(|names| !names.is_empty())),
    }
}

impl GroupItem {
    fn new((group, snapshots): GroupAndSnapshots, progress: bool) -> Self {
        let status = group.status.name();
        Self {
            snapshot_group_id: group.id.to_string(),
            instance_id: group.instance.map(|id| id.to_string()).unwrap_or_default(),
            name: group.name,
            description: group.description,
            status,
            progress_status: progress.then_some(status),
            creation_time: seconds(group.created_at),
            resource_group_id: group.resource_group,
            tags: group.tags.into(),
            snapshots: Members { snapshot: snapshots.into_iter().map(Member::from).collect() },
        }
    }
}

impl From<Snapshot> for Member {
    fn from(snapshot: Snapshot) -> Self {
        let accomplished = snapshot.status == SnapshotStatus::Accomplished;
        Self {
            snapshot_id: snapshot.id.to_string(),
            source_disk_id: snapshot.source_disk.to_string(),
            source_disk_type: kind_name(snapshot.source_disk_kind),
            progress: if accomplished { "100%" } else { "0%" },
            available: accomplished,
            instant_access: false,
            tags: snapshot.tags.into(),
        }
    }
}

/// Changes what a group is called.
#[derive(Debug, Params)]
pub struct ModifySnapshotGroup {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub snapshot_group_id: SnapshotGroupId,
    /// 2 to 128 characters, not beginning with `auto`; or empty.
    pub name: Option<Text>,
    /// 2 to 256 characters, or empty.
    pub description: Option<Text>,
}

impl Operation for ModifySnapshotGroup {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let refuse = |denied: Denied| deny("ModifySnapshotGroup", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.0.clone());
        let (name, description) = (text(&self.name), text(&self.description));
        cx.control
            .modify_snapshot_group(
                &scope(cx),
                &self.snapshot_group_id,
                name.as_deref(),
                description.as_deref(),
            )
            .map_err(refused("ModifySnapshotGroup"))?;
        Ok(Done {})
    }
}

/// Deletes a group and its snapshots: all of them, or where one is refused none.
#[derive(Debug, Params)]
pub struct DeleteSnapshotGroup {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub snapshot_group_id: SnapshotGroupId,
}

/// What became of each snapshot.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSnapshotGroupReply {
    operation_progress_set: ProgressSet,
}

impl Operation for DeleteSnapshotGroup {
    type Reply = DeleteSnapshotGroupReply;

    fn call(self, cx: &Context) -> Result<DeleteSnapshotGroupReply, ApiError> {
        let refuse = |denied: Denied| deny("DeleteSnapshotGroup", &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let gone = cx
            .control
            .delete_snapshot_group(&scope(cx), &self.snapshot_group_id)
            .map_err(refused("DeleteSnapshotGroup"))?;
        let deleted = |id: SnapshotId| Progress::new("Success", [("SnapshotId", id.to_string())]);
        Ok(DeleteSnapshotGroupReply {
            operation_progress_set: gone.into_iter().map(deleted).collect(),
        })
    }
}
