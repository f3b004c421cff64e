//! Our own thin binding to librados and librbd: the functions that the engine calls, looked up when
//! the first engine is opened, so that one program runs with and without Ceph.
//!
//! All unsafe code of the crate is in this module. Outside of it there are a [`Pool`], where rows
//! are kept, and an [`Image`], whose requests complete by a closure.
//!
//! Deliberately not here: what the engine does not call, and any build-time tie to Ceph's headers.
//! The signatures are those of librados 2 and librbd 1, which only ever grow.
#![allow(unsafe_code, reason = "the binding")]

mod client;
mod image;
mod lock;
mod pool;
mod watch;

use std::ffi::{c_char, c_int, c_uchar, c_void};
use std::fmt;
use std::sync::OnceLock;

use ebb_volume::{EngineError, IoError};

pub(crate) use image::{Done, Image, clone, create, remove};
pub(crate) use pool::{Pool, Row};
pub(crate) use watch::{Heard, Note, Watch};

/// Handles that only the libraries look into.
pub(super) type Handle = *mut c_void;
pub(super) type Callback = extern "C" fn(Handle, Handle);

/// As `rbd_snap_info_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RawSnap {
    id: u64,
    size: u64,
    name: *const c_char,
}

/// What is called for a notification: the argument, its id, the watch's cookie, who it is from, and
/// its bytes.
pub(super) type OnNote = extern "C" fn(Handle, u64, u64, u64, *const c_uchar, usize);
/// What is called when a watch is lost: the argument, the watch's cookie, the error's number.
pub(super) type OnLoss = extern "C" fn(Handle, u64, c_int);

/// As `notify_ack_t`.
#[repr(C)]
pub(super) struct RawAck {
    notifier_id: u64,
    cookie: u64,
    payload: *const c_uchar,
    payload_len: u64,
}

/// As `notify_timeout_t`.
#[repr(C)]
pub(super) struct RawTimeout {
    notifier_id: u64,
    cookie: u64,
}

/// As `rbd_image_watcher_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RawWatcher {
    addr: *const c_char,
    id: i64,
    cookie: u64,
}

/// As `rados_cluster_stat_t`.
#[repr(C)]
#[derive(Default)]
pub(super) struct RawSpace {
    kb: u64,
    kb_used: u64,
    kb_avail: u64,
    num_objects: u64,
}

/// What is told of each object: which, of how many.
pub(super) type OnProgress = extern "C" fn(u64, u64, Handle) -> c_int;

/// Declares the functions, as fields of a struct that is filled from the two libraries.
macro_rules! functions {
    ($($library:ident { $(fn $name:ident($($argument:ty),*) $(-> $result:ty)?;)* })*) => {
        pub(super) struct Api {
            $($(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*)*
        }

        impl Api {
            fn load() -> Result<Self, String> {
                $(let $library = open(concat!(stringify!($library), ".so"))?;)*
                $($(let $name = {
                    // SAFETY: the type is the one that the library's header gives this function.
                    let symbol = unsafe { $library.get(concat!(stringify!($name), "\0")) };
                    *symbol.map_err(|error| format!(
                        "{} has no `{}` ({error}): Ceph 16 or later is needed",
                        stringify!($library), stringify!($name),
                    ))?
                };)*)*
                // The functions are called until the process ends.
                $(std::mem::forget($library);)*
                Ok(Self { $($($name,)*)* })
            }
        }
    };
}

functions! {
    librados {
        fn rados_create(*mut Handle, *const c_char) -> c_int;
        fn rados_conf_read_file(Handle, *const c_char) -> c_int;
        fn rados_conf_set(Handle, *const c_char, *const c_char) -> c_int;
        fn rados_connect(Handle) -> c_int;
        fn rados_shutdown(Handle);
        fn rados_cluster_stat(Handle, *mut RawSpace) -> c_int;
        fn rados_ioctx_create(Handle, *const c_char, *mut Handle) -> c_int;
        fn rados_ioctx_destroy(Handle);
        fn rados_ioctx_set_namespace(Handle, *const c_char);
        fn rados_buffer_free(*mut c_char);
        fn rados_getaddrs(Handle, *mut *mut c_char) -> c_int;
        fn rados_get_min_compatible_client(Handle, *mut i8, *mut i8) -> c_int;
        fn rados_cluster_fsid(Handle, *mut c_char, usize) -> c_int;
        fn rados_blocklist_add(Handle, *mut c_char, u32) -> c_int;
        fn rados_wait_for_latest_osdmap(Handle) -> c_int;
        fn rados_stat(Handle, *const c_char, *mut u64, *mut i64) -> c_int;
        fn rados_remove(Handle, *const c_char) -> c_int;
        fn rados_list_lockers(
            Handle, *const c_char, *const c_char, *mut c_int, *mut c_char, *mut usize,
            *mut c_char, *mut usize, *mut c_char, *mut usize, *mut c_char, *mut usize) -> isize;
        fn rados_break_lock(
            Handle, *const c_char, *const c_char, *const c_char, *const c_char) -> c_int;
        fn rados_watch3(
            Handle, *const c_char, *mut u64, OnNote, OnLoss, u32, Handle) -> c_int;
        fn rados_unwatch2(Handle, u64) -> c_int;
        fn rados_watch_flush(Handle) -> c_int;
        fn rados_notify2(
            Handle, *const c_char, *const c_char, c_int, u64, *mut *mut c_char,
            *mut usize) -> c_int;
        fn rados_notify_ack(Handle, *const c_char, u64, u64, *const c_char, c_int) -> c_int;
        fn rados_decode_notify_response(
            *mut c_char, usize, *mut *mut RawAck, *mut usize, *mut *mut RawTimeout,
            *mut usize) -> c_int;
        fn rados_free_notify_response(*mut RawAck, usize, *mut RawTimeout);
        fn rados_create_write_op() -> Handle;
        fn rados_release_write_op(Handle);
        fn rados_write_op_create(Handle, c_int, *const c_char);
        fn rados_write_op_omap_cmp2(
            Handle, *const c_char, u8, *const c_char, usize, usize, *mut c_int);
        fn rados_write_op_omap_set2(
            Handle, *const *const c_char, *const *const c_char, *const usize, *const usize, usize);
        fn rados_write_op_omap_rm_keys2(
            Handle, *const *const c_char, *const usize, usize);
        fn rados_write_op_operate(Handle, Handle, *const c_char, Handle, c_int) -> c_int;
        fn rados_create_read_op() -> Handle;
        fn rados_release_read_op(Handle);
        fn rados_read_op_omap_get_vals2(
            Handle, *const c_char, *const c_char, u64, *mut Handle, *mut c_uchar, *mut c_int);
        fn rados_read_op_omap_get_vals_by_keys2(
            Handle, *const *const c_char, usize, *const usize, *mut Handle, *mut c_int);
        fn rados_read_op_operate(Handle, Handle, *const c_char, c_int) -> c_int;
        fn rados_omap_get_next2(
            Handle, *mut *mut c_char, *mut *mut c_char, *mut usize, *mut usize) -> c_int;
        fn rados_omap_get_end(Handle);
        fn rados_exec(
            Handle, *const c_char, *const c_char, *const c_char, *const c_char, usize,
            *mut c_char, usize) -> c_int;
    }
    librbd {
        fn rbd_namespace_create(Handle, *const c_char) -> c_int;
        fn rbd_create2(Handle, *const c_char, u64, u64, *mut c_int) -> c_int;
        fn rbd_clone2(
            Handle, *const c_char, *const c_char, Handle, *const c_char, u64, *mut c_int, u64,
            c_int) -> c_int;
        fn rbd_remove(Handle, *const c_char) -> c_int;
        fn rbd_open(Handle, *const c_char, *mut Handle, *const c_char) -> c_int;
        fn rbd_open_read_only(Handle, *const c_char, *mut Handle, *const c_char) -> c_int;
        fn rbd_close(Handle) -> c_int;
        fn rbd_get_id(Handle, *mut c_char, usize) -> c_int;
        fn rbd_get_size(Handle, *mut u64) -> c_int;
        fn rbd_get_flags(Handle, *mut u64) -> c_int;
        fn rbd_lock_acquire(Handle, c_int) -> c_int;
        fn rbd_is_exclusive_lock_owner(Handle, *mut c_int) -> c_int;
        fn rbd_get_features(Handle, *mut u64) -> c_int;
        fn rbd_get_overlap(Handle, *mut u64) -> c_int;
        fn rbd_flatten_with_progress(Handle, OnProgress, Handle) -> c_int;
        fn rbd_watchers_list(Handle, *mut RawWatcher, *mut usize) -> c_int;
        fn rbd_watchers_list_cleanup(*mut RawWatcher, usize);
        fn rbd_resize(Handle, u64) -> c_int;
        fn rbd_snap_create(Handle, *const c_char) -> c_int;
        fn rbd_snap_remove(Handle, *const c_char) -> c_int;
        fn rbd_snap_rollback(Handle, *const c_char) -> c_int;
        fn rbd_snap_list(Handle, *mut RawSnap, *mut c_int) -> c_int;
        fn rbd_snap_list_end(*mut RawSnap);
        fn rbd_aio_create_completion(Handle, Callback, *mut Handle) -> c_int;
        fn rbd_aio_get_return_value(Handle) -> isize;
        fn rbd_aio_release(Handle);
        fn rbd_aio_read(Handle, u64, usize, *mut c_char, Handle) -> c_int;
        fn rbd_aio_write(Handle, u64, usize, *const c_char, Handle) -> c_int;
        fn rbd_aio_write_zeroes(Handle, u64, usize, Handle, c_int, c_int) -> c_int;
        fn rbd_aio_flush(Handle, Handle) -> c_int;
    }
}

/// The version that is in the name of the file, with what installs it.
fn open(name: &str) -> Result<libloading::Library, String> {
    let (file, package) = match name {
        "librados.so" => ("librados.so.2", "librados2"),
        _ => ("librbd.so.1", "librbd1"),
    };
    // SAFETY: what these libraries run when they are loaded has no conditions.
    unsafe { libloading::Library::new(file) }.map_err(|error| {
        format!("Ceph's client library is not there: install the package {package} ({error})")
    })
}

/// The functions, looked up once.
pub(super) fn api() -> Result<&'static Api, Error> {
    static API: OnceLock<Result<Api, String>> = OnceLock::new();
    let loaded = API.get_or_init(Api::load);
    loaded.as_ref().map_err(|reason| Error::Missing(reason.clone()))
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// The library, or one of its functions, is not there.
    Missing(String),
    /// The cluster is not as it has to be, or can not be reached; with what to do.
    Refused(String),
    /// The call, on what, and the error's number.
    Failed(&'static str, String, i32),
}

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const EACCES: i32 = 13;
pub(crate) const EBUSY: i32 = 16;
pub(crate) const EEXIST: i32 = 17;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EROFS: i32 = 30;
pub(crate) const ENOTEMPTY: i32 = 39;
pub(crate) const ERANGE: i32 = 34;
pub(crate) const ENOTCONN: i32 = 107;
pub(crate) const ESHUTDOWN: i32 = 108;
pub(crate) const ETIMEDOUT: i32 = 110;
pub(crate) const EDQUOT: i32 = 122;
pub(crate) const ECANCELED: i32 = 125;

impl Error {
    /// The outcome of a call: the number it returned, or an error with the call's name.
    pub(super) fn check(call: &'static str, on: &str, returned: c_int) -> Result<c_int, Self> {
        match returned {
            0.. => Ok(returned),
            code => Err(Self::Failed(call, on.to_owned(), -code)),
        }
    }

    pub(crate) fn is(&self, wanted: i32) -> bool {
        matches!(self, Self::Failed(_, _, code) if *code == wanted)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(reason) | Self::Refused(reason) => f.write_str(reason),
            Self::Failed(call, on, code) => {
                let reason = std::io::Error::from_raw_os_error(*code);
                write!(f, "{call} of {on}: {reason}")
            }
        }
    }
}

/// What an engine says that the cluster has blocklisted.
pub(crate) const SHUT_OUT: &str =
    "shut out by another server: the Ceph cluster has blocklisted this one";

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        match error {
            Error::Failed(_, _, ENOSPC | EDQUOT) => Self::NoSpace,
            Error::Failed(_, _, ESHUTDOWN) => Self::Stopped(SHUT_OUT.into()),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// What a request's error number means to the one who asked.
pub(crate) fn io_error(code: i32) -> IoError {
    match code {
        ENOSPC | EDQUOT => IoError::NoSpace,
        // Blocklisted, or without the image's lock, which another has.
        ESHUTDOWN | EROFS => IoError::Stale,
        _ => IoError::Failed,
    }
}
