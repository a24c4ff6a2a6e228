//! The status of tor's downloads from the directory.

use crate::controller::Controller;
use crate::controller::getinfo::none_if_refused;
use crate::error::Result;
use crate::info::{ConsensusDownload, DownloadStatus, read_digests};
use crate::names::{ConsensusFlavor, Fingerprint};

/// # Downloads
impl Controller {
    /// Returns the download status of the consensus.
    #[doc = sends!(
        "GETINFO downloads/networkstatus/flavor downloads/networkstatus/flavor/bootstrap \
         downloads/networkstatus/flavor/running"
    )]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::ConsensusFlavor;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// println!("{:?}", controller.consensus_download(&ConsensusFlavor::Microdesc)?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn consensus_download(&self, flavor: &ConsensusFlavor) -> Result<ConsensusDownload> {
        let keys = ConsensusDownload::keys(flavor);
        let queried: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.read_infos(&queried, |answers| ConsensusDownload::read(&keys, answers))
    }

    /// Returns the fingerprints of the authorities whose certificates tor downloads.
    #[doc = sends!("GETINFO downloads/cert/fps")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{} authorities", controller.certificate_downloads()?.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn certificate_downloads(&self) -> Result<Vec<Fingerprint>> {
        const KEY: &str = "downloads/cert/fps";
        self.read_info(KEY, |answer| read_digests(KEY, answer))
    }

    /// Returns the download status of the certificate of an authority; `None` if the authority is
    /// not in [`certificate_downloads`](Self::certificate_downloads).
    #[doc = sends!("GETINFO downloads/cert/fp/fingerprint")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for authority in controller.certificate_downloads()? {
    ///     println!("{authority}: {:?}", controller.certificate_download(authority)?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn certificate_download(&self, authority: Fingerprint) -> Result<Option<DownloadStatus>> {
        self.download(&format!("downloads/cert/fp/{authority}"), "Failed to get download status")
    }

    /// Returns the signing keys of an authority whose certificates tor downloads; `None` if the
    /// authority is not in [`certificate_downloads`](Self::certificate_downloads).
    #[doc = sends!("GETINFO downloads/cert/fp/fingerprint/sks")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for authority in controller.certificate_downloads()? {
    ///     println!("{authority}: {:?}", controller.certificate_signing_keys(authority)?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn certificate_signing_keys(
        &self,
        authority: Fingerprint,
    ) -> Result<Option<Vec<Fingerprint>>> {
        let key = format!("downloads/cert/fp/{authority}/sks");
        let outcome = self.read_info(&key, |answer| read_digests(&key, answer));
        none_if_refused(outcome, 551, "Failed to get list of signing key digests")
    }

    /// Returns the download status of the certificate of an authority for one signing key; `None`
    /// if the key is not in [`certificate_signing_keys`](Self::certificate_signing_keys).
    #[doc = sends!("GETINFO downloads/cert/fp/fingerprint/fingerprint")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for authority in controller.certificate_downloads()? {
    ///     for key in controller.certificate_signing_keys(authority)?.unwrap_or_default() {
    ///         println!("{:?}", controller.certificate_download_for_key(authority, key)?);
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn certificate_download_for_key(
        &self,
        authority: Fingerprint,
        signing_key: Fingerprint,
    ) -> Result<Option<DownloadStatus>> {
        let key = format!("downloads/cert/fp/{authority}/{signing_key}");
        self.download(&key, "Failed to get download status")
    }

    /// Returns the download status of the server descriptor with this SHA-1 digest; `None` if the
    /// digest is not in the consensus. tor does not report downloads of microdescriptors.
    ///
    /// The digests are in the
    /// [entries of the consensus](crate::descriptor::RouterStatus::descriptor_digest). The key
    /// `downloads/desc/descs` lists them too, but makes a tor that uses server descriptors abort.
    #[doc = sends!("GETINFO downloads/desc/digest")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let relays = controller.relay_statuses()?;
    /// for digest in relays.iter().flatten().filter_map(|relay| relay.descriptor_digest()) {
    ///     println!("{:?}", controller.descriptor_download(digest)?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn descriptor_download(&self, digest: [u8; 20]) -> Result<Option<DownloadStatus>> {
        let digest = Fingerprint::from(digest);
        self.download(&format!("downloads/desc/{digest}"), "No such descriptor digest found")
    }

    /// Returns the fingerprints of the bridges whose descriptors tor downloads; none if tor uses no
    /// bridges.
    #[doc = sends!("GETINFO downloads/bridge/bridges")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{} bridges", controller.bridge_downloads()?.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn bridge_downloads(&self) -> Result<Vec<Fingerprint>> {
        const KEY: &str = "downloads/bridge/bridges";
        let outcome = self.read_info(KEY, |answer| read_digests(KEY, answer));
        let bridges = none_if_refused(outcome, 551, "We don't seem to be using bridges")?;
        Ok(bridges.unwrap_or_default())
    }

    /// Returns the download status of the descriptor of a bridge; `None` if the bridge is not in
    /// [`bridge_downloads`](Self::bridge_downloads).
    #[doc = sends!("GETINFO downloads/bridge/fingerprint")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for bridge in controller.bridge_downloads()? {
    ///     println!("{bridge}: {:?}", controller.bridge_download(bridge)?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn bridge_download(&self, bridge: Fingerprint) -> Result<Option<DownloadStatus>> {
        self.download(&format!("downloads/bridge/{bridge}"), "No such bridge identity digest found")
    }

    fn download(&self, key: &str, unknown: &str) -> Result<Option<DownloadStatus>> {
        let outcome = self.read_info(key, |answer| DownloadStatus::read(key, answer));
        none_if_refused(outcome, 551, unknown)
    }
}
