//! How tor gets on with what it fetches from the directory.

use crate::controller::Controller;
use crate::controller::getinfo::none_if_refused;
use crate::error::Result;
use crate::info::{ConsensusDownload, ConsensusFlavor, DownloadStatus, read_digests};
use crate::names::Fingerprint;

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns how tor gets on with fetching the consensus.
    ///
    /// Sends
    /// `GETINFO downloads/networkstatus/flavor downloads/networkstatus/flavor/bootstrap downloads/networkstatus/flavor/running`.
    /// Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 551 if tor knows no such flavor;
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    pub fn consensus_download(&self, flavor: &ConsensusFlavor) -> Result<ConsensusDownload> {
        let keys = ConsensusDownload::keys(flavor);
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.read_infos(&asked, |answers| ConsensusDownload::read(&keys, answers))
    }

    /// Returns the fingerprints of the authorities whose certificates tor fetches or has fetched.
    ///
    /// Sends `GETINFO downloads/cert/fps`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn certificate_downloads(&self) -> Result<Vec<Fingerprint>> {
        const KEY: &str = "downloads/cert/fps";
        self.read_info(KEY, |answer| read_digests(KEY, answer))
    }

    /// Returns how tor gets on with fetching the certificate of an authority, whatever its signing
    /// key; `None` if it is none of [those](Self::certificate_downloads).
    ///
    /// Sends `GETINFO downloads/cert/fp/fingerprint`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    pub fn certificate_download(&self, authority: Fingerprint) -> Result<Option<DownloadStatus>> {
        self.download(&format!("downloads/cert/fp/{authority}"), "Failed to get download status")
    }

    /// Returns the fingerprints of the signing keys of an authority for which tor fetches or has
    /// fetched certificates; `None` if it is none of [those](Self::certificate_downloads).
    ///
    /// Sends `GETINFO downloads/cert/fp/fingerprint/sks`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`certificate_download`](Self::certificate_download).
    pub fn certificate_signing_keys(
        &self,
        authority: Fingerprint,
    ) -> Result<Option<Vec<Fingerprint>>> {
        let key = format!("downloads/cert/fp/{authority}/sks");
        let outcome = self.read_info(&key, |answer| read_digests(&key, answer));
        none_if_refused(outcome, 551, "Failed to get list of signing key digests")
    }

    /// Returns how tor gets on with fetching the certificate of an authority for one signing key;
    /// `None` if it is none of [those](Self::certificate_signing_keys).
    ///
    /// Sends `GETINFO downloads/cert/fp/fingerprint/fingerprint`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`certificate_download`](Self::certificate_download).
    pub fn certificate_download_for_key(
        &self,
        authority: Fingerprint,
        signing_key: Fingerprint,
    ) -> Result<Option<DownloadStatus>> {
        let key = format!("downloads/cert/fp/{authority}/{signing_key}");
        self.download(&key, "Failed to get download status")
    }

    /// Returns how tor gets on with fetching the server descriptor with this SHA-1 digest; `None`
    /// if the consensus does not name it. Of microdescriptors tor tells nothing.
    ///
    /// There is no method for the list of these digests: a tor that uses server descriptors aborts
    /// when it is asked for it. The entries of its consensus
    /// [have them](crate::descriptor::RouterStatus::descriptor_digest).
    ///
    /// Sends `GETINFO downloads/desc/digest`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`certificate_download`](Self::certificate_download).
    pub fn descriptor_download(&self, digest: [u8; 20]) -> Result<Option<DownloadStatus>> {
        let digest = Fingerprint::from(digest);
        self.download(&format!("downloads/desc/{digest}"), "No such descriptor digest found")
    }

    /// Returns the fingerprints of the bridges whose descriptors tor fetches or has fetched; none if
    /// tor uses no bridges.
    ///
    /// Sends `GETINFO downloads/bridge/bridges`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`certificate_download`](Self::certificate_download).
    pub fn bridge_downloads(&self) -> Result<Vec<Fingerprint>> {
        const KEY: &str = "downloads/bridge/bridges";
        let outcome = self.read_info(KEY, |answer| read_digests(KEY, answer));
        let bridges = none_if_refused(outcome, 551, "We don't seem to be using bridges")?;
        Ok(bridges.unwrap_or_default())
    }

    /// Returns how tor gets on with fetching the descriptor of a bridge; `None` if it is none of
    /// [those](Self::bridge_downloads).
    ///
    /// Sends `GETINFO downloads/bridge/fingerprint`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`certificate_download`](Self::certificate_download).
    pub fn bridge_download(&self, bridge: Fingerprint) -> Result<Option<DownloadStatus>> {
        self.download(&format!("downloads/bridge/{bridge}"), "No such bridge identity digest found")
    }

    fn download(&self, key: &str, unknown: &str) -> Result<Option<DownloadStatus>> {
        let outcome = self.read_info(key, |answer| DownloadStatus::read(key, answer));
        none_if_refused(outcome, 551, unknown)
    }
}
