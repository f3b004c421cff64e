//! An image's exclusive lock, and who has the image open.

use std::ffi::CStr;
use std::ptr;

use super::{ERANGE, Error, Image, RawWatcher};

impl Image {
    /// Takes the image's lock and keeps it: whoever asks for it is refused. From one that has died
    /// or is blocklisted it is taken; such a client is blocklisted first.
    ///
    /// # Errors
    /// `EROFS` where somebody keeps it in the same way.
    pub(crate) fn keep_lock(&self) -> Result<(), Error> {
        const EXCLUSIVE: i32 = 0;
        // SAFETY: the image is open.
        let taken = unsafe { (self.api().rbd_lock_acquire)(self.raw, EXCLUSIVE) };
        self.check("rbd_lock_acquire", taken)
    }

    /// Whether this client has the image's lock. Does not ask the cluster.
    pub(crate) fn has_lock(&self) -> Result<bool, Error> {
        let mut owner = 0;
        // SAFETY: the answer is written where it is wanted.
        let got = unsafe { (self.api().rbd_is_exclusive_lock_owner)(self.raw, &raw mut owner) };
        self.check("rbd_is_exclusive_lock_owner", got).map(|()| owner != 0)
    }

    /// The addresses of the clients that have the image open, this one too, and of those that have
    /// died a short time ago.
    pub(crate) fn watchers(&self) -> Result<Vec<String>, Error> {
        let mut count = 16;
        loop {
            let none = RawWatcher { addr: ptr::null(), id: 0, cookie: 0 };
            let mut raw = vec![none; count];
            // SAFETY: there is room for as many as is said.
            let listed = unsafe {
                (self.api().rbd_watchers_list)(self.raw, raw.as_mut_ptr(), &raw mut count)
            };
            if listed == -ERANGE {
                continue;
            }
            self.check("rbd_watchers_list", listed)?;
            raw.truncate(count);
            let address = |watcher: &RawWatcher| {
                // SAFETY: the library has put a string there, until the list is ended below.
                let address = unsafe { CStr::from_ptr(watcher.addr) };
                address.to_string_lossy().into_owned()
            };
            let addresses = raw.iter().map(address).collect();
            // SAFETY: the list has as many as is said, and is not used any more.
            unsafe { (self.api().rbd_watchers_list_cleanup)(raw.as_mut_ptr(), count) };
            return Ok(addresses);
        }
    }
}
