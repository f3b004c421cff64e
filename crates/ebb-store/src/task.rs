//! Tasks.

use ebb_domain::{
    AccountId, ImageFormat, RegionId, Task, TaskAction, TaskGroupId, TaskId, TaskObject,
    TaskStatus, Timestamp,
};

use crate::filter::Filter;
use crate::page;
use crate::row::Row;
use crate::tx::{Value, text};
use crate::{Page, PageRequest, StoreError, Tx};

/// DescribeTasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Which; unknown ids are simply absent.
    pub ids: Option<Vec<TaskId>>,
    /// TaskGroupId
    pub group: Option<TaskGroupId>,
    /// TaskAction, by its wire name
    pub action: Option<String>,
    /// TaskStatus
    pub status: Option<TaskStatus>,
    /// ResourceIds: it acts on one of them
    pub resources: Option<Vec<String>>,
    /// Created then or later
    pub created_from: Option<Timestamp>,
    /// Created then or earlier
    pub created_to: Option<Timestamp>,
    /// Which part. Only pages by number are told apart.
    pub page: PageRequest,
}

impl Tx<'_> {
    /// The task of that id.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        let sql = "SELECT * FROM tasks WHERE id = ?";
        Ok(self.whole_tasks(sql, &[text(id.as_str())])?.pop())
    }

    /// Adds a task.
    ///
    /// # Errors
    /// [`StoreError::Sql`], also where there is one of its id.
    pub fn insert_task(&self, task: &Task) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO tasks
                 (id, task_group, account, region, action, resource, status, created_at, carrier)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &[
                text(task.id.as_str()),
                task.group.as_ref().map(|id| text(id.as_str())).into(),
                text(task.account.as_str()),
                text(task.region.as_str()),
                text(task.action.name()),
                text(&task.resource),
                text(task.status.name()),
                task.created_at.unix_millis().into(),
                self.carrier(),
            ],
        )?;
        for (position, object) in (0_i64..).zip(&task.objects) {
            self.insert_object(task, position, object)?;
        }
        self.save_task(task)
    }

    fn insert_object(
        &self,
        task: &Task,
        position: i64,
        object: &TaskObject,
    ) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO task_objects (task, position, bucket, object, format, device, size_gib)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            &[
                text(task.id.as_str()),
                position.into(),
                text(&object.bucket),
                text(&object.object),
                text(object.format.name()),
                text(&object.device),
                object.size_gib.into(),
            ],
        )?;
        Ok(())
    }

    fn objects_of_task(&self, id: &TaskId) -> Result<Vec<TaskObject>, StoreError> {
        let sql = "SELECT * FROM task_objects WHERE task = ? ORDER BY position";
        self.rows(("task_objects", "task"), sql, &[text(id.as_str())], |row| {
            Ok(TaskObject {
                bucket: row.get("bucket")?,
                object: row.get("object")?,
                format: row.name("format", ImageFormat::parse)?,
                device: row.get("device")?,
                size_gib: row.get("size_gib")?,
            })
        })
    }

    fn whole_tasks(&self, sql: &str, values: &[Value]) -> Result<Vec<Task>, StoreError> {
        let mut tasks = self.rows(("tasks", "id"), sql, values, read)?;
        for task in &mut tasks {
            task.objects = self.objects_of_task(&task.id)?;
        }
        Ok(tasks)
    }

    /// Saves how far a task has come. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn save_task(&self, task: &Task) -> Result<(), StoreError> {
        let carrier = match task.status {
            TaskStatus::Processing => "",
            _ => ", carrier = NULL",
        };
        let sql = format!(
            "UPDATE tasks SET status = ?, percent = ?, error = ?, finished_at = ?{carrier}
             WHERE id = ?"
        );
        self.execute(
            &sql,
            &[
                text(task.status.name()),
                i64::from(task.percent).into(),
                text(&task.error),
                task.finished_at.map(Timestamp::unix_millis).into(),
                text(task.id.as_str()),
            ],
        )?;
        Ok(())
    }

    /// Removes a task. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn remove_task(&self, id: &TaskId) -> Result<(), StoreError> {
        self.execute("DELETE FROM tasks WHERE id = ?", &[text(id.as_str())])?;
        Ok(())
    }

    /// Tasks that are under way, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn tasks_under_way(&self) -> Result<Vec<Task>, StoreError> {
        let sql = "SELECT * FROM tasks WHERE status = 'Processing' ORDER BY created_at, id";
        self.whole_tasks(sql, &[])
    }

    /// Whether a task that is under way needs a resource.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn has_task_under_way(&self, resource: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM tasks WHERE status = 'Processing' AND resource = ?";
        self.exists(sql, &[text(resource)])
    }

    /// DescribeTasks, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn tasks(&self, query: &TaskQuery) -> Result<Page<Task>, StoreError> {
        let filter = filter(query);
        let total = self.count(&format!("SELECT count(*) FROM tasks {filter}"), filter.values())?;
        let sql =
            format!("SELECT * FROM tasks {filter} ORDER BY created_at DESC, id LIMIT ? OFFSET ?");
        let [limit, offset] = page::range(&query.page);
        let mut values = filter.into_values();
        values.extend([limit.into(), offset.into()]);
        let mut items = self.whole_tasks(&sql, &values)?;
        page::cut(&mut items, &query.page);
        Ok(Page { items, total, next: None })
    }

    /// Forgets the tasks that ended before that time; how many there were.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn purge_tasks(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.execute("DELETE FROM tasks WHERE finished_at < ?", &[before.unix_millis().into()])
    }
}

fn filter(query: &TaskQuery) -> Filter {
    let mut filter = Filter::of(query.account.as_str(), query.region.as_str());
    filter.one_of("id", query.ids.as_ref().map(|ids| ids.iter().map(TaskId::as_str)));
    filter.and_if("task_group = ?", query.group.as_ref().map(TaskGroupId::as_str));
    filter.and_if("action = ?", query.action.as_deref());
    filter.and_if("status = ?", query.status.map(TaskStatus::name));
    filter.one_of("resource", query.resources.as_ref().map(|ids| ids.iter().map(String::as_str)));
    filter.created(query.created_from, query.created_to);
    filter
}

fn read(row: &Row<'_>) -> Result<Task, StoreError> {
    Ok(Task {
        id: row.id("id", TaskId::new)?,
        group: row.id_if_any("task_group", TaskGroupId::new)?,
        account: row.id("account", AccountId::new)?,
        region: row.id("region", RegionId::new)?,
        action: row.name("action", TaskAction::parse)?,
        resource: row.get("resource")?,
        objects: Vec::new(),
        status: row.name("status", TaskStatus::parse)?,
        percent: row.get("percent")?,
        error: row.get("error")?,
        created_at: row.time("created_at")?,
        finished_at: row.time_if_any("finished_at")?,
    })
}
