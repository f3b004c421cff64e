//! DescribeImages: those of the account, newest first, then the public ones.

use ebb_api_derive::Params;
use ebb_control::ImageQuery;
use ebb_domain::{
    Denied, DiskKind, Image, ImageDisk, ImageId, ImageStatus, PublicImage, RegionId, SnapshotId,
    public_images,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::common::{PageNumber, PageSize, Paged, TagParam, Tags, tag_filters};
use crate::refusals::{deny, refused};
use crate::time::seconds;
use crate::{ApiError, Context, Operation};

/// Lists images.
#[derive(Debug, Params)]
pub struct DescribeImages {
    /// Where; a public image is everywhere.
    pub region_id: RegionId,
    /// Which, up to 100, with commas between.
    pub image_id: Option<String>,
    /// Its name; `*` stands for anything.
    pub image_name: Option<String>,
    /// As given when it was made.
    pub image_family: Option<String>,
    /// One of its disks starts from it.
    pub snapshot_id: Option<SnapshotId>,
    /// `system` for public images, `self` for those of the account; nobody else has any.
    pub image_owner_alias: Option<String>,
    /// Statuses with commas between; `Available` where none is given.
    pub status: Option<String>,
    /// `linux` or `windows`.
    #[param(name = "OSType")]
    pub os_type: Option<String>,
    /// `x86_64` and so on.
    pub architecture: Option<String>,
    /// Whether it is a public one.
    pub is_public: Option<bool>,
    /// As given when it was made.
    pub resource_group_id: Option<String>,
    /// All of them.
    pub tag: Vec<TagParam>,
    /// From 1.
    pub page_number: Option<PageNumber>,
    /// 1 to 100.
    pub page_size: Option<PageSize>,
    /// Only checks.
    pub dry_run: Option<bool>,
}

/// A page of images.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImagesReply {
    region_id: String,
    total_count: u64,
    page_number: u32,
    page_size: u32,
    images: Value,
}

impl Operation for DescribeImages {
    type Reply = DescribeImagesReply;

    fn call(self, cx: &Context) -> Result<DescribeImagesReply, ApiError> {
        const ACTION: &str = "DescribeImages";
        let refuse = |denied: Denied| deny(ACTION, &denied);
        cx.control.region(&self.region_id).map_err(refuse)?;
        let paged = Paged::by_number(self.page_number, self.page_size);
        let query = self.query(cx, &paged).map_err(refuse)?;
        let page = cx.control.images(&query).map_err(refused(ACTION))?;
        if self.dry_run == Some(true) {
            return Err(refuse(Denied::DryRun));
        }
        let public: Vec<_> = public_images().iter().filter(|image| self.takes(image)).collect();
        let mut images: Vec<Value> = page.items.into_iter().map(own).collect();
        // The public ones follow the last of the account's.
        let first = u64::from(paged.number - 1) * u64::from(paged.size);
        for (place, image) in (page.total..).zip(&public) {
            if (first..first + u64::from(paged.size)).contains(&place) {
                images.push(public_image(image));
            }
        }
        Ok(DescribeImagesReply {
            region_id: self.region_id.to_string(),
            total_count: page.total + public.len() as u64,
            page_number: paged.number,
            page_size: paged.size,
            images: json!({ "Image": images }),
        })
    }
}

impl DescribeImages {
    fn query(&self, cx: &Context, paged: &Paged) -> Result<ImageQuery, Denied> {
        let listed = |list: &str| list.split(',').map(|entry| entry.trim().to_owned()).collect();
        let of_others = self.alias().is_some_and(|alias| alias != "self");
        let none = of_others || self.is_public == Some(true);
        let ids: Option<Vec<String>> = self.image_id.as_deref().map(listed);
        let linux = self.os_type.as_deref().is_none_or(|os| os == "linux");
        Ok(ImageQuery {
            account: cx.account.clone(),
            region: self.region_id.clone(),
            ids: if none || !linux { Some(Vec::new()) } else { ids },
            name: self.image_name.clone(),
            family: self.image_family.clone(),
            snapshot: self.snapshot_id.clone(),
            architecture: self.architecture.clone(),
            statuses: match self.status.as_deref() {
                None => vec!["Available".to_owned()],
                Some(all) if all.eq_ignore_ascii_case("all") => {
                    ["Creating", "Available", "Deprecated"].map(str::to_owned).to_vec()
                }
                Some(statuses) => listed(statuses),
            },
            resource_group: self.resource_group_id.clone(),
            tags: tag_filters(self.tag.clone())?,
            page: paged.request.clone(),
        })
    }

    fn alias(&self) -> Option<&str> {
        self.image_owner_alias.as_deref()
    }

    /// Whether a public image is asked for too.
    fn takes(&self, image: &PublicImage) -> bool {
        let listed = |list: &Option<String>, value: &str| {
            list.as_deref().is_none_or(|list| list.split(',').any(|entry| entry.trim() == value))
        };
        let named = self.image_name.as_deref().is_none_or(|name| match name.split_once('*') {
            None => name == image.id,
            Some((start, end)) => image.id.starts_with(start) && image.id.ends_with(end),
        });
        let available = listed(&self.status, "Available")
            || self.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("all"));
        let has_none = self.image_family.is_none()
            && self.snapshot_id.is_none()
            && self.resource_group_id.is_none()
            && self.tag.is_empty();
        listed(&self.image_id, image.id)
            && named
            && available
            && has_none
            && self.alias().is_none_or(|alias| alias == "system")
            && self.is_public.unwrap_or(true)
            && self.os_type.as_deref().is_none_or(|os| os == "linux")
            && self.architecture.as_deref().is_none_or(|wanted| wanted == "x86_64")
    }
}

fn own(image: Image) -> Value {
    let mapping = |disk: &ImageDisk| {
        json!({
            "SnapshotId": disk.snapshot.as_str(),
            "Device": disk.device,
            "Size": disk.size_gib.to_string(),
            "Encrypted": disk.encrypted,
            "Type": if disk.kind == DiskKind::System { "system" } else { "data" },
        })
    };
    let mappings: Vec<Value> = image.disks.iter().map(mapping).collect();
    let mut shown = told(&image.id, image.size_gib());
    shown["ImageName"] = json!(image.name);
    shown["Description"] = json!(image.description);
    shown["ImageOwnerAlias"] = json!("self");
    shown["IsPublic"] = json!(false);
    shown["Status"] = json!(status_name(image.status));
    shown["Progress"] = json!(if image.status == ImageStatus::Creating { "0%" } else { "100%" });
    shown["Platform"] = json!(image.platform);
    shown["Architecture"] = json!(image.architecture);
    shown["ImageVersion"] = json!(image.version);
    shown["ImageFamily"] = json!(image.family);
    shown["ResourceGroupId"] = json!(image.resource_group);
    shown["CreationTime"] = json!(seconds(image.created_at));
    shown["DiskDeviceMappings"] = json!({ "DiskDeviceMapping": mappings });
    shown["Tags"] = json!(Tags::from(image.tags));
    shown
}

fn status_name(status: ImageStatus) -> &'static str {
    match status {
        ImageStatus::Creating => "Creating",
        ImageStatus::Available => "Available",
        ImageStatus::Deprecated => "Deprecated",
        ImageStatus::CreateFailed => "CreateFailed",
    }
}

fn public_image(image: &PublicImage) -> Value {
    told(&ImageId::new(image.id), image.size_gib)
}

/// An image as a public one is shown.
fn told(id: &ImageId, size_gib: u32) -> Value {
    json!({
        "ImageId": id.as_str(),
        "ImageName": id.as_str(),
        "Description": "An empty system disk",
        "Status": "Available",
        "Progress": "100%",
        "Size": size_gib,
        "ImageOwnerAlias": "system",
        "IsPublic": true,
        "IsSelfShared": "",
        "IsSubscribed": false,
        "IsCopied": false,
        "IsSupportIoOptimized": true,
        "IsSupportCloudinit": false,
        "OSType": "linux",
        "OSName": "",
        "OSNameEn": "",
        "Platform": "Others Linux",
        "Architecture": "x86_64",
        "Usage": "none",
        "ImageVersion": "",
        "ImageFamily": "",
        "ProductCode": "",
        "ResourceGroupId": "",
        "CreationTime": "2026-01-01T00:00:00Z",
        "DiskDeviceMappings": { "DiskDeviceMapping": [] },
        "Tags": { "Tag": [] },
    })
}
