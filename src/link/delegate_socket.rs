//! What a public stream can do as the socket that it is made of.

/// Gives a public type what its field `stream` can do as a socket: its limits and its traits, also
/// by shared reference, as the streams of std have them.
macro_rules! delegate_socket {
    ($stream:ident) => {
        impl $stream {
            /// Returns the longest time that a read may wait.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.stream.read_timeout()
            }

            /// Sets the longest time that a read may wait, or none, for all handles of the stream.
            /// The default is none.
            ///
            /// # Errors
            ///
            /// If the limit is zero, or what the operating system says.
            pub fn set_read_timeout(
                &self,
                limit: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.stream.set_read_timeout(limit)
            }

            /// Returns the longest time that a write may wait.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.stream.write_timeout()
            }

            /// Sets the longest time that a write may wait, or none, for all handles of the stream.
            /// The default is none.
            ///
            /// # Errors
            ///
            /// If the limit is zero, or what the operating system says.
            pub fn set_write_timeout(
                &self,
                limit: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.stream.set_write_timeout(limit)
            }

            /// Sets whether reads and writes return at once with `WouldBlock` instead of waiting,
            /// for all handles of the stream. The default is that they wait.
            ///
            /// # Errors
            ///
            /// What the operating system says.
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
