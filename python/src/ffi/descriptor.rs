//! File descriptors and sockets that Python passes as numbers.

pub use platform::{duplicate, RawHandle, Sender};

#[cfg(unix)]
mod platform {
    use std::fs::File;
    use std::io;
    use std::os::fd::{BorrowedFd, RawFd};

    pub type RawHandle = RawFd;
    /// The write end of a pipe, or a socket.
    pub type Sender = File;

    /// A duplicate of the file descriptor `fd`, so that Python may close its own at any time.
    ///
    /// # Errors
    /// If `fd` is not open.
    pub fn duplicate(fd: RawHandle) -> io::Result<Sender> {
        if fd < 0 {
            return Err(io::Error::from_raw_os_error(9)); // EBADF
        }
        // SAFETY: the value is used for this one system call only, which fails on a descriptor that is not open; no memory
        // depends on it, and -1, the one value that must not be borrowed, was refused.
        let duplicate = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?;
        Ok(File::from(duplicate))
    }
}

#[cfg(windows)]
mod platform {
    use std::io;
    use std::net::TcpStream;
    use std::os::windows::io::{BorrowedSocket, RawSocket};

    pub type RawHandle = RawSocket;
    /// One of a pair of connected sockets: event loops of Windows watch sockets only.
    pub type Sender = TcpStream;

    /// A duplicate of the socket `socket`, so that Python may close its own at any time. It does not block.
    ///
    /// # Errors
    /// If `socket` is not an open socket.
    pub fn duplicate(socket: RawHandle) -> io::Result<Sender> {
        if socket == RawHandle::MAX {
            return Err(io::Error::from_raw_os_error(10038)); // WSAENOTSOCK
        }
        // SAFETY: the value is used for this one system call only, which fails on what is no open socket; no memory
        // depends on it, and INVALID_SOCKET, the one value that must not be borrowed, was refused.
        let duplicate = unsafe { BorrowedSocket::borrow_raw(socket) }.try_clone_to_owned()?;
        let duplicate = TcpStream::from(duplicate);
        duplicate.set_nonblocking(true)?;
        Ok(duplicate)
    }
}
