package main

import (
	"errors"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	ecs "github.com/alibabacloud-go/ecs-20140526/v7/client"
	"github.com/alibabacloud-go/tea/tea"
)

func lifeV2(at access) {
	client := must[*ecs.Client]("client")(ecs.NewClient(&openapi.Config{
		AccessKeyId:     tea.String(at.key),
		AccessKeySecret: tea.String(at.secret),
		Endpoint:        tea.String(at.endpoint),
		Protocol:        tea.String("http"),
		RegionId:        tea.String(region),
	}))
	life := &v2{client: client}
	life.catalogue()
	life.machine()
	life.snapshots()
	life.reset()
	life.growth()
	life.groups()
	life.policies()
	life.locks()
	life.tags()
	life.clones()
	life.images()
	life.usage()
	life.networks()
	life.encryption()
	life.refusals()
	life.end()
}

// One instance with a disk and its snapshot, and what is done with them.
type v2 struct {
	client                   *ecs.Client
	instance, disk, snapshot string
}

func (life *v2) catalogue() {
	regions := must[*ecs.DescribeRegionsResponse]("DescribeRegions")(
		life.client.DescribeRegions(&ecs.DescribeRegionsRequest{}))
	same("the region", tea.StringValue(regions.Body.Regions.Region[0].RegionId), region)
	zones := must[*ecs.DescribeZonesResponse]("DescribeZones")(
		life.client.DescribeZones(&ecs.DescribeZonesRequest{RegionId: tea.String(region)}))
	same("zones", len(zones.Body.Zones.Zone), 2)
	types := must[*ecs.DescribeInstanceTypesResponse]("DescribeInstanceTypes")(
		life.client.DescribeInstanceTypes(&ecs.DescribeInstanceTypesRequest{
			InstanceTypes: tea.StringSlice([]string{kind})}))
	same("CPUs", tea.Int32Value(types.Body.InstanceTypes.InstanceType[0].CpuCoreCount), 2)
	images := must[*ecs.DescribeImagesResponse]("DescribeImages")(
		life.client.DescribeImages(&ecs.DescribeImagesRequest{RegionId: tea.String(region)}))
	same("the image", tea.StringValue(images.Body.Images.Image[0].ImageId), image)
}

func (life *v2) machine() {
	group := must[*ecs.CreateSecurityGroupResponse]("CreateSecurityGroup")(
		life.client.CreateSecurityGroup(&ecs.CreateSecurityGroupRequest{
			RegionId: tea.String(region), SecurityGroupName: tea.String("go")}))
	run := must[*ecs.RunInstancesResponse]("RunInstances")(
		life.client.RunInstances(&ecs.RunInstancesRequest{
			RegionId: tea.String(region), ZoneId: tea.String(zone), ImageId: tea.String(image),
			InstanceType: tea.String(kind), SecurityGroupId: group.Body.SecurityGroupId,
			Tag: []*ecs.RunInstancesRequestTag{
				{Key: tea.String("from"), Value: tea.String("go")}}}))
	life.instance = tea.StringValue(run.Body.InstanceIdSets.InstanceIdSet[0])
	life.awaitInstance("Running")
	made := must[*ecs.CreateDiskResponse]("CreateDisk")(
		life.client.CreateDisk(&ecs.CreateDiskRequest{
			RegionId: tea.String(region), ZoneId: tea.String(zone), Size: tea.Int32(20),
			DiskCategory: tea.String("cloud_essd"), PerformanceLevel: tea.String("PL0"),
			DiskName: tea.String("磁盘-go")}))
	life.disk = tea.StringValue(made.Body.DiskId)
	life.awaitDisk("Available")
	must[*ecs.AttachDiskResponse]("AttachDisk")(life.client.AttachDisk(&ecs.AttachDiskRequest{
		DiskId: tea.String(life.disk), InstanceId: tea.String(life.instance)}))
	life.awaitDisk("In_use")
	disk := life.describe()
	same("its name", tea.StringValue(disk.DiskName), "磁盘-go")
	same("its instance", tea.StringValue(disk.InstanceId), life.instance)
}

func (life *v2) describe() *ecs.DescribeDisksResponseBodyDisksDisk {
	reply, err := life.client.DescribeDisks(&ecs.DescribeDisksRequest{
		RegionId: tea.String(region), DiskIds: tea.String(`["` + life.disk + `"]`)})
	if err != nil {
		fail("DescribeDisks: %v", err)
	}
	same("disks", len(reply.Body.Disks.Disk), 1)
	return reply.Body.Disks.Disk[0]
}

func (life *v2) awaitDisk(status string) {
	until("the disk", status, func() string { return tea.StringValue(life.describe().Status) })
}

func (life *v2) awaitInstance(status string) {
	until("the instance", status, func() string {
		reply, err := life.client.DescribeInstances(&ecs.DescribeInstancesRequest{
			RegionId: tea.String(region), InstanceIds: tea.String(`["` + life.instance + `"]`)})
		if err != nil {
			fail("DescribeInstances: %v", err)
		}
		return tea.StringValue(reply.Body.Instances.Instance[0].Status)
	})
}

func (life *v2) snapshots() {
	made := must[*ecs.CreateSnapshotResponse]("CreateSnapshot")(
		life.client.CreateSnapshot(&ecs.CreateSnapshotRequest{DiskId: tea.String(life.disk)}))
	life.snapshot = tea.StringValue(made.Body.SnapshotId)
	until("the snapshot", "accomplished", func() string {
		reply, err := life.client.DescribeSnapshots(&ecs.DescribeSnapshotsRequest{
			RegionId: tea.String(region), SnapshotIds: tea.String(`["` + life.snapshot + `"]`)})
		if err != nil {
			fail("DescribeSnapshots: %v", err)
		}
		return tea.StringValue(reply.Body.Snapshots.Snapshot[0].Status)
	})
	must[*ecs.ModifySnapshotAttributeResponse]("ModifySnapshotAttribute")(
		life.client.ModifySnapshotAttribute(&ecs.ModifySnapshotAttributeRequest{
			SnapshotId: tea.String(life.snapshot), SnapshotName: tea.String("before")}))
}

func (life *v2) reset() {
	must[*ecs.StopInstanceResponse]("StopInstance")(
		life.client.StopInstance(&ecs.StopInstanceRequest{InstanceId: tea.String(life.instance)}))
	life.awaitInstance("Stopped")
	request := &ecs.ResetDiskRequest{
		DiskId: tea.String(life.disk), SnapshotId: tea.String(life.snapshot),
		DryRun: tea.Bool(true)}
	_, err := life.client.ResetDisk(request)
	life.refused("a dry run", err, 400, "DryRunOperation")
	request.DryRun = nil
	must[*ecs.ResetDiskResponse]("ResetDisk")(life.client.ResetDisk(request))
	life.awaitDisk("In_use")
	must[*ecs.StartInstanceResponse]("StartInstance")(
		life.client.StartInstance(&ecs.StartInstanceRequest{InstanceId: tea.String(life.instance)}))
	life.awaitInstance("Running")
}

func (life *v2) growth() {
	must[*ecs.ResizeDiskResponse]("ResizeDisk")(life.client.ResizeDisk(&ecs.ResizeDiskRequest{
		DiskId: tea.String(life.disk), NewSize: tea.Int32(40), Type: tea.String("online")}))
	same("its size", tea.Int32Value(life.describe().Size), 40)
	changed := must[*ecs.ModifyDiskSpecResponse]("ModifyDiskSpec")(
		life.client.ModifyDiskSpec(&ecs.ModifyDiskSpecRequest{
			DiskId: tea.String(life.disk), PerformanceLevel: tea.String("PL1")}))
	tasks := must[*ecs.DescribeTasksResponse]("DescribeTasks")(
		life.client.DescribeTasks(&ecs.DescribeTasksRequest{
			RegionId: tea.String(region), TaskIds: changed.Body.TaskId}))
	same("tasks", len(tasks.Body.TaskSet.Task), 1)
}

func (life *v2) groups() {
	made := must[*ecs.CreateSnapshotGroupResponse]("CreateSnapshotGroup")(
		life.client.CreateSnapshotGroup(&ecs.CreateSnapshotGroupRequest{
			RegionId: tea.String(region), InstanceId: tea.String(life.instance)}))
	id := made.Body.SnapshotGroupId
	until("the group", "accomplished", func() string {
		reply, err := life.client.DescribeSnapshotGroups(&ecs.DescribeSnapshotGroupsRequest{
			RegionId: tea.String(region), SnapshotGroupId: []*string{id}})
		if err != nil {
			fail("DescribeSnapshotGroups: %v", err)
		}
		return tea.StringValue(reply.Body.SnapshotGroups.SnapshotGroup[0].Status)
	})
	must[*ecs.DeleteSnapshotGroupResponse]("DeleteSnapshotGroup")(
		life.client.DeleteSnapshotGroup(&ecs.DeleteSnapshotGroupRequest{
			RegionId: tea.String(region), SnapshotGroupId: id}))
}

func (life *v2) policies() {
	made := must[*ecs.CreateAutoSnapshotPolicyResponse]("CreateAutoSnapshotPolicy")(
		life.client.CreateAutoSnapshotPolicy(&ecs.CreateAutoSnapshotPolicyRequest{
			RegionId: tea.String(region), TimePoints: tea.String(`["1"]`),
			RepeatWeekdays: tea.String(`["1","7"]`), RetentionDays: tea.Int32(30)}))
	id, disks := made.Body.AutoSnapshotPolicyId, tea.String(`["`+life.disk+`"]`)
	must[*ecs.ApplyAutoSnapshotPolicyResponse]("ApplyAutoSnapshotPolicy")(
		life.client.ApplyAutoSnapshotPolicy(&ecs.ApplyAutoSnapshotPolicyRequest{
			RegionId: tea.String(region), AutoSnapshotPolicyId: id, DiskIds: disks}))
	same("its policy", tea.StringValue(life.describe().AutoSnapshotPolicyId), tea.StringValue(id))
	must[*ecs.CancelAutoSnapshotPolicyResponse]("CancelAutoSnapshotPolicy")(
		life.client.CancelAutoSnapshotPolicy(&ecs.CancelAutoSnapshotPolicyRequest{
			RegionId: tea.String(region), DiskIds: disks}))
	must[*ecs.DeleteAutoSnapshotPolicyResponse]("DeleteAutoSnapshotPolicy")(
		life.client.DeleteAutoSnapshotPolicy(&ecs.DeleteAutoSnapshotPolicyRequest{
			RegionId: tea.String(region), AutoSnapshotPolicyId: id}))
}

func (life *v2) locks() {
	must[*ecs.LockSnapshotResponse]("LockSnapshot")(
		life.client.LockSnapshot(&ecs.LockSnapshotRequest{
			RegionId: tea.String(region), SnapshotId: tea.String(life.snapshot),
			LockMode: tea.String("compliance"), LockDuration: tea.Int32(1),
			CoolOffPeriod: tea.Int32(3)}))
	found := must[*ecs.DescribeLockedSnapshotsResponse]("DescribeLockedSnapshots")(
		life.client.DescribeLockedSnapshots(&ecs.DescribeLockedSnapshotsRequest{
			RegionId: tea.String(region)}))
	same("locked snapshots", len(found.Body.LockedSnapshotsInfo), 1)
	must[*ecs.UnlockSnapshotResponse]("UnlockSnapshot")(
		life.client.UnlockSnapshot(&ecs.UnlockSnapshotRequest{
			RegionId: tea.String(region), SnapshotId: tea.String(life.snapshot)}))
}

func (life *v2) tags() {
	ids := []*string{tea.String(life.disk)}
	must[*ecs.TagResourcesResponse]("TagResources")(
		life.client.TagResources(&ecs.TagResourcesRequest{
			RegionId: tea.String(region), ResourceType: tea.String("disk"), ResourceId: ids,
			Tag: []*ecs.TagResourcesRequestTag{
				{Key: tea.String("use"), Value: tea.String("测试")}}}))
	found := must[*ecs.ListTagResourcesResponse]("ListTagResources")(
		life.client.ListTagResources(&ecs.ListTagResourcesRequest{
			RegionId: tea.String(region), ResourceType: tea.String("disk"), ResourceId: ids}))
	same("the tag", tea.StringValue(found.Body.TagResources.TagResource[0].TagValue), "测试")
	must[*ecs.UntagResourcesResponse]("UntagResources")(
		life.client.UntagResources(&ecs.UntagResourcesRequest{
			RegionId: tea.String(region), ResourceType: tea.String("disk"), ResourceId: ids,
			All: tea.Bool(true)}))
}

func (life *v2) clones() {
	made := must[*ecs.CloneDisksResponse]("CloneDisks")(
		life.client.CloneDisks(&ecs.CloneDisksRequest{
			RegionId: tea.String(region), SourceDiskId: tea.String(life.disk),
			DiskCategory: tea.String("cloud_essd"), Size: tea.Int32(40),
			MultiAttach: tea.String("Disabled")}))
	tasks := must[*ecs.DescribeTasksResponse]("DescribeTasks")(
		life.client.DescribeTasks(&ecs.DescribeTasksRequest{
			RegionId: tea.String(region), TaskGroupId: made.Body.TaskGroupId}))
	same("clones", len(tasks.Body.TaskSet.Task), 1)
	must[*ecs.DeleteDiskResponse]("DeleteDisk")(life.client.DeleteDisk(&ecs.DeleteDiskRequest{
		DiskId: tasks.Body.TaskSet.Task[0].ResourceId}))
}

func (life *v2) images() {
	made := must[*ecs.CreateImageResponse]("CreateImage")(
		life.client.CreateImage(&ecs.CreateImageRequest{
			RegionId: tea.String(region), InstanceId: tea.String(life.instance),
			ImageName: tea.String("镜像-go")}))
	id := made.Body.ImageId
	found := must[*ecs.DescribeImagesResponse]("DescribeImages")(
		life.client.DescribeImages(&ecs.DescribeImagesRequest{
			RegionId: tea.String(region), ImageId: id}))
	same("its name", tea.StringValue(found.Body.Images.Image[0].ImageName), "镜像-go")
	must[*ecs.ModifyImageAttributeResponse]("ModifyImageAttribute")(
		life.client.ModifyImageAttribute(&ecs.ModifyImageAttributeRequest{
			RegionId: tea.String(region), ImageId: id, Description: tea.String("of a life")}))
	must[*ecs.DeleteImageResponse]("DeleteImage")(life.client.DeleteImage(&ecs.DeleteImageRequest{
		RegionId: tea.String(region), ImageId: id}))
}

func (life *v2) usage() {
	links := must[*ecs.DescribeSnapshotLinksResponse]("DescribeSnapshotLinks")(
		life.client.DescribeSnapshotLinks(&ecs.DescribeSnapshotLinksRequest{
			RegionId: tea.String(region), DiskIds: tea.String(`["` + life.disk + `"]`)}))
	same("links", len(links.Body.SnapshotLinks.SnapshotLink), 1)
	must[*ecs.DescribeSnapshotsUsageResponse]("DescribeSnapshotsUsage")(
		life.client.DescribeSnapshotsUsage(&ecs.DescribeSnapshotsUsageRequest{
			RegionId: tea.String(region)}))
}

func (life *v2) networks() {
	vpc := must[*ecs.CreateVpcResponse]("CreateVpc")(
		life.client.CreateVpc(&ecs.CreateVpcRequest{RegionId: tea.String(region)}))
	found := must[*ecs.DescribeVpcsResponse]("DescribeVpcs")(
		life.client.DescribeVpcs(&ecs.DescribeVpcsRequest{
			RegionId: tea.String(region), VpcId: vpc.Body.VpcId}))
	same("networks", len(found.Body.Vpcs.Vpc), 1)
	must[*ecs.DeleteVpcResponse]("DeleteVpc")(
		life.client.DeleteVpc(&ecs.DeleteVpcRequest{VpcId: vpc.Body.VpcId}))
}

func (life *v2) encryption() {
	must[*ecs.EnableDiskEncryptionByDefaultResponse]("EnableDiskEncryptionByDefault")(
		life.client.EnableDiskEncryptionByDefault(&ecs.EnableDiskEncryptionByDefaultRequest{
			RegionId: tea.String(region)}))
	told := must[*ecs.DescribeDiskEncryptionByDefaultStatusResponse]("encryption's status")(
		life.client.DescribeDiskEncryptionByDefaultStatus(
			&ecs.DescribeDiskEncryptionByDefaultStatusRequest{RegionId: tea.String(region)}))
	same("encryption", tea.BoolValue(told.Body.Encrypted), true)
	must[*ecs.DisableDiskEncryptionByDefaultResponse]("DisableDiskEncryptionByDefault")(
		life.client.DisableDiskEncryptionByDefault(&ecs.DisableDiskEncryptionByDefaultRequest{
			RegionId: tea.String(region)}))
}

func (life *v2) refusals() {
	_, err := life.client.AttachDisk(&ecs.AttachDiskRequest{
		DiskId: tea.String(life.disk), InstanceId: tea.String("i-none")})
	life.refused("an instance that is none", err, 404, "InvalidInstanceId.NotFound")
}

func (life *v2) refused(what string, err error, status int, code string) {
	var refusal *tea.SDKError
	if !errors.As(err, &refusal) {
		fail("%s: %T is no refusal: %v", what, err, err)
	}
	same(what, tea.StringValue(refusal.Code), code)
	same(what, tea.IntValue(refusal.StatusCode), status)
}

func (life *v2) end() {
	must[*ecs.DetachDiskResponse]("DetachDisk")(life.client.DetachDisk(&ecs.DetachDiskRequest{
		DiskId: tea.String(life.disk), InstanceId: tea.String(life.instance)}))
	life.awaitDisk("Available")
	must[*ecs.DeleteDiskResponse]("DeleteDisk")(
		life.client.DeleteDisk(&ecs.DeleteDiskRequest{DiskId: tea.String(life.disk)}))
	must[*ecs.DeleteSnapshotResponse]("DeleteSnapshot")(
		life.client.DeleteSnapshot(&ecs.DeleteSnapshotRequest{
			SnapshotId: tea.String(life.snapshot), Force: tea.Bool(true)}))
	must[*ecs.DeleteInstanceResponse]("DeleteInstance")(
		life.client.DeleteInstance(&ecs.DeleteInstanceRequest{
			InstanceId: tea.String(life.instance), Force: tea.Bool(true)}))
}
