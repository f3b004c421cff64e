//! Tasks: what is kept, listed and forgotten.

use ebb_domain::{
    AccountId, ImageFormat, RegionId, Task, TaskAction, TaskGroupId, TaskId, TaskObject, TaskStatus,
};
use ebb_store::{PageRequest, Store, TaskQuery};

use crate::home::Home;
use crate::sample::{ALL, account, at, fresh, read, region, write};

fn task(id: &str, resource: &str, created_at: i64) -> Task {
    Task {
        id: TaskId::new(id),
        group: None,
        account: account(),
        region: region(),
        action: TaskAction::ModifyDiskSpec,
        resource: resource.into(),
        objects: Vec::new(),
        status: TaskStatus::Finished,
        percent: 100,
        error: String::new(),
        created_at: at(created_at),
        finished_at: Some(at(created_at + 1)),
    }
}

fn object(name: &str) -> TaskObject {
    TaskObject {
        bucket: "bucket".into(),
        object: name.into(),
        format: if name == "a.raw" { ImageFormat::Raw } else { ImageFormat::Qcow2 },
        device: "/dev/xvdb".into(),
        size_gib: (name == "a.raw").then_some(20),
    }
}

fn all() -> TaskQuery {
    TaskQuery {
        account: account(),
        region: region(),
        ids: None,
        group: None,
        action: None,
        status: None,
        resources: None,
        created_from: None,
        created_to: None,
        page: ALL,
    }
}

fn find(store: &Store, change: impl FnOnce(&mut TaskQuery)) -> Vec<String> {
    let mut query = all();
    change(&mut query);
    let page = read(store, |tx| tx.tasks(&query));
    page.items.iter().map(|task| task.id.to_string()).collect()
}

/// `t-2` is under way.
fn three_tasks() -> (Home, Store, Vec<Task>) {
    let (folder, store) = fresh();
    let mut tasks = vec![task("t-1", "d-1", 10), task("t-2", "d-2", 20), task("t-3", "d-1", 30)];
    tasks[1].status = TaskStatus::Processing;
    tasks[1].finished_at = None;
    tasks[1].percent = 33;
    tasks[1].group = Some(TaskGroupId::new("tg-1"));
    tasks[1].objects = ["a.raw", "b.qcow2"].map(object).to_vec();
    tasks[2].status = TaskStatus::Failed;
    tasks[2].error = "there is no object \"x\"".into();
    write(&store, |tx| tasks.iter().try_for_each(|task| tx.insert_task(task)));
    (folder, store, tasks)
}

#[test]
fn a_task_is_read_as_it_was_written() {
    let (_folder, store, tasks) = three_tasks();
    for task in &tasks {
        assert_eq!(read(&store, |tx| tx.task(&task.id)).as_ref(), Some(task));
    }
    assert_eq!(read(&store, |tx| tx.task(&TaskId::new("t-4"))), None);
    assert_eq!(read(&store, |tx| tx.tasks(&all())).items[1], tasks[1]);
    assert_eq!(read(&store, |tx| tx.tasks_under_way()), [tasks[1].clone()]);
    assert!(read(&store, |tx| tx.has_task_under_way("d-2")));
    assert!(!read(&store, |tx| tx.has_task_under_way("d-1")));
}

#[test]
fn how_far_a_task_has_come_is_saved() {
    let (_folder, store, tasks) = three_tasks();
    let further = Task { percent: 80, ..tasks[1].clone() };
    write(&store, |tx| tx.save_task(&further));
    assert_eq!(read(&store, |tx| tx.task(&further.id)), Some(further.clone()));
    let ended = further.ended(TaskStatus::Finished, at(99));
    write(&store, |tx| tx.save_task(&ended));
    assert_eq!(read(&store, |tx| tx.tasks_under_way()), []);
    write(&store, |tx| tx.remove_task(&ended.id));
    assert_eq!(read(&store, |tx| tx.task(&ended.id)), None);
}

#[test]
fn each_filter_lets_through_what_it_should() {
    let (_folder, store, _) = three_tasks();
    assert_eq!(find(&store, |_| ()), ["t-3", "t-2", "t-1"]);
    assert_eq!(find(&store, |q| q.ids = Some(vec![TaskId::new("t-2")])), ["t-2"]);
    assert_eq!(find(&store, |q| q.action = Some("ModifyDiskSpec".into())).len(), 3);
    assert_eq!(find(&store, |q| q.action = Some("ImportImage".into())), [""; 0]);
    assert_eq!(find(&store, |q| q.status = Some(TaskStatus::Processing)), ["t-2"]);
    assert_eq!(find(&store, |q| q.status = Some(TaskStatus::Finished)), ["t-1"]);
    assert_eq!(find(&store, |q| q.group = Some(TaskGroupId::new("tg-1"))), ["t-2"]);
    assert_eq!(find(&store, |q| q.resources = Some(vec!["d-1".into()])), ["t-3", "t-1"]);
    assert_eq!(find(&store, |q| q.created_from = Some(at(20))), ["t-3", "t-2"]);
    assert_eq!(find(&store, |q| q.created_to = Some(at(20))), ["t-2", "t-1"]);
    assert_eq!(find(&store, |q| q.account = AccountId::new("2")), [""; 0]);
    assert_eq!(find(&store, |q| q.region = RegionId::new("cn-beijing")), [""; 0]);
}

#[test]
fn tasks_come_in_pages() {
    let (_folder, store, _) = three_tasks();
    for (number, expected) in [(1, vec!["t-3", "t-2"]), (2, vec!["t-1"]), (3, vec![])] {
        let page = PageRequest::Number { number, size: 2 };
        assert_eq!(find(&store, |query| query.page = page.clone()), expected);
        assert_eq!(read(&store, |tx| tx.tasks(&TaskQuery { page, ..all() })).total, 3);
    }
}

#[test]
fn a_task_that_ended_is_forgotten_and_one_under_way_is_not() {
    let (_folder, store, _) = three_tasks();
    assert_eq!(write(&store, |tx| tx.purge_tasks(at(11))), 0);
    assert_eq!(write(&store, |tx| tx.purge_tasks(at(32))), 2);
    assert_eq!(find(&store, |_| ()), ["t-2"]);
}
