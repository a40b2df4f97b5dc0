use tidegate_storage::StorageError;
use tokio::net::TcpStream;

use super::Stop;
use super::link::Link;
use super::zlib::Deflater;

/// The sending side of a data connection: as it is, or compressed (MODE Z).
pub(super) struct Outlet<'a> {
    link: &'a Link,
    data: &'a TcpStream,
    deflater: Option<Deflater>,
}

impl<'a> Outlet<'a> {
    /// Returns the outlet of `data`; `deflate` is the level.
    pub(super) fn new(link: &'a Link, data: &'a TcpStream, deflate: Option<u8>) -> Self {
        Self { link, data, deflater: deflate.map(Deflater::new) }
    }

    /// Sends all of `bytes` and gives the buffer back, cleared. Compressed, some of it may wait for more.
    pub(super) async fn send(&mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Stop> {
        let Some(mut deflater) = self.deflater.take() else {
            self.link.send(self.data, &bytes).await?;
            bytes.clear();
            return Ok(bytes);
        };
        let work = move || {
            let done = deflater.push(&bytes);
            bytes.clear();
            (deflater, done, bytes)
        };
        let (deflater, done, bytes) = self.link.on_thread_unless_aborted(work).await?;
        self.pass_on(deflater, done).await?;
        Ok(bytes)
    }

    /// Sends what waits, and the end of a compressed stream.
    pub(super) async fn finish(mut self) -> Result<(), Stop> {
        let Some(mut deflater) = self.deflater.take() else { return Ok(()) };
        let work = move || {
            let done = deflater.finish();
            (deflater, done)
        };
        let (deflater, done) = self.link.on_thread_unless_aborted(work).await?;
        self.pass_on(deflater, done).await
    }

    async fn pass_on(&mut self, mut deflater: Deflater, done: Result<(), StorageError>) -> Result<(), Stop> {
        done?;
        self.link.send(self.data, &deflater.ready).await?;
        deflater.ready.clear();
        self.deflater = Some(deflater);
        Ok(())
    }
}
