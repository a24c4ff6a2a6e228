//! The socket methods and traits of the public stream types.

/// Implements timeouts, `Read` and `Write` (also for `&T`), and file descriptor traits for a type by
/// its field `stream`, like those of [`std::net::TcpStream`].
macro_rules! delegate_socket {
    ($stream:ident) => {
        impl $stream {
            /// Returns the read timeout.
            ///
            /// # Errors
            ///
            /// The operating system's error.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.stream.read_timeout()
            }

            /// Sets the read timeout for all handles of the stream. The default is none.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if the limit is zero, or the operating system's error.
            pub fn set_read_timeout(
                &self,
                limit: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.stream.set_read_timeout(limit)
            }

            /// Returns the write timeout.
            ///
            /// # Errors
            ///
            /// The operating system's error.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.stream.write_timeout()
            }

            /// Sets the write timeout for all handles of the stream. The default is none.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if the limit is zero, or the operating system's error.
            pub fn set_write_timeout(
                &self,
                limit: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.stream.set_write_timeout(limit)
            }

            /// Sets nonblocking mode for all handles of the stream: reads and writes return `WouldBlock`
            /// instead of waiting. The default is blocking mode.
            ///
            /// # Errors
            ///
            /// The operating system's error.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.stream.set_nonblocking(nonblocking)
            }
        }

        impl std::io::Read for &$stream {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                (&self.stream).read(buffer)
            }

            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                (&self.stream).read_vectored(buffers)
            }
        }

        impl std::io::Write for &$stream {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                (&self.stream).write(bytes)
            }

            fn write_vectored(&mut self, parts: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                (&self.stream).write_vectored(parts)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                (&self.stream).flush()
            }
        }

        impl std::io::Read for $stream {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                (&*self).read(buffer)
            }

            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                (&*self).read_vectored(buffers)
            }
        }

        impl std::io::Write for $stream {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                (&*self).write(bytes)
            }

            fn write_vectored(&mut self, parts: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                (&*self).write_vectored(parts)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                (&*self).flush()
            }
        }

        impl std::os::fd::AsFd for $stream {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.stream.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $stream {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsFd::as_fd(self).as_raw_fd()
            }
        }

        impl From<$stream> for std::os::fd::OwnedFd {
            fn from(stream: $stream) -> Self {
                stream.stream.into()
            }
        }
    };
}
pub(crate) use delegate_socket;
