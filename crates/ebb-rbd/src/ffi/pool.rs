//! A connection to a cluster, and one pool and namespace in it.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::Arc;

use super::{
    Api, EACCES, ECANCELED, EEXIST, ENOENT, EPERM, ETIMEDOUT, Error, Handle, RawSpace, api,
};

/// What the engine needs set, whatever the cluster's own file says. Writes are complete when they
/// are durable, zeroes are exact, and images and clones have what snapshots are quick with.
const SETTINGS: &[(&CStr, &CStr)] = &[
    (c"rbd_cache", c"false"),
    (c"rbd_default_clone_format", c"2"),
    (c"rbd_move_to_trash_on_remove", c"false"),
    // Connecting, and commands to monitors. Operations on objects have no limit: `deadline.rs`.
    (c"client_mount_timeout", c"10"),
    (c"rados_mon_op_timeout", c"10"),
];

/// A row of an object: its key and its value.
pub(crate) type Row = (String, Vec<u8>);

/// A pool and a namespace, on a connection of its own.
pub(crate) struct Pool {
    api: &'static Api,
    pub(super) cluster: Handle,
    io: Handle,
}

// SAFETY: librados and librbd serve a cluster handle and an I/O context from any thread at the same
// time; neither is changed after it is made.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Connects. The namespace is made where it is not there.
    pub(crate) fn connect(
        conf: &Path,
        user: &str,
        pool: &str,
        namespace: &str,
    ) -> Result<Arc<Self>, Error> {
        let api = api()?;
        let (shown_user, mut cluster, user) = (user, ptr::null_mut(), text(user)?);
        // SAFETY: the id is a string, and a handle is written where it is wanted.
        let made = unsafe { (api.rados_create)(&raw mut cluster, user.as_ptr()) };
        Error::check("rados_create", "a client", made)?;
        // From here on dropping it ends the connection.
        let mut this = Self { api, cluster, io: ptr::null_mut() };
        this.configure(conf)?;
        // SAFETY: the handle was made above and is not connected yet.
        let connected = unsafe { (api.rados_connect)(this.cluster) };
        Error::check("rados_connect", &conf.display().to_string(), connected)
            .map_err(|error| unreachable_monitors(error, conf, shown_user))?;
        this.check_compatible()?;
        let name = text(pool)?;
        // SAFETY: the cluster is connected, and a context is written where it is wanted.
        let made =
            unsafe { (api.rados_ioctx_create)(this.cluster, name.as_ptr(), &raw mut this.io) };
        Error::check("rados_ioctx_create", &format!("pool {pool}"), made)?;
        if !namespace.is_empty() {
            this.enter(namespace)?;
        }
        Ok(Arc::new(this))
    }

    fn configure(&self, conf: &Path) -> Result<(), Error> {
        let shown = conf.display().to_string();
        let path = text(&shown)?;
        // SAFETY: the handle was made and is not connected yet, and the path is a string.
        let read = unsafe { (self.api.rados_conf_read_file)(self.cluster, path.as_ptr()) };
        Error::check("rados_conf_read_file", &shown, read)?;
        for (name, value) in SETTINGS {
            // SAFETY: as above, with two strings.
            let set =
                unsafe { (self.api.rados_conf_set)(self.cluster, name.as_ptr(), value.as_ptr()) };
            Error::check("rados_conf_set", &name.to_string_lossy(), set)?;
        }
        Ok(())
    }

    /// Clones of the second version, which need no protection of what they are clones of.
    fn check_compatible(&self) -> Result<(), Error> {
        const MIMIC: i8 = 13;
        let (mut least, mut required) = (0, 0);
        // SAFETY: the cluster is connected, and two numbers are written where they are wanted.
        let got = unsafe {
            let get = self.api.rados_get_min_compatible_client;
            get(self.cluster, &raw mut least, &raw mut required)
        };
        Error::check("rados_get_min_compatible_client", "the cluster", got)?;
        match required {
            MIMIC.. => Ok(()),
            _ => Err(Error::Refused(
                "the Ceph cluster admits clients older than Mimic, so it has no clones of the \
                 second version, which this server makes: run `ceph osd \
                 set-require-min-compat-client mimic`"
                    .into(),
            )),
        }
    }

    fn enter(&self, namespace: &str) -> Result<(), Error> {
        let name = text(namespace)?;
        // SAFETY: the context is made, and the name is a string.
        let made = unsafe { (self.api.rbd_namespace_create)(self.io, name.as_ptr()) };
        match Error::check("rbd_namespace_create", namespace, made) {
            // A user that may not make one may use one that is there.
            Err(error) if !error.is(EEXIST) && !error.is(EPERM) => return Err(error),
            _ => {}
        }
        // SAFETY: as above; nothing uses the context yet.
        unsafe { (self.api.rados_ioctx_set_namespace)(self.io, name.as_ptr()) };
        Ok(())
    }

    /// Whether so many percent of the cluster are free.
    pub(crate) fn has_free(&self, percent: u64) -> Result<bool, Error> {
        let mut space = RawSpace::default();
        // SAFETY: the cluster is connected, and what it has is written where it is wanted.
        let told = unsafe { (self.api.rados_cluster_stat)(self.cluster, &raw mut space) };
        Error::check("rados_cluster_stat", "the cluster", told)?;
        Ok(space.kb_avail >= space.kb / 100 * percent)
    }

    pub(super) fn api(&self) -> &'static Api {
        self.api
    }

    pub(super) fn io(&self) -> Handle {
        self.io
    }

    /// Changes rows of an object, if those compared are what they should be (`None`: not there).
    /// All of it is done, durably, or nothing. False: one was not.
    pub(crate) fn change_rows(
        &self,
        object: &str,
        compare: &[(String, Option<Vec<u8>>)],
        set: &[Row],
        remove: &[String],
    ) -> Result<bool, Error> {
        const EQUAL: u8 = 1;
        const CREATE_IDEMPOTENT: i32 = 0;
        let (api, name) = (self.api, text(object)?);
        // SAFETY: it takes nothing; the operation is released below.
        let op = unsafe { (api.rados_create_write_op)() };
        // SAFETY: the operation is new; no category is given.
        unsafe { (api.rados_write_op_create)(op, CREATE_IDEMPOTENT, ptr::null()) };
        for (key, value) in compare {
            // A row that is not there compares as an empty one, and none of ours is empty.
            let value = value.as_deref().unwrap_or_default();
            let (key_at, value_at) = (key.as_ptr().cast(), value.as_ptr().cast());
            // SAFETY: both are given with their lengths, and copied.
            unsafe {
                (api.rados_write_op_omap_cmp2)(
                    op,
                    key_at,
                    EQUAL,
                    value_at,
                    key.len(),
                    value.len(),
                    ptr::null_mut(),
                );
            }
        }
        let keys: Vec<*const c_char> = set.iter().map(|(key, _)| key.as_ptr().cast()).collect();
        let values: Vec<*const c_char> = set.iter().map(|(_, v)| v.as_ptr().cast()).collect();
        let key_lengths: Vec<usize> = set.iter().map(|(key, _)| key.len()).collect();
        let value_lengths: Vec<usize> = set.iter().map(|(_, value)| value.len()).collect();
        let gone: Vec<*const c_char> = remove.iter().map(|key| key.as_ptr().cast()).collect();
        let gone_lengths: Vec<usize> = remove.iter().map(String::len).collect();
        let (object_at, any_time) = (name.as_ptr(), ptr::null_mut());
        // SAFETY: each list is as long as said, each text as long as its length says; all of them
        // are copied into the operation, which is used once and released.
        let returned = unsafe {
            (api.rados_write_op_omap_set2)(
                op,
                keys.as_ptr(),
                values.as_ptr(),
                key_lengths.as_ptr(),
                value_lengths.as_ptr(),
                keys.len(),
            );
            (api.rados_write_op_omap_rm_keys2)(
                op,
                gone.as_ptr(),
                gone_lengths.as_ptr(),
                gone.len(),
            );
            let returned = (api.rados_write_op_operate)(op, self.io, object_at, any_time, 0);
            (api.rados_release_write_op)(op);
            returned
        };
        match Error::check("rados_write_op_operate", object, returned) {
            Ok(_) => Ok(true),
            Err(error) if error.is(ECANCELED) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The rows of these keys that are there, in the order of their keys.
    pub(crate) fn rows(&self, object: &str, keys: &[String]) -> Result<Vec<Row>, Error> {
        let pointers: Vec<*const c_char> = keys.iter().map(|key| key.as_ptr().cast()).collect();
        let lengths: Vec<usize> = keys.iter().map(String::len).collect();
        let (mut rows, mut code) = (ptr::null_mut(), 0);
        self.read(object, |op| {
            // SAFETY: the lists are as long as said and are copied; the iterator and the code are
            // written when the operation is performed, which `read` does before they end.
            unsafe {
                (self.api.rados_read_op_omap_get_vals_by_keys2)(
                    op,
                    pointers.as_ptr(),
                    keys.len(),
                    lengths.as_ptr(),
                    &raw mut rows,
                    &raw mut code,
                );
            }
        })?;
        Ok(self.collect(rows))
    }

    /// Rows whose keys begin with `prefix`, after `after`, and whether there may be more.
    pub(crate) fn rows_after(
        &self,
        object: &str,
        prefix: &str,
        after: &str,
    ) -> Result<(Vec<Row>, bool), Error> {
        const PAGE: u64 = 1000;
        let (prefix, after) = (text(prefix)?, text(after)?);
        let (mut rows, mut more, mut code) = (ptr::null_mut(), 0, 0);
        self.read(object, |op| {
            // SAFETY: both are strings and are copied; what is written to is as in `rows`.
            unsafe {
                (self.api.rados_read_op_omap_get_vals2)(
                    op,
                    after.as_ptr(),
                    prefix.as_ptr(),
                    PAGE,
                    &raw mut rows,
                    &raw mut more,
                    &raw mut code,
                );
            }
        })?;
        Ok((self.collect(rows), more != 0))
    }

    fn read(&self, object: &str, fill: impl FnOnce(Handle)) -> Result<(), Error> {
        let name = text(object)?;
        // SAFETY: it takes nothing; the operation is released below.
        let op = unsafe { (self.api.rados_create_read_op)() };
        fill(op);
        // SAFETY: the operation was made above, is used once and released.
        let returned = unsafe {
            let returned = (self.api.rados_read_op_operate)(op, self.io, name.as_ptr(), 0);
            (self.api.rados_release_read_op)(op);
            returned
        };
        match Error::check("rados_read_op_operate", object, returned) {
            // Of an object that is not there, there are no rows.
            Err(error) if !error.is(ENOENT) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes all rows from an iterator, and ends it.
    fn collect(&self, iterator: Handle) -> Vec<Row> {
        let mut rows = Vec::new();
        if iterator.is_null() {
            return rows;
        }
        loop {
            let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
            let (mut key_length, mut value_length) = (0, 0);
            // SAFETY: the iterator was filled by an operation and is not ended yet.
            unsafe {
                (self.api.rados_omap_get_next2)(
                    iterator,
                    &raw mut key,
                    &raw mut value,
                    &raw mut key_length,
                    &raw mut value_length,
                );
            }
            if key.is_null() {
                break;
            }
            let bytes = |at: *mut c_char, length| match at.is_null() {
                true => &[][..],
                // SAFETY: the iterator owns that many bytes there until it is ended.
                false => unsafe { slice::from_raw_parts(at.cast::<u8>().cast_const(), length) },
            };
            let key = String::from_utf8_lossy(bytes(key, key_length)).into_owned();
            rows.push((key, bytes(value, value_length).to_vec()));
        }
        // SAFETY: as above; it is not used any more.
        unsafe { (self.api.rados_omap_get_end)(iterator) };
        rows
    }

    /// What a method of an object's class answers, at most `most` bytes.
    pub(crate) fn call(
        &self,
        object: &str,
        class: &CStr,
        method: &CStr,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let (name, mut answer) = (text(object)?, vec![0_u8; most]);
        // SAFETY: three strings, no input, and room for as much output as is said.
        let returned = unsafe {
            (self.api.rados_exec)(
                self.io,
                name.as_ptr(),
                class.as_ptr(),
                method.as_ptr(),
                ptr::null(),
                0,
                answer.as_mut_ptr().cast(),
                most,
            )
        };
        let length = Error::check("rados_exec", object, returned)?;
        answer.truncate(length.unsigned_abs() as usize);
        Ok(answer)
    }
}

/// Why there is no connection, with what to look at.
fn unreachable_monitors(error: Error, conf: &Path, user: &str) -> Error {
    let conf = conf.display();
    if error.is(ETIMEDOUT) {
        return Error::Refused(format!(
            "the monitors of the Ceph cluster that {conf} names cannot be reached: see whether \
             `mon host` is right there, they run, and this machine reaches them \
             (`ceph --conf {conf} -s`)"
        ));
    }
    if error.is(EACCES) || error.is(EPERM) || error.is(ENOENT) {
        return Error::Refused(format!(
            "the Ceph cluster that {conf} names does not admit client.{user}: see whether it has \
             such a user (`ceph auth get client.{user}`), and the keyring its key ({error})"
        ));
    }
    error
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.io.is_null() {
            // SAFETY: images hold the pool, so none of them uses the context any more.
            unsafe { (self.api.rados_ioctx_destroy)(self.io) };
        }
        // SAFETY: the handle was made by `rados_create` and is not used any more.
        unsafe { (self.api.rados_shutdown)(self.cluster) };
    }
}

/// A string for the libraries.
pub(super) fn text(text: &str) -> Result<CString, Error> {
    CString::new(text)
        .map_err(|_| Error::Failed("a string with a zero byte", text.to_owned(), super::EINVAL))
}
