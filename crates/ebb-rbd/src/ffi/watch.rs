//! Watching an object, and notifying those who watch it.
//!
//! A watch is a box that the library carries through as a pointer, with the closure that takes what
//! is heard, on a thread of the library. It is freed after the watch has ended and the library has
//! no call of it under way.

use std::ffi::{CString, c_uchar};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::pool::text;
use super::{EINVAL, ENOENT, ENOTCONN, ETIMEDOUT, Error, Handle, Pool};

/// What is heard on a watch.
pub(crate) enum Heard {
    /// Somebody notified it, and waits for the answer.
    Note(Note),
    /// The watch is lost, with the error's number: there is nothing to hear on it any more.
    Lost(i32),
}

/// A notification.
pub(crate) struct Note {
    id: u64,
    cookie: u64,
    pub(crate) bytes: Vec<u8>,
}

type Ear = Box<dyn Fn(Heard) + Send + Sync>;

/// A watch, until it is dropped.
pub(crate) struct Watch {
    pool: Arc<Pool>,
    object: CString,
    cookie: u64,
    ear: *mut Ear,
}

// SAFETY: the pointer is only used to free what it points to, once; the closure may be called from
// any thread.
unsafe impl Send for Watch {}
// SAFETY: as above.
unsafe impl Sync for Watch {}

impl Watch {
    /// Begins to watch an object, which has to be there. A client that is silent for `patience`
    /// watches it no longer. `ear` must not block.
    pub(crate) fn begin(
        pool: &Arc<Pool>,
        object: &str,
        patience: Duration,
        ear: impl Fn(Heard) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let (name, mut cookie) = (text(object)?, 0);
        let ear = Box::into_raw(Box::new(Box::new(ear) as Ear));
        let seconds = u32::try_from(patience.as_secs()).unwrap_or(u32::MAX);
        // SAFETY: the name is a string, a number is written where it is wanted, and the pointer is
        // good until the watch has ended.
        let begun = unsafe {
            (pool.api().rados_watch3)(
                pool.io(),
                name.as_ptr(),
                &raw mut cookie,
                on_note,
                on_loss,
                seconds,
                ear.cast(),
            )
        };
        if let Err(error) = Error::check("rados_watch", object, begun) {
            // SAFETY: made above; nothing is watched, so the library has no use of it.
            drop(unsafe { Box::from_raw(ear) });
            return Err(error);
        }
        Ok(Self { pool: Arc::clone(pool), object: name, cookie, ear })
    }

    /// Answers a notification.
    pub(crate) fn answer(&self, note: &Note, bytes: &[u8]) {
        let Ok(length) = i32::try_from(bytes.len()) else { return };
        let (io, object) = (self.pool.io(), self.object.as_ptr());
        // SAFETY: there are as many bytes as is said. What it returns is always 0.
        unsafe {
            let ack = self.pool.api().rados_notify_ack;
            ack(io, object, note.id, note.cookie, bytes.as_ptr().cast(), length);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let api = self.pool.api();
        // SAFETY: the watch was begun; the library forgets it, and its calls have returned when it
        // has flushed them. Then nothing has the pointer any more.
        unsafe {
            // It may be lost already.
            (api.rados_unwatch2)(self.pool.io(), self.cookie);
            (api.rados_watch_flush)(self.pool.cluster);
            drop(Box::from_raw(self.ear));
        }
    }
}

impl Pool {
    /// Notifies who watches an object, and waits for the answers. None: nobody watches it, or the
    /// object is not there. `ETIMEDOUT`: somebody has not answered.
    pub(crate) fn notify(
        &self,
        object: &str,
        bytes: &[u8],
        patience: Duration,
    ) -> Result<Option<Vec<u8>>, Error> {
        let name = text(object)?;
        let length = i32::try_from(bytes.len())
            .map_err(|_| Error::Failed("rados_notify", object.to_owned(), EINVAL))?;
        let milliseconds = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let (mut reply, mut reply_length) = (ptr::null_mut(), 0);
        // SAFETY: there are as many bytes as is said, and a buffer is written where it is wanted.
        let notified = unsafe {
            (self.api().rados_notify2)(
                self.io(),
                name.as_ptr(),
                bytes.as_ptr().cast(),
                length,
                milliseconds,
                &raw mut reply,
                &raw mut reply_length,
            )
        };
        let answer = self.first_answer(reply, reply_length);
        match Error::check("rados_notify", object, notified) {
            Err(error) if error.is(ENOENT) || error.is(ENOTCONN) => Ok(None),
            Err(error) if error.is(ETIMEDOUT) && answer.is_some() => Ok(answer),
            Err(error) => Err(error),
            Ok(_) => Ok(answer),
        }
    }

    /// Takes the first answer from a reply, and frees that.
    fn first_answer(&self, reply: *mut std::ffi::c_char, length: usize) -> Option<Vec<u8>> {
        let api = self.api();
        if reply.is_null() {
            return None;
        }
        let (mut acks, mut timeouts) = (ptr::null_mut(), ptr::null_mut());
        let (mut ack_count, mut timeout_count) = (0, 0);
        // SAFETY: the buffer is as long as the library said; two lists are written where they are
        // wanted, are read as long as they are, and freed, as the buffer is.
        unsafe {
            let decoded = (api.rados_decode_notify_response)(
                reply,
                length,
                &raw mut acks,
                &raw mut ack_count,
                &raw mut timeouts,
                &raw mut timeout_count,
            );
            (api.rados_buffer_free)(reply);
            if decoded < 0 {
                return None;
            }
            let first = match ack_count {
                0 => None,
                _ => acks.as_ref().map(|ack| bytes_at(ack.payload, ack.payload_len as usize)),
            };
            (api.rados_free_notify_response)(acks, ack_count, timeouts);
            first
        }
    }
}

/// A copy of bytes that the library owns.
///
/// # Safety
/// There are as many there as is said.
unsafe fn bytes_at(at: *const c_uchar, length: usize) -> Vec<u8> {
    match at.is_null() {
        true => Vec::new(),
        // SAFETY: the caller says so.
        false => unsafe { slice::from_raw_parts(at, length) }.to_vec(),
    }
}

extern "C" fn on_note(
    ear: Handle,
    id: u64,
    cookie: u64,
    _from: u64,
    data: *const c_uchar,
    length: usize,
) {
    // SAFETY: the library's bytes, until this returns.
    let bytes = unsafe { bytes_at(data, length) };
    // SAFETY: the watch's pointer, which is freed only when no such call is under way.
    let ear = unsafe { &*ear.cast::<Ear>() };
    ear(Heard::Note(Note { id, cookie, bytes }));
}

extern "C" fn on_loss(ear: Handle, _cookie: u64, error: i32) {
    // SAFETY: as above.
    let ear = unsafe { &*ear.cast::<Ear>() };
    ear(Heard::Lost(-error));
}
