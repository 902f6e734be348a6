//! The client's side: who is trusted, and for which name.

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem::PemObject},
};
use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Whom a client trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The certificate authorities, PEM.
    pub authorities: Vec<u8>,
    /// The name that the servers' certificate must have. They are reached by their addresses, which it cannot know.
    pub name: String,
}

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no certificate among the authorities.
    #[error("there is no certificate authority to trust")]
    NoAuthority,
    /// A name that no certificate can have.
    #[error("the name of the server: {0}")]
    Name(#[from] InvalidDnsNameError),
    /// The library's words.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl Trust {
    /// What makes connections.
    ///
    /// # Errors
    /// Where there is no authority, or the name is none.
    pub fn connector(&self) -> Result<Connector, Error> {
        let name = ServerName::try_from(self.name.clone())?;
        Ok(Connector { name: Some(name), ..Connector::new(&self.authorities)? })
    }
}

/// Makes connections that are encrypted and verified.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    /// None: the name by which the server is called.
    name: Option<ServerName<'static>>,
    shown: Arc<OnceLock<Vec<u8>>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Connector {
    /// One that trusts these authorities (PEM), and wants of each server the name by which it is called.
    ///
    /// # Errors
    /// Where there is no authority.
    pub fn new(authorities: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities).filter_map(Result::ok) {
            roots.add(authority)?;
        }
        Self::of(roots.into())
    }

    /// One for servers of this name that trusts the authorities that the system does. They are read once.
    ///
    /// # Errors
    /// Where there is none, or the name is none.
    pub fn public(name: &str) -> Result<Self, Error> {
        static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
        let roots = ROOTS.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            // What is no certificate there is the system's business.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots.into()
        });
        Ok(Self { name: Some(ServerName::try_from(name.to_owned())?), ..Self::of(roots.clone())? })
    }

    fn of(roots: Arc<RootCertStore>) -> Result<Self, Error> {
        if roots.is_empty() {
            return Err(Error::NoAuthority);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), name: None, shown: Arc::default() })
    }

    pub(crate) fn called(&self, name: &str) -> Result<Self, InvalidDnsNameError> {
        let name = self.name.clone().map_or_else(|| ServerName::try_from(name.to_owned()), Ok)?;
        Ok(Self { name: Some(name), ..self.clone() })
    }

    /// Encrypts a connection.
    ///
    /// # Errors
    /// Where the server is not trusted, or does not speak TLS.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let name = self.name.clone().ok_or_else(|| io::Error::other("the server has no name"))?;
        let stream = self.tls.connect(name, stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        if let Some(shown) = shown {
            // Of several connections the first is as good as any.
            let _ = self.shown.set(shown.to_vec());
        }
        Ok(stream)
    }

    /// The certificate that the server has shown, DER; None before it has.
    pub fn shown(&self) -> Option<&[u8]> {
        self.shown.get().map(Vec::as_slice)
    }
}
