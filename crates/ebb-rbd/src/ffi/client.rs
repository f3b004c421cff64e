//! This client as others know it, shutting others out, and who has an image's lock.

use std::ffi::{CStr, c_char};
use std::ptr;

use super::pool::text;
use super::{EINVAL, ENOENT, ERANGE, Error, Pool};

/// The lock that librbd takes of an image's header.
const LOCK: &CStr = c"rbd_lock";

/// Who has an image's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locker {
    client: String,
    cookie: String,
    /// The client's address, as [`Pool::address`] has it.
    pub(crate) address: String,
}

/// An address without the protocol's version: some calls tell it, some do not, and it is one client
/// with either.
fn bare(address: &str) -> String {
    let versions = ["v1:", "v2:", "any:"];
    let bare = versions.iter().find_map(|version| address.strip_prefix(version));
    bare.unwrap_or(address).to_owned()
}

/// An image's header, by the image's id.
fn header(id: &str) -> String {
    format!("rbd_header.{id}")
}

impl Pool {
    /// This client's address, in the form in which it can be blocklisted. No other client ever has
    /// the same: a random number is part of it.
    pub(crate) fn address(&self) -> Result<String, Error> {
        let (api, mut text) = (self.api(), ptr::null_mut());
        // SAFETY: the cluster is connected, and a string is written where it is wanted.
        let got = unsafe { (api.rados_getaddrs)(self.cluster, &raw mut text) };
        Error::check("rados_getaddrs", "this client", got)?;
        if text.is_null() {
            return Err(Error::Failed("rados_getaddrs", "this client".into(), EINVAL));
        }
        // SAFETY: the library has put a string there, which is freed by its own function.
        let address = unsafe {
            let address = CStr::from_ptr(text).to_string_lossy().into_owned();
            (api.rados_buffer_free)(text);
            address
        };
        Ok(bare(&address))
    }

    /// The cluster's id.
    pub(crate) fn fsid(&self) -> Result<String, Error> {
        let mut bytes = [0_u8; 64];
        // SAFETY: there is room for as many bytes as is said.
        let got = unsafe {
            let fsid = self.api().rados_cluster_fsid;
            fsid(self.cluster, bytes.as_mut_ptr().cast(), bytes.len())
        };
        Error::check("rados_cluster_fsid", "the cluster", got)?;
        let fsid = CStr::from_bytes_until_nul(&bytes)
            .map_err(|_| Error::Failed("rados_cluster_fsid", "the cluster".into(), EINVAL))?;
        Ok(fsid.to_string_lossy().into_owned())
    }

    /// Has the cluster refuse everything of a client for so long. When it returns, this client
    /// asks no OSD any more that does not know of it.
    pub(crate) fn blocklist(&self, address: &str, seconds: u32) -> Result<(), Error> {
        let text = text(address)?;
        // SAFETY: the address is a string, which the library only reads.
        let added = unsafe {
            (self.api().rados_blocklist_add)(self.cluster, text.as_ptr().cast_mut(), seconds)
        };
        Error::check("rados_blocklist_add", address, added)?;
        self.newest_map()
    }

    /// Waits until this client has the newest map of OSDs, which the monitors tell.
    pub(crate) fn newest_map(&self) -> Result<(), Error> {
        // SAFETY: the cluster is connected.
        let got = unsafe { (self.api().rados_wait_for_latest_osdmap)(self.cluster) };
        Error::check("rados_wait_for_latest_osdmap", "the monitors", got).map(drop)
    }

    /// Whether an object is there.
    pub(crate) fn exists(&self, object: &str) -> Result<bool, Error> {
        let (name, mut size, mut time) = (text(object)?, 0, 0);
        // SAFETY: the name is a string; two numbers are written where they are wanted.
        let got = unsafe {
            (self.api().rados_stat)(self.io(), name.as_ptr(), &raw mut size, &raw mut time)
        };
        match Error::check("rados_stat", object, got) {
            Err(error) if error.is(ENOENT) => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }

    /// Removes an object; one that is not there is no error.
    pub(crate) fn remove_object(&self, object: &str) -> Result<(), Error> {
        let name = text(object)?;
        // SAFETY: the name is a string.
        let removed = unsafe { (self.api().rados_remove)(self.io(), name.as_ptr()) };
        match Error::check("rados_remove", object, removed) {
            Err(error) if error.is(ENOENT) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Who has the lock of the image with this id.
    pub(crate) fn locker(&self, id: &str) -> Result<Option<Locker>, Error> {
        let object = header(id);
        let (name, mut exclusive) = (text(&object)?, 0);
        // One has it, so all of it is short.
        let mut texts = [[0_u8; 1024]; 4];
        let mut lengths = [1024_usize; 4];
        let [tag, clients, cookies, addresses] = texts.each_mut().map(|t| t.as_mut_ptr().cast());
        let [tag_length, clients_length, cookies_length, addresses_length] =
            lengths.each_mut().map(ptr::from_mut);
        // SAFETY: each buffer has as much room as its length says.
        let count = unsafe {
            (self.api().rados_list_lockers)(
                self.io(),
                name.as_ptr(),
                LOCK.as_ptr(),
                &raw mut exclusive,
                tag,
                tag_length,
                clients,
                clients_length,
                cookies,
                cookies_length,
                addresses,
                addresses_length,
            )
        };
        match i32::try_from(count).unwrap_or(-ERANGE) {
            0 => Ok(None),
            code if code == -ENOENT => Ok(None),
            code @ ..0 => Err(Error::Failed("rados_list_lockers", object, -code)),
            1.. => {
                let first = |bytes: &[u8]| {
                    let text = CStr::from_bytes_until_nul(bytes).unwrap_or_default();
                    text.to_string_lossy().into_owned()
                };
                let [_, client, cookie, address] = texts.each_ref().map(|t| first(t));
                Ok(Some(Locker { client, cookie, address: bare(&address) }))
            }
        }
    }

    /// Takes the lock of the image with this id from somebody who is blocklisted. False: that is
    /// not who has it.
    pub(crate) fn break_lock(&self, id: &str, locker: &Locker) -> Result<bool, Error> {
        let object = header(id);
        let name = text(&object)?;
        let (client, cookie) = (text(&locker.client)?, text(&locker.cookie)?);
        let at = |text: &std::ffi::CString| -> *const c_char { text.as_ptr() };
        // SAFETY: all are strings.
        let broken = unsafe {
            let break_lock = self.api().rados_break_lock;
            break_lock(self.io(), at(&name), LOCK.as_ptr(), at(&client), at(&cookie))
        };
        match Error::check("rados_break_lock", &object, broken) {
            Err(error) if error.is(ENOENT) => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }
}
