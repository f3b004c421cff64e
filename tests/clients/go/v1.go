package main

import (
	"errors"

	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"
)

func lifeV1(at access) {
	client := must[*ecs.Client]("client")(ecs.NewClientWithAccessKey(region, at.key, at.secret))
	client.Domain = at.endpoint
	life := &v1{client: client}
	life.machine()
	life.snapshots()
	life.reset()
	life.policies()
	life.tags()
	life.images()
	life.networks()
	life.refusals()
	life.end()
}

// One instance with a disk and its snapshot, and what is done with them.
type v1 struct {
	client                   *ecs.Client
	instance, disk, snapshot string
}

func (life *v1) machine() {
	run := ecs.CreateRunInstancesRequest()
	run.ZoneId, run.ImageId, run.InstanceType = zone, image, kind
	run.Tag = &[]ecs.RunInstancesTag{{Key: "from", Value: "go"}}
	ran := must[*ecs.RunInstancesResponse]("RunInstances")(life.client.RunInstances(run))
	life.instance = ran.InstanceIdSets.InstanceIdSet[0]
	life.awaitInstance("Running")
	create := ecs.CreateCreateDiskRequest()
	create.ZoneId, create.DiskCategory, create.DiskName = zone, "cloud_essd", "磁盘-go"
	create.Size = requests.NewInteger(20)
	made := must[*ecs.CreateDiskResponse]("CreateDisk")(life.client.CreateDisk(create))
	life.disk = made.DiskId
	life.awaitDisk("Available")
	attach := ecs.CreateAttachDiskRequest()
	attach.DiskId, attach.InstanceId = life.disk, life.instance
	must[*ecs.AttachDiskResponse]("AttachDisk")(life.client.AttachDisk(attach))
	life.awaitDisk("In_use")
	same("its name", life.describe().DiskName, "磁盘-go")
}

func (life *v1) describe() ecs.Disk {
	request := ecs.CreateDescribeDisksRequest()
	request.DiskIds = `["` + life.disk + `"]`
	reply, err := life.client.DescribeDisks(request)
	if err != nil {
		fail("DescribeDisks: %v", err)
	}
	same("disks", len(reply.Disks.Disk), 1)
	return reply.Disks.Disk[0]
}

func (life *v1) awaitDisk(status string) {
	until("the disk", status, func() string { return life.describe().Status })
}

func (life *v1) awaitInstance(status string) {
	until("the instance", status, func() string {
		request := ecs.CreateDescribeInstancesRequest()
		request.InstanceIds = `["` + life.instance + `"]`
		reply, err := life.client.DescribeInstances(request)
		if err != nil {
			fail("DescribeInstances: %v", err)
		}
		return reply.Instances.Instance[0].Status
	})
}

func (life *v1) snapshots() {
	create := ecs.CreateCreateSnapshotRequest()
	create.DiskId = life.disk
	made := must[*ecs.CreateSnapshotResponse]("CreateSnapshot")(life.client.CreateSnapshot(create))
	life.snapshot = made.SnapshotId
	until("the snapshot", "accomplished", func() string {
		request := ecs.CreateDescribeSnapshotsRequest()
		request.SnapshotIds = `["` + life.snapshot + `"]`
		reply, err := life.client.DescribeSnapshots(request)
		if err != nil {
			fail("DescribeSnapshots: %v", err)
		}
		return reply.Snapshots.Snapshot[0].Status
	})
}

func (life *v1) reset() {
	stop := ecs.CreateStopInstanceRequest()
	stop.InstanceId = life.instance
	must[*ecs.StopInstanceResponse]("StopInstance")(life.client.StopInstance(stop))
	life.awaitInstance("Stopped")
	dry := life.resetRequest()
	dry.DryRun = requests.NewBoolean(true)
	_, err := life.client.ResetDisk(dry)
	life.refused("a dry run", err, 400, "DryRunOperation")
	must[*ecs.ResetDiskResponse]("ResetDisk")(life.client.ResetDisk(life.resetRequest()))
	life.awaitDisk("In_use")
	start := ecs.CreateStartInstanceRequest()
	start.InstanceId = life.instance
	must[*ecs.StartInstanceResponse]("StartInstance")(life.client.StartInstance(start))
	life.awaitInstance("Running")
}

// A new one each time: a request of this SDK keeps what it was once sent with.
func (life *v1) resetRequest() *ecs.ResetDiskRequest {
	request := ecs.CreateResetDiskRequest()
	request.DiskId, request.SnapshotId = life.disk, life.snapshot
	return request
}

func (life *v1) policies() {
	create := ecs.CreateCreateAutoSnapshotPolicyRequest()
	create.TimePoints, create.RepeatWeekdays = `["1"]`, `["1"]`
	create.RetentionDays = requests.NewInteger(30)
	made := must[*ecs.CreateAutoSnapshotPolicyResponse]("CreateAutoSnapshotPolicy")(
		life.client.CreateAutoSnapshotPolicy(create))
	apply := ecs.CreateApplyAutoSnapshotPolicyRequest()
	apply.AutoSnapshotPolicyId, apply.DiskIds = made.AutoSnapshotPolicyId, `["`+life.disk+`"]`
	must[*ecs.ApplyAutoSnapshotPolicyResponse]("ApplyAutoSnapshotPolicy")(
		life.client.ApplyAutoSnapshotPolicy(apply))
	same("its policy", life.describe().AutoSnapshotPolicyId, made.AutoSnapshotPolicyId)
	remove := ecs.CreateDeleteAutoSnapshotPolicyRequest()
	remove.AutoSnapshotPolicyId = made.AutoSnapshotPolicyId
	must[*ecs.DeleteAutoSnapshotPolicyResponse]("DeleteAutoSnapshotPolicy")(
		life.client.DeleteAutoSnapshotPolicy(remove))
}

func (life *v1) tags() {
	tag := ecs.CreateTagResourcesRequest()
	tag.ResourceType, tag.ResourceId = "disk", &[]string{life.disk}
	tag.Tag = &[]ecs.TagResourcesTag{{Key: "use", Value: "测试"}}
	must[*ecs.TagResourcesResponse]("TagResources")(life.client.TagResources(tag))
	same("tags", len(life.describe().Tags.Tag), 1)
}

func (life *v1) images() {
	create := ecs.CreateCreateImageRequest()
	create.InstanceId, create.ImageName = life.instance, "镜像-go"
	made := must[*ecs.CreateImageResponse]("CreateImage")(life.client.CreateImage(create))
	describe := ecs.CreateDescribeImagesRequest()
	describe.ImageId = made.ImageId
	found := must[*ecs.DescribeImagesResponse]("DescribeImages")(life.client.DescribeImages(describe))
	same("images", len(found.Images.Image), 1)
	gone := ecs.CreateDeleteImageRequest()
	gone.ImageId = made.ImageId
	must[*ecs.DeleteImageResponse]("DeleteImage")(life.client.DeleteImage(gone))
}

func (life *v1) networks() {
	vpc := must[*ecs.CreateVpcResponse]("CreateVpc")(
		life.client.CreateVpc(ecs.CreateCreateVpcRequest()))
	gone := ecs.CreateDeleteVpcRequest()
	gone.VpcId = vpc.VpcId
	must[*ecs.DeleteVpcResponse]("DeleteVpc")(life.client.DeleteVpc(gone))
}

func (life *v1) refusals() {
	attach := ecs.CreateAttachDiskRequest()
	attach.DiskId, attach.InstanceId = life.disk, "i-none"
	_, err := life.client.AttachDisk(attach)
	life.refused("an instance that is none", err, 404, "InvalidInstanceId.NotFound")
}

func (life *v1) refused(what string, err error, status int, code string) {
	var refusal *sdkerrors.ServerError
	if !errors.As(err, &refusal) {
		fail("%s: %T is no refusal: %v", what, err, err)
	}
	same(what, refusal.ErrorCode(), code)
	same(what, refusal.HttpStatus(), status)
}

func (life *v1) end() {
	detach := ecs.CreateDetachDiskRequest()
	detach.DiskId, detach.InstanceId = life.disk, life.instance
	must[*ecs.DetachDiskResponse]("DetachDisk")(life.client.DetachDisk(detach))
	life.awaitDisk("Available")
	disk := ecs.CreateDeleteDiskRequest()
	disk.DiskId = life.disk
	must[*ecs.DeleteDiskResponse]("DeleteDisk")(life.client.DeleteDisk(disk))
	snapshot := ecs.CreateDeleteSnapshotRequest()
	snapshot.SnapshotId, snapshot.Force = life.snapshot, requests.NewBoolean(true)
	must[*ecs.DeleteSnapshotResponse]("DeleteSnapshot")(life.client.DeleteSnapshot(snapshot))
	instance := ecs.CreateDeleteInstanceRequest()
	instance.InstanceId, instance.Force = life.instance, requests.NewBoolean(true)
	must[*ecs.DeleteInstanceResponse]("DeleteInstance")(life.client.DeleteInstance(instance))
}
