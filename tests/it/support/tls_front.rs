//! TLS in front of a server that speaks in the clear, with a certificate made for the test.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;

/// An authority that only those know who are given its file.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
    /// Whether servers show the authority's own certificate, which names no host, in place of one that it signed.
    serves_itself: bool,
    /// What its servers speak inside (ALPN), where they say so.
    protocols: Vec<&'static str>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), issuer.pem()).unwrap();
        Self { issuer, file, serves_itself: false, protocols: Vec::new() }
    }

    /// What `openssl req -x509` makes: a self-signed certificate, an authority's by its form, shown by a server.
    pub(crate) fn self_signed_server() -> Self {
        Self { serves_itself: true, ..Self::new() }
    }

    /// One whose servers say in the handshake what they speak.
    pub(crate) fn of_servers_that_speak(protocols: &[&'static str]) -> Self {
        Self { protocols: protocols.to_vec(), ..Self::new() }
    }

    /// Its certificate, as a pool's `tls_ca_file` wants it.
    pub(crate) fn file(&self) -> &Path {
        self.file.path()
    }

    /// What a server needs to call itself `name` on this authority's word.
    fn certify(&self, name: &str) -> TlsAcceptor {
        let (certificate, key) = if self.serves_itself {
            (self.issuer.der().clone(), self.issuer.key().serialize_der())
        } else {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key.serialize_der())
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key).unwrap())
            .unwrap();
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// When the handshake comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    AtOnce,
    /// After SMTP's `STARTTLS`, which is answered with these bytes.
    AfterStartTls(&'static str),
}

/// The front. Ends with the value.
pub(crate) struct TlsFront {
    port: u16,
    shared: Arc<Shared>,
    held: watch::Sender<bool>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    acceptor: TlsAcceptor,
    manner: Manner,
    backend: SocketAddr,
    arrived: AtomicUsize,
    overheard: Mutex<Vec<String>>,
}

impl TlsFront {
    /// Calls itself `name` and passes on to a port of this machine what it decrypts.
    pub(crate) fn start(backend: u16, authority: &Authority, name: &str, manner: Manner) -> Self {
        let shared = Arc::new(Shared {
            acceptor: authority.certify(name),
            manner,
            backend: SocketAddr::from((Ipv4Addr::LOCALHOST, backend)),
            arrived: AtomicUsize::new(0),
            overheard: Mutex::default(),
        });
        let (held, hold) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let (started, port) = mpsc::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                    started.send(listener.local_addr().unwrap().port()).unwrap();
                    tokio::select! {
                        () = accept(&listener, &shared, &hold) => {}
                        _ = ended => {}
                    }
                });
            }
        });
        Self { port: port.recv().unwrap(), shared, held, end: Some(end), thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Lets handshakes wait, or go on.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// How many connections have come to their handshake.
    pub(crate) fn arrived(&self) -> usize {
        self.shared.arrived.load(Ordering::SeqCst)
    }

    /// The lines that were said in the clear.
    pub(crate) fn overheard(&self) -> Vec<String> {
        self.shared.overheard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, hold: &watch::Receiver<bool>) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let (shared, hold) = (Arc::clone(shared), hold.clone());
        // An error is a client's or the backend's hanging up, or a handshake that failed.
        tokio::spawn(async move { serve(tcp, &shared, hold).await.map_or_else(drop, drop) });
    }
}

async fn serve(mut tcp: TcpStream, shared: &Shared, mut hold: watch::Receiver<bool>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    if let Manner::AfterStartTls(answer) = shared.manner {
        until_starttls(&mut tcp, shared, answer).await?;
    }
    shared.arrived.fetch_add(1, Ordering::SeqCst);
    hold.wait_for(|held| !held).await.map_err(io::Error::other)?;
    let mut inside = shared.acceptor.accept(tcp).await?;
    let mut backend = TcpStream::connect(shared.backend).await?;
    backend.set_nodelay(true)?;
    if matches!(shared.manner, Manner::AfterStartTls(_)) {
        // The greeting has been said already.
        while backend.read_u8().await? != b'\n' {}
    }
    copy_bidirectional(&mut inside, &mut backend).await.map(drop)
}

async fn until_starttls(tcp: &mut TcpStream, shared: &Shared, answer: &str) -> io::Result<()> {
    let mut tcp = BufReader::new(tcp);
    tcp.write_all(b"220 front ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if tcp.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_owned();
        shared.overheard.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
        match line.split(' ').next() {
            Some("EHLO") => tcp.write_all(b"250-front\r\n250 STARTTLS\r\n").await?,
            Some("STARTTLS") => return tcp.write_all(answer.as_bytes()).await,
            _ => tcp.write_all(b"530 5.7.0 STARTTLS first\r\n").await?,
        }
    }
}
