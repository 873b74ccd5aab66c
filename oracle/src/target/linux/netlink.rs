//! Netlink messages, of whatever family: written one behind the other into a buffer, sent in one call, their answers
//! taken apart. What the messages say is the business of those who write them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use netlink_bindings::utils::{chop_header, finalize_nested_header, push_header, push_nested_header};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, send,
    setsockopt, socket, sockopt,
};

use super::sys::Inbox;

/// The size of a message's header.
const HEADER: usize = 16;
/// The most that one message of the kernel takes here.
const LARGEST: usize = 8192;

/// Many messages in one buffer.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    /// Where the last one begins.
    last: usize,
    count: usize,
}

impl Messages {
    /// Begins another message: its type, its flags, and the family's own header.
    pub(super) fn begin(&mut self, kind: u16, flags: u16, header: &[u8]) -> &mut Messages {
        self.last = self.bytes.len();
        self.count += 1;
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&(self.count as u32).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(header);
        self.close()
    }

    /// An attribute of the last message.
    pub(super) fn put(&mut self, kind: u16, value: &[u8]) -> &mut Messages {
        push_header(&mut self.bytes, kind, value.len() as u16);
        self.bytes.extend_from_slice(value);
        self.close()
    }

    /// An attribute that has attributes.
    pub(super) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Messages)) -> &mut Messages {
        let at = push_nested_header(&mut self.bytes, kind);
        inside(self);
        finalize_nested_header(&mut self.bytes, at);
        self.close()
    }

    /// Bytes without a header of their own, inside a nest.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Messages {
        self.bytes.extend_from_slice(bytes);
        self.close()
    }

    /// A whole message, made before.
    pub(super) fn append(&mut self, message: &[u8]) {
        self.last = self.bytes.len();
        self.count += 1;
        self.bytes.extend_from_slice(message);
        self.close();
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// Keeps the last message's length, and what comes next, aligned.
    fn close(&mut self) -> &mut Messages {
        let length = (self.bytes.len() - self.last) as u32;
        self.bytes[self.last..self.last + 4].copy_from_slice(&length.to_ne_bytes());
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
        self
    }
}

/// A message of the kernel.
pub(super) struct Reply<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    /// Who asked for it; zero when nobody did.
    pub(super) port: u32,
    /// All behind its header.
    pub(super) body: &'a [u8],
}

impl Reply<'_> {
    /// The error it reports, zero for a plain acknowledgement; none for other messages.
    pub(super) fn error(&self) -> Option<i32> {
        (self.kind == libc::NLMSG_ERROR as u16)
            .then(|| self.body.first_chunk().map_or(0, |code| -i32::from_ne_bytes(*code)))
    }

    pub(super) fn is_done(&self) -> bool {
        self.kind == libc::NLMSG_DONE as u16
    }
}

/// The messages in what was received at once.
pub(super) fn replies(mut bytes: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = word(0) as usize;
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Reply { kind: half(4), flags: half(6), port: word(12), body })
    })
}

/// The attributes of a message, behind its family's header.
pub(super) fn attributes(body: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= body.len() {
            return None;
        }
        chop_header(body, &mut at).map(|(header, value)| (header.r#type, value))
    })
}

/// A netlink socket.
pub(super) struct Socket {
    socket: OwnedFd,
    inbox: Inbox,
    port: u32,
}

impl Socket {
    /// A socket of a family that is told what its `groups` are told.
    ///
    /// # Errors
    /// When the kernel does not have the family.
    pub(super) fn open(protocol: SockProtocol, groups: u32, room: usize) -> io::Result<Socket> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        enlarge(&fd);
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        let address: NetlinkAddr = getsockname(fd.as_raw_fd())?;
        Ok(Socket { socket: fd, inbox: Inbox::new(room, LARGEST), port: address.pid() })
    }

    /// By which the kernel says who asked.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// Sends all messages at once.
    ///
    /// # Errors
    /// When the socket does not take them.
    pub(super) fn send(&self, messages: &Messages) -> io::Result<()> {
        send(self.socket.as_raw_fd(), messages.bytes(), MsgFlags::empty())?;
        Ok(())
    }

    /// Hands over what was received, without waiting for more; how many messages it was.
    ///
    /// # Errors
    /// When messages were lost.
    pub(super) fn drain(&mut self, mut each: impl FnMut(&Reply<'_>)) -> io::Result<usize> {
        let mut all = 0;
        loop {
            let count = self.inbox.receive(self.socket.as_fd())?;
            for reply in self.inbox.messages().flat_map(replies) {
                each(&reply);
                all += 1;
            }
            if count < self.inbox.room() {
                return Ok(all);
            }
        }
    }

    /// Takes what was received, and looks at none of it.
    ///
    /// # Errors
    /// When messages were lost.
    pub(super) fn skip(&mut self) -> io::Result<()> {
        while self.inbox.receive(self.socket.as_fd())? == self.inbox.room() {}
        Ok(())
    }

    /// Sends messages of which each is acknowledged.
    ///
    /// # Errors
    /// The first error that the kernel answers with.
    pub(super) fn command(&mut self, messages: &Messages) -> io::Result<()> {
        let mut error = 0;
        self.ask(messages, |reply| {
            if let (Some(code @ 1..), 0) = (reply.error(), error) {
                error = code;
            }
        })?;
        if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
    }

    /// Sends messages to each of which the kernel answers at once, with one message or with an error, and hands the
    /// answers over in order. Netlink is synchronous: when the call returns, the answers lie there.
    ///
    /// # Errors
    /// When fewer answers lie there.
    pub(super) fn ask(&mut self, messages: &Messages, each: impl FnMut(&Reply<'_>)) -> io::Result<()> {
        if messages.len() == 0 {
            return Ok(());
        }
        self.send(messages)?;
        let answers = self.drain(each)?;
        if answers < messages.len() {
            return Err(io::Error::other(format!("{answers} answers to {} messages", messages.len())));
        }
        Ok(())
    }

    /// Sends a message that is answered with a listing.
    ///
    /// # Errors
    /// When the listing breaks off.
    pub(super) fn dump(&mut self, message: &Messages, mut each: impl FnMut(&Reply<'_>)) -> io::Result<()> {
        self.send(message)?;
        let mut ended = None;
        while ended.is_none() {
            let mut any = false;
            self.drain(|reply| {
                any = true;
                match reply.error() {
                    Some(code) => ended = Some(code),
                    None if reply.is_done() => ended = Some(0),
                    None => each(reply),
                }
            })?;
            if !any && ended.is_none() {
                return Err(io::Error::other("a listing broke off"));
            }
        }
        match ended {
            Some(0) | None => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Asks for a large receive buffer; an ordinary user gets what the system allows.
pub(super) fn enlarge(socket: &OwnedFd) {
    const ROOM: usize = 16 << 20;
    if setsockopt(socket, sockopt::RcvBufForce, &ROOM).is_err() {
        // The default is enough for the batches that are sent, only with less to spare.
        let _ = setsockopt(socket, sockopt::RcvBuf, &ROOM);
    }
}
