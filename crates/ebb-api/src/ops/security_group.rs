//! Security groups, which have no rules here: nothing is filtered (operations.md).

use ebb_api_derive::Params;
use ebb_control::{CreateSecurityGroup as New, NetworkQuery};
use ebb_domain::{Denied, Field, RegionId, SecurityGroup, SecurityGroupId, VpcId};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{
    Done, PageNumber, PageSize, Paging, TagParam, Tags, Token, client_token, tag_filters, tags,
};
use crate::refusals::{deny, refused};
use crate::time::seconds;
use crate::{ApiError, Context, JsonList, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateSecurityGroup>(),
    OperationDef::of::<DescribeSecurityGroups>(),
    OperationDef::of::<DescribeSecurityGroupAttribute>(),
    OperationDef::of::<DeleteSecurityGroup>(),
];

/// Makes a security group.
#[derive(Debug, Params)]
pub struct CreateSecurityGroup {
    /// Where.
    pub region_id: RegionId,
    /// Its network.
    pub vpc_id: Option<VpcId>,
    /// 2 to 128 characters.
    pub security_group_name: Option<String>,
    /// 2 to 256 characters.
    pub description: Option<String>,
    /// `normal`, which is meant where none is given, or `enterprise`.
    pub security_group_type: Option<String>,
    /// Kept and described.
    pub resource_group_id: Option<String>,
    /// Up to 20.
    pub tag: Vec<TagParam>,
    /// The same request again is the same security group.
    pub client_token: Option<Token>,
}

/// The new security group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSecurityGroupReply {
    security_group_id: String,
}

impl Operation for CreateSecurityGroup {
    type Reply = CreateSecurityGroupReply;

    fn call(self, cx: &Context) -> Result<CreateSecurityGroupReply, ApiError> {
        const ACTION: &str = "CreateSecurityGroup";
        let new = New {
            region: self.region_id,
            vpc: self.vpc_id,
            name: self.security_group_name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            enterprise: enterprise(self.security_group_type.as_deref())
                .map_err(|denied| deny(ACTION, &denied))?
                .unwrap_or(false),
            resource_group: self.resource_group_id.unwrap_or_default(),
            tags: tags(self.tag),
            token: client_token(cx, ACTION, self.client_token.map(|token| token.0)),
        };
        let id = cx.control.create_security_group(&cx.account, &new).map_err(refused(ACTION))?;
        Ok(CreateSecurityGroupReply { security_group_id: id.to_string() })
    }
}

fn enterprise(kind: Option<&str>) -> Result<Option<bool>, Denied> {
    match kind {
        None => Ok(None),
        Some("normal") => Ok(Some(false)),
        Some("enterprise") => Ok(Some(true)),
        Some(_) => Err(Denied::Malformed(Field::SecurityGroupType)),
    }
}

/// Lists security groups, newest first.
#[derive(Debug, Params)]
pub struct DescribeSecurityGroups {
    /// Where.
    pub region_id: RegionId,
    /// Which; unknown ids are simply absent.
    pub security_group_ids: Option<JsonList<String>>,
    /// Which one.
    pub security_group_id: Option<String>,
    /// Of which network.
    pub vpc_id: Option<VpcId>,
    /// Its name; `*` stands for anything.
    pub security_group_name: Option<String>,
    /// `normal` or `enterprise`.
    pub security_group_type: Option<String>,
    /// As given when it was made.
    pub resource_group_id: Option<String>,
    /// All of them.
    pub tag: Vec<TagParam>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
    /// The NextToken of the page before.
    pub next_token: Option<String>,
    /// 1 to 100.
    pub max_results: Option<i64>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// A page of security groups.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecurityGroupsReply {
    region_id: String,
    total_count: u64,
    page_number: u32,
    page_size: u32,
    next_token: String,
    security_groups: Value,
}

impl Operation for DescribeSecurityGroups {
    type Reply = DescribeSecurityGroupsReply;

    fn call(self, cx: &Context) -> Result<DescribeSecurityGroupsReply, ApiError> {
        const ACTION: &str = "DescribeSecurityGroups";
        let refuse = |denied: Denied| deny(ACTION, &denied);
        let paged = Paging {
            number: self.page_number,
            size: self.page_size,
            token: self.next_token,
            max_results: self.max_results,
            max_results_range: (1, 100),
        }
        .resolve();
        let region_id = self.region_id.to_string();
        let one = self.security_group_id.map(|id| vec![id]);
        let query = NetworkQuery {
            ids: one.or(self.security_group_ids.map(|ids| ids.0)),
            vpc: self.vpc_id,
            name: self.security_group_name,
            enterprise: enterprise(self.security_group_type.as_deref()).map_err(refuse)?,
            resource_group: self.resource_group_id,
            tags: tag_filters(self.tag)
                .map_err(|_| ApiError::invalid("Tag", "at most 20 tags, each with its key"))?,
            ..NetworkQuery::all(cx.account.clone(), self.region_id, paged.request.clone())
        };
        let page = cx.control.security_groups(&query).map_err(refused(ACTION))?;
        if self.dry_run == Some(true) {
            return Err(refuse(Denied::DryRun));
        }
        let items: Vec<Value> = page.items.into_iter().map(item).collect();
        Ok(DescribeSecurityGroupsReply {
            region_id,
            total_count: page.total,
            page_number: paged.number,
            page_size: paged.size,
            next_token: paged.next_token(page.next),
            security_groups: json!({ "SecurityGroup": items }),
        })
    }
}

fn item((group, instances): (SecurityGroup, u64)) -> Value {
    json!({
        "SecurityGroupId": group.id.as_str(),
        "SecurityGroupName": group.name,
        "Description": group.description,
        "SecurityGroupType": if group.enterprise { "enterprise" } else { "normal" },
        "VpcId": group.vpc.as_ref().map_or("", VpcId::as_str),
        "CreationTime": seconds(group.created_at),
        "EcsCount": instances,
        "ResourceGroupId": group.resource_group,
        "ServiceManaged": false,
        "RuleCount": 0,
        "GroupToGroupRuleCount": 0,
        "Tags": Tags::from(group.tags),
    })
}

/// Tells of one security group.
#[derive(Debug, Params)]
pub struct DescribeSecurityGroupAttribute {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub security_group_id: SecurityGroupId,
}

/// The security group, and its rules: none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecurityGroupAttributeReply {
    region_id: String,
    security_group_id: String,
    security_group_name: String,
    description: String,
    vpc_id: String,
    inner_access_policy: &'static str,
    permissions: Value,
    next_token: &'static str,
}

impl Operation for DescribeSecurityGroupAttribute {
    type Reply = DescribeSecurityGroupAttributeReply;

    fn call(self, cx: &Context) -> Result<Self::Reply, ApiError> {
        let group = cx
            .control
            .security_group(&cx.account, &self.region_id, &self.security_group_id)
            .map_err(refused("DescribeSecurityGroupAttribute"))?;
        Ok(DescribeSecurityGroupAttributeReply {
            region_id: group.region.to_string(),
            security_group_id: group.id.to_string(),
            security_group_name: group.name,
            description: group.description,
            vpc_id: group.vpc.map(|vpc| vpc.to_string()).unwrap_or_default(),
            inner_access_policy: "Accept",
            permissions: json!({ "Permission": [] }),
            next_token: "",
        })
    }
}

/// Deletes a security group that no instance names.
#[derive(Debug, Params)]
pub struct DeleteSecurityGroup {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    pub security_group_id: SecurityGroupId,
}

impl Operation for DeleteSecurityGroup {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .delete_security_group(&cx.account, &self.region_id, &self.security_group_id)
            .map_err(refused("DeleteSecurityGroup"))?;
        Ok(Done {})
    }
}
