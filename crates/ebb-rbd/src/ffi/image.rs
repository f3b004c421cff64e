//! Images, their snapshots, and requests to them.
//!
//! A request is a box that the library carries through as a pointer: the buffer that it reads or
//! writes, and a closure that takes the outcome, on a thread of the library.

use std::ffi::{CStr, c_int};
use std::ptr;
use std::sync::{Arc, mpsc};

use bytes::Bytes;

use super::pool::text;
use super::{Api, ECANCELED, EINVAL, Error, Handle, Pool, RawSnap, api};

/// Layering, exclusive lock, object map, fast diff, deep flatten.
const FEATURES: u64 = 1 | 4 | 8 | 16 | 32;

/// What takes the outcome of a request: the bytes that were read, or the error's number.
pub(crate) type Done = Box<dyn FnOnce(Result<Bytes, i32>) + Send>;

/// A snapshot, as the image lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapInfo {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// An open image. Dropping it closes it, which waits for the cluster: so it must not be dropped
/// where a request completes.
pub(crate) struct Image {
    pub(super) pool: Arc<Pool>,
    name: String,
    pub(super) raw: Handle,
}

// SAFETY: librbd serves an image from any thread at the same time; closing takes it by value.
unsafe impl Send for Image {}
// SAFETY: as above.
unsafe impl Sync for Image {}

/// Makes an empty image.
pub(crate) fn create(pool: &Pool, name: &str, size_bytes: u64) -> Result<(), Error> {
    let (api, text, mut order) = (pool.api(), text(name)?, 0);
    // SAFETY: the name is a string; order 0 takes the default and is written back.
    let made = unsafe {
        (api.rbd_create2)(pool.io(), text.as_ptr(), size_bytes, FEATURES, &raw mut order)
    };
    Error::check("rbd_create", name, made).map(drop)
}

/// Makes an image that reads as a snapshot of another.
pub(crate) fn clone(pool: &Pool, parent: &str, snap: &str, name: &str) -> Result<(), Error> {
    let (api, mut order) = (pool.api(), 0);
    let (parent, snap, child) = (text(parent)?, text(snap)?, text(name)?);
    // SAFETY: three strings; order 0 and stripes of 0 take the parent's.
    let made = unsafe {
        (api.rbd_clone2)(
            pool.io(),
            parent.as_ptr(),
            snap.as_ptr(),
            pool.io(),
            child.as_ptr(),
            FEATURES,
            &raw mut order,
            0,
            0,
        )
    };
    Error::check("rbd_clone", name, made).map(drop)
}

/// Removes an image that has no snapshots.
pub(crate) fn remove(pool: &Pool, name: &str) -> Result<(), Error> {
    let text = text(name)?;
    // SAFETY: the name is a string.
    let removed = unsafe { (pool.api().rbd_remove)(pool.io(), text.as_ptr()) };
    Error::check("rbd_remove", name, removed).map(drop)
}

impl Image {
    /// Opens the head.
    pub(crate) fn open(pool: &Arc<Pool>, name: &str) -> Result<Self, Error> {
        let (label, mut raw) = (text(name)?, ptr::null_mut());
        // SAFETY: the name is a string, no snapshot is given, and a handle is written.
        let opened =
            unsafe { (pool.api().rbd_open)(pool.io(), label.as_ptr(), &raw mut raw, ptr::null()) };
        Error::check("rbd_open", name, opened)?;
        Ok(Self { pool: Arc::clone(pool), name: name.to_owned(), raw })
    }

    /// Opens the head to look at it only: whoever has it is not disturbed.
    pub(crate) fn open_to_look(pool: &Arc<Pool>, name: &str) -> Result<Self, Error> {
        let (label, mut raw) = (text(name)?, ptr::null_mut());
        // SAFETY: the name is a string, no snapshot is given, and a handle is written.
        let opened = unsafe {
            let open = pool.api().rbd_open_read_only;
            open(pool.io(), label.as_ptr(), &raw mut raw, ptr::null())
        };
        Error::check("rbd_open", name, opened)?;
        Ok(Self { pool: Arc::clone(pool), name: name.to_owned(), raw })
    }

    /// Opens a snapshot.
    pub(crate) fn open_snap(pool: &Arc<Pool>, name: &str, snap: &str) -> Result<Self, Error> {
        let (label, at, mut raw) = (text(name)?, text(snap)?, ptr::null_mut());
        // SAFETY: both are strings, and a handle is written.
        let opened = unsafe {
            let open = pool.api().rbd_open_read_only;
            open(pool.io(), label.as_ptr(), &raw mut raw, at.as_ptr())
        };
        Error::check("rbd_open", &format!("{name}@{snap}"), opened)?;
        Ok(Self { pool: Arc::clone(pool), name: name.to_owned(), raw })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn api(&self) -> &'static Api {
        self.pool.api()
    }

    pub(super) fn check(&self, call: &'static str, returned: i32) -> Result<(), Error> {
        Error::check(call, &self.name, returned).map(drop)
    }

    /// The id that the names of its objects are made of.
    pub(crate) fn id(&self) -> Result<String, Error> {
        let mut bytes = [0_u8; 128];
        // SAFETY: there is room for as many bytes as is said.
        let got =
            unsafe { (self.api().rbd_get_id)(self.raw, bytes.as_mut_ptr().cast(), bytes.len()) };
        self.check("rbd_get_id", got)?;
        let id = CStr::from_bytes_until_nul(&bytes)
            .map_err(|_| Error::Failed("rbd_get_id", self.name.clone(), EINVAL))?;
        Ok(id.to_string_lossy().into_owned())
    }

    pub(crate) fn size_bytes(&self) -> Result<u64, Error> {
        let mut size_bytes = 0;
        // SAFETY: the size is written where it is wanted.
        let got = unsafe { (self.api().rbd_get_size)(self.raw, &raw mut size_bytes) };
        self.check("rbd_get_size", got).map(|()| size_bytes)
    }

    /// Whether its object maps tell what there is.
    pub(crate) fn maps_are_valid(&self) -> Result<bool, Error> {
        const OBJECT_MAP_INVALID: u64 = 1;
        let mut flags = 0;
        // SAFETY: the flags are written where they are wanted.
        let got = unsafe { (self.api().rbd_get_flags)(self.raw, &raw mut flags) };
        self.check("rbd_get_flags", got).map(|()| flags & OBJECT_MAP_INVALID == 0)
    }

    pub(crate) fn features(&self) -> Result<u64, Error> {
        let mut features = 0;
        // SAFETY: the features are written where they are wanted.
        let got = unsafe { (self.api().rbd_get_features)(self.raw, &raw mut features) };
        self.check("rbd_get_features", got).map(|()| features)
    }

    /// How many bytes may come from its parent.
    pub(crate) fn overlap(&self) -> Result<u64, Error> {
        let mut bytes = 0;
        // SAFETY: the bytes are written where they are wanted.
        let got = unsafe { (self.api().rbd_get_overlap)(self.raw, &raw mut bytes) };
        self.check("rbd_get_overlap", got).map(|()| bytes)
    }

    /// Copies all that it has not of its own from its parent, and forgets that. `goes_on` is told
    /// of each object, which of how many, whether it is copied or not, and ends it with false: the
    /// error is then `ECANCELED`, the parent is still there, and what was copied stays.
    pub(crate) fn flatten(&self, goes_on: &Progress<'_>) -> Result<(), Error> {
        let told = (&raw const goes_on).cast_mut();
        // SAFETY: the callback takes a pointer to the reference, which lives until the call ends,
        // and calls it from one thread at a time or several, as its type allows.
        let done =
            unsafe { (self.api().rbd_flatten_with_progress)(self.raw, progressed, told.cast()) };
        self.check("rbd_flatten", done)
    }

    pub(crate) fn resize(&self, size_bytes: u64) -> Result<(), Error> {
        // SAFETY: the image is open.
        self.check("rbd_resize", unsafe { (self.api().rbd_resize)(self.raw, size_bytes) })
    }

    pub(crate) fn create_snap(&self, snap: &str) -> Result<(), Error> {
        let name = text(snap)?;
        // SAFETY: the name is a string.
        let made = unsafe { (self.api().rbd_snap_create)(self.raw, name.as_ptr()) };
        self.check("rbd_snap_create", made)
    }

    pub(crate) fn remove_snap(&self, snap: &str) -> Result<(), Error> {
        let name = text(snap)?;
        // SAFETY: the name is a string.
        let removed = unsafe { (self.api().rbd_snap_remove)(self.raw, name.as_ptr()) };
        self.check("rbd_snap_remove", removed)
    }

    /// Makes the head what the snapshot is, in place, its size too.
    pub(crate) fn roll_back(&self, snap: &str) -> Result<(), Error> {
        let name = text(snap)?;
        // SAFETY: the name is a string.
        let done = unsafe { (self.api().rbd_snap_rollback)(self.raw, name.as_ptr()) };
        self.check("rbd_snap_rollback", done)
    }

    /// All its snapshots, oldest first, with those that are kept for clones only.
    pub(crate) fn snaps(&self) -> Result<Vec<SnapInfo>, Error> {
        const TOO_FEW: i32 = -34;
        let mut count = 64;
        loop {
            let none = RawSnap { id: 0, size: 0, name: ptr::null() };
            let mut raw = vec![none; usize::try_from(count).unwrap_or_default()];
            // SAFETY: there is room for as many as is said.
            let listed =
                unsafe { (self.api().rbd_snap_list)(self.raw, raw.as_mut_ptr(), &raw mut count) };
            if listed == TOO_FEW {
                continue;
            }
            self.check("rbd_snap_list", listed)?;
            raw.truncate(listed.unsigned_abs() as usize);
            let info = |snap: &RawSnap| {
                // SAFETY: the library has put a string there, until the list is ended below.
                let name = unsafe { CStr::from_ptr(snap.name) };
                let name = name.to_string_lossy().into_owned();
                SnapInfo { id: snap.id, name, size: snap.size }
            };
            let mut snaps: Vec<SnapInfo> = raw.iter().map(info).collect();
            if !raw.is_empty() {
                raw.push(none);
                // SAFETY: the list ends with an entry without a name, and is not used any more.
                unsafe { (self.api().rbd_snap_list_end)(raw.as_mut_ptr()) };
            }
            snaps.sort_by_key(|snap| snap.id);
            return Ok(snaps);
        }
    }

    /// Starts reading `length` bytes.
    pub(crate) fn read(&self, offset: u64, length: u32, done: Done) {
        let mut buffer = vec![0_u8; length as usize];
        let (at, many) = (buffer.as_mut_ptr().cast(), buffer.len());
        self.start(Buffer::Read(buffer), done, |completion| {
            // SAFETY: the bytes are as many as said; the request owns them until it completes, and
            // they do not move when their owner does.
            unsafe { (self.api().rbd_aio_read)(self.raw, offset, many, at, completion) }
        });
    }

    /// Starts writing; durable when it completes.
    pub(crate) fn write(&self, offset: u64, data: Bytes, done: Done) {
        let (at, many) = (data.as_ptr().cast(), data.len());
        self.start(Buffer::Write { _data: data }, done, |completion| {
            // SAFETY: as in `read`.
            unsafe { (self.api().rbd_aio_write)(self.raw, offset, many, at, completion) }
        });
    }

    /// Starts zeroing exactly these bytes; durable when it completes.
    pub(crate) fn zero(&self, offset: u64, length: u64, done: Done) {
        self.start(Buffer::None, done, |completion| {
            let Ok(many) = usize::try_from(length) else { return -EINVAL };
            // SAFETY: the image is open.
            unsafe { (self.api().rbd_aio_write_zeroes)(self.raw, offset, many, completion, 0, 0) }
        });
    }

    pub(crate) fn flush(&self, done: Done) {
        self.start(Buffer::None, done, |completion| {
            // SAFETY: the image is open.
            unsafe { (self.api().rbd_aio_flush)(self.raw, completion) }
        });
    }

    /// Reads and waits.
    pub(crate) fn read_now(&self, offset: u64, length: u32) -> Result<Bytes, Error> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let done = move |outcome| {
            // The receiver waits below.
            let _ = sender.send(outcome);
        };
        self.read(offset, length, Box::new(done));
        let outcome = receiver.recv().unwrap_or(Err(EINVAL));
        outcome.map_err(|code| Error::Failed("rbd_aio_read", self.name.clone(), code))
    }

    /// Hands a request to the library, by `begin`. It is the callback's from then on.
    fn start(&self, buffer: Buffer, done: Done, begin: impl FnOnce(Handle) -> i32) {
        let request = Box::into_raw(Box::new(Request { buffer, done }));
        let mut completion = ptr::null_mut();
        // SAFETY: the callback takes the request's pointer, and a completion is written.
        let made = unsafe {
            let create = self.api().rbd_aio_create_completion;
            create(request.cast(), completed, &raw mut completion)
        };
        let begun = if made < 0 { made } else { begin(completion) };
        if begun < 0 {
            if made >= 0 {
                // SAFETY: the completion was made and no request will complete it.
                unsafe { (self.api().rbd_aio_release)(completion) };
            }
            // SAFETY: it was not begun, so the callback is not called with it.
            let request = unsafe { Box::from_raw(request) };
            (request.done)(Err(-begun));
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: it is open, and is not used any more.
        let closed = unsafe { (self.api().rbd_close)(self.raw) };
        if let Err(error) = self.check("rbd_close", closed) {
            tracing::info!("{error}");
        }
    }
}

/// What is told of objects, and says whether to go on.
pub(crate) type Progress<'a> = dyn Fn(u64, u64) -> bool + Sync + 'a;

/// Called by the library for each object.
extern "C" fn progressed(object: u64, of: u64, told: Handle) -> c_int {
    // SAFETY: `flatten` gave this pointer, and waits for the library.
    let goes_on = unsafe { &*told.cast::<&Progress<'_>>() };
    if goes_on(object, of) { 0 } else { -ECANCELED }
}

enum Buffer {
    None,
    Read(Vec<u8>),
    /// Kept until it is written.
    Write {
        _data: Bytes,
    },
}

struct Request {
    buffer: Buffer,
    done: Done,
}

/// Called by the library once for each request that was begun.
extern "C" fn completed(completion: Handle, request: Handle) {
    let Ok(api) = api() else { return };
    // SAFETY: the completion is complete, and this is its only use.
    let returned = unsafe {
        let returned = (api.rbd_aio_get_return_value)(completion);
        (api.rbd_aio_release)(completion);
        returned
    };
    // SAFETY: `start` made it with `Box::into_raw`, and this is called once for it.
    let Request { buffer, done } = *unsafe { Box::from_raw(request.cast::<Request>()) };
    let outcome = match (buffer, returned) {
        (_, ..0) => Err(i32::try_from(-returned).unwrap_or(EINVAL)),
        (Buffer::Read(bytes), _) => Ok(bytes.into()),
        (Buffer::None | Buffer::Write { .. }, _) => Ok(Bytes::new()),
    };
    done(outcome);
}
