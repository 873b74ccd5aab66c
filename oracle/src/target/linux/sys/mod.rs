//! The system calls that no safe crate offers: binding a packet socket to an interface, and sending and receiving many
//! messages in one call. All that is `unsafe` of the running kernel as a target is here, and in the library below.
//!
//! Every pointer that is handed to the kernel is made from a slice that outlives the call, right before it, and none is
//! kept.

mod nftables;

pub(super) use nftables::Nftables;

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Binds a packet socket to an interface: it sends there, and receives what comes in there.
///
/// # Errors
/// When there is no such interface, or the socket is none of packets.
pub(super) fn bind_packet(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    // SAFETY: all bytes zero is a `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = interface as i32;
    // SAFETY: the address is a whole `sockaddr_ll`, and its size is given.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends messages through a socket that knows where to, in as few calls as possible.
///
/// # Errors
/// When the kernel refuses one; those before it are sent.
pub(super) fn send_all(socket: BorrowedFd<'_>, messages: &[&[u8]]) -> io::Result<()> {
    let mut parts: Vec<libc::iovec> = messages
        .iter()
        .map(|message| libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() })
        .collect();
    let mut headers = headers(&mut parts);
    let mut sent = 0;
    while sent < headers.len() {
        // SAFETY: each header points at one part, each part at one message; the kernel only reads them.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers[sent..].as_mut_ptr(),
                (headers.len() - sent) as libc::c_uint,
                0,
            )
        };
        match count {
            ..0 => return Err(io::Error::last_os_error()),
            count => sent += count as usize,
        }
    }
    Ok(())
}

/// A number that changes with every jiffy, where there are a hundred of them in a second.
pub(super) fn jiffies() -> i64 {
    // SAFETY: a null pointer asks for nothing but the result.
    unsafe { libc::times(std::ptr::null_mut()) }
}

/// Room for messages that are received together.
pub(super) struct Inbox {
    room: Vec<u8>,
    size: usize,
    lengths: Vec<usize>,
}

impl Inbox {
    /// Room for `count` messages of `size` bytes; what is longer is cut.
    pub(super) fn new(count: usize, size: usize) -> Inbox {
        Inbox { room: vec![0; count * size], size, lengths: Vec::with_capacity(count) }
    }

    /// Receives what is there, without waiting; how many messages it was.
    ///
    /// # Errors
    /// When the socket is broken, or has lost messages (`ENOBUFS`).
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.lengths.clear();
        let mut parts: Vec<libc::iovec> = self
            .room
            .chunks_exact_mut(self.size)
            .map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() })
            .collect();
        let mut headers = headers(&mut parts);
        // SAFETY: each header points at one part, each part at room of its own of the given length.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        }
        let size = self.size;
        let lengths = headers[..count as usize].iter().map(|header| (header.msg_len as usize).min(size));
        self.lengths.extend(lengths);
        Ok(count as usize)
    }

    /// The messages received last.
    pub(super) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.room.chunks_exact(self.size).zip(&self.lengths).map(|(room, length)| &room[..*length])
    }

    /// How many fit.
    pub(super) fn room(&self) -> usize {
        self.room.len() / self.size
    }
}

fn headers(parts: &mut [libc::iovec]) -> Vec<libc::mmsghdr> {
    let header = |part: &mut libc::iovec| {
        // SAFETY: all bytes zero is an `mmsghdr` without address, parts and control data.
        let mut header: libc::mmsghdr = unsafe { zeroed() };
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        header
    };
    parts.iter_mut().map(header).collect()
}
