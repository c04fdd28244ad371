//! TLS for a server that others on the network use: a certificate of one's own or a given one, and a
//! listener that speaks it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::serve::Listener;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
};
use tokio_rustls::server::TlsStream;

/// How long a certificate of our own is good; browsers refuse those that are good for longer than 398
/// days.
const GOOD_FOR: Duration = Duration::from_secs(390 * 24 * 3600);
/// One that is older is made anew.
const RENEWED_AFTER: Duration = Duration::from_secs(300 * 24 * 3600);
/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many clients agree on keys at once; the others wait in the system's backlog.
const AT_ONCE: usize = 256;
/// How much is read of a request that speaks plain HTTP.
const PLAIN: usize = 2048;
/// What the first byte of TLS is: a record that shakes hands (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// Certificate and key, ready to be used.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    fingerprint: String,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Tls {
    /// Certificates (its own first) and key, both PEM.
    ///
    /// # Errors
    /// A sentence: they are not PEM, or do not belong together.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Tls, String> {
        let chain = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| format!("the certificate is no PEM: {e}"))?;
        let first = chain.first().ok_or("the file of the certificate holds no certificate")?;
        let digest = Sha256::digest(first);
        let fingerprint = digest.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":");
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|e| format!("the key is no PEM: {e}"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|e| format!("certificate and key cannot be used: {e}"))?;
        // kubectl's streams are upgrades of HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { config: Arc::new(config), fingerprint })
    }

    /// A certificate of our own for these names and addresses. It is kept in `dir`, so that browsers that
    /// were told to trust it still do after a restart.
    ///
    /// # Errors
    /// A sentence: there are no random bytes, or a name is no name.
    pub fn own(dir: Option<&Path>, names: &[String]) -> Result<Tls, String> {
        if let Some(dir) = dir
            && let Some(kept) = kept(dir, names)
        {
            return Ok(kept);
        }
        let wrong = |e: rcgen::Error| format!("no certificate can be made: {e}");
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(wrong)?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "Podlab, made by itself");
        params.distinguished_name = name;
        let now = SystemTime::now();
        // Clocks of a room differ.
        params.not_before = (now - Duration::from_secs(24 * 3600)).into();
        params.not_after = (now + GOOD_FOR).into();
        let certificate = params.self_signed(&key).map_err(wrong)?.pem();
        let key = key.serialize_pem();
        let tls = Tls::new(certificate.as_bytes(), key.as_bytes())?;
        if let Some(dir) = dir
            && let Err(error) = keep(dir, names, &certificate, &key)
        {
            tracing::warn!(%error, "the certificate cannot be kept: the next start makes another");
        }
        Ok(tls)
    }

    /// The SHA-256 of the certificate as browsers show it: pairs of hex digits between colons.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// A connection to a server whose certificate is one of `trusted` (PEM), or was issued by it.
///
/// # Errors
/// A sentence: `trusted` holds no certificate, or `host` is no name.
pub fn connect(
    host: &str,
    stream: std::net::TcpStream,
    trusted: &[u8],
) -> Result<StreamOwned<ClientConnection, std::net::TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|e| format!("{host}: {e}"))?;
    let connection = ClientConnection::new(client(trusted)?, name).map_err(|e| e.to_string())?;
    Ok(StreamOwned::new(connection, stream))
}

/// What a client needs that trusts these certificates.
fn client(trusted: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trusted) {
        let certificate = certificate.map_err(|e| format!("the certificate is no PEM: {e}"))?;
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".into());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificate that [`Tls::own`] keeps in this folder.
pub fn certificate_in(dir: &Path) -> std::path::PathBuf {
    dir.join(FILES[0])
}

/// The files of a kept certificate: itself, its key, and the names it is for.
const FILES: [&str; 3] = ["certificate.pem", "key.pem", "names.txt"];

fn kept(dir: &Path, names: &[String]) -> Option<Tls> {
    let [certificate, key, of] = FILES.map(|name| dir.join(name));
    let age = fs::metadata(&certificate).ok()?.modified().ok()?.elapsed().ok()?;
    let same = fs::read_to_string(of).ok()? == names.join("\n");
    if age > RENEWED_AFTER || !same {
        return None;
    }
    Tls::new(&fs::read(certificate).ok()?, &fs::read(key).ok()?).ok()
}

fn keep(dir: &Path, names: &[String], certificate: &str, key: &str) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let [certificate_file, key_file, of] = FILES.map(|name| dir.join(name));
    fs::write(certificate_file, certificate)?;
    secret(&key_file, key)?;
    fs::write(of, names.join("\n"))
}

/// Writes a file that only its owner reads.
fn secret(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(path)?, text.as_bytes())
}

/// A listener that speaks TLS. Whoever is slow to agree on keys holds up nobody, and whoever speaks plain
/// HTTP is sent to the right address.
#[derive(Debug)]
pub struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    /// Begins to take connections. To be called where tokio runs.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn new(tcp: TcpListener, tls: &Tls) -> io::Result<TlsListener> {
        let address = tcp.local_addr()?;
        let acceptor = TlsAcceptor::from(tls.config.clone());
        let (sender, ready) = mpsc::channel(AT_ONCE);
        tokio::spawn(take(tcp, acceptor, sender));
        Ok(TlsListener { address, ready })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The task ends with the process only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn take(
    mut tcp: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        // Axum's own: an error of the system (too many files) is waited out.
        let (stream, from) = Listener::accept(&mut tcp).await;
        if ready.is_closed() {
            return;
        }
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            // Who is too slow, or speaks something else, is let go without a word.
            if let Ok(Some(tls)) = tokio::time::timeout(HANDSHAKE, agree(stream, acceptor)).await {
                let _ = ready.send((tls, from)).await;
            }
            drop(permit);
        });
    }
}

async fn agree(stream: TcpStream, acceptor: TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    let mut first = [0; 1];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first[0] == HANDSHAKE_RECORD {
        return acceptor.accept(stream).await.ok();
    }
    redirect(stream).await.ok()?;
    None
}

/// Sends somebody who typed `http://` to `https://`.
async fn redirect(mut stream: TcpStream) -> io::Result<()> {
    let mut read = Vec::new();
    let target = loop {
        stream.readable().await?;
        let mut piece = [0; 512];
        match stream.try_read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => read.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e),
        }
        match place(&read) {
            Some(target) => break target,
            None if read.len() > PLAIN => return Ok(()),
            None => {}
        }
    };
    let answer = format!(
        "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://{target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Host and path of a plain request, once its head is whole.
fn place(bytes: &[u8]) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(bytes).ok()?.is_complete() {
        return None;
    }
    let path = request.path.filter(|p| p.starts_with('/'))?;
    let host = request.headers.iter().find(|h| h.name.eq_ignore_ascii_case("host"))?;
    let host = std::str::from_utf8(host.value).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    host.chars().all(plain).then(|| format!("{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use axum::serve::ListenerExt as _;
    use std::sync::Mutex;
    use tokio::io::AsyncReadExt as _;
    use tokio_rustls::TlsConnector;

    fn names() -> Vec<String> {
        vec!["localhost".into(), "127.0.0.1".into()]
    }

    #[tokio::test]
    async fn who_trusts_the_certificate_is_served_and_others_hold_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls::own(Some(dir.path()), &names()).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = TlsListener::new(tcp, &tls).unwrap().tap_io(|_| {});
        let seen = Arc::new(Mutex::new(0));
        let counted = seen.clone();
        let app = Router::new().route(
            "/",
            get(move || async move {
                *counted.lock().unwrap() += 1;
                "hello"
            }),
        );
        tokio::spawn(async move { axum::serve(listener, app).await });
        // Says nothing at all.
        let _silent = TcpStream::connect(address).await.unwrap();

        let tcp = TcpStream::connect(address).await.unwrap();
        let server = ServerName::try_from("127.0.0.1").unwrap();
        let trusted = client(&fs::read(certificate_in(dir.path())).unwrap()).unwrap();
        let mut stream = TlsConnector::from(trusted).connect(server, tcp).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
        assert_eq!(*seen.lock().unwrap(), 1);

        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET /x?y=1 HTTP/1.1\r\nHost: room:7878\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        plain.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("308") && answer.contains("Location: https://room:7878/x?y=1\r\n"));
        assert_eq!(*seen.lock().unwrap(), 1);
    }

    #[test]
    fn a_certificate_is_kept_while_its_names_stay() {
        let dir = tempfile::tempdir().unwrap();
        let first = Tls::own(Some(dir.path()), &names()).unwrap();
        let again = Tls::own(Some(dir.path()), &names()).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
        let other = Tls::own(Some(dir.path()), &["10.0.0.1".into()]).unwrap();
        assert_ne!(first.fingerprint(), other.fingerprint());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(dir.path().join(FILES[1])).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_given_must_fit() {
        let dir = tempfile::tempdir().unwrap();
        Tls::own(Some(dir.path()), &names()).unwrap();
        let certificate = fs::read(dir.path().join(FILES[0])).unwrap();
        Tls::own(Some(dir.path()), &["other".into()]).unwrap();
        let key = fs::read(dir.path().join(FILES[1])).unwrap();
        assert!(Tls::new(&certificate, &key).unwrap_err().contains("cannot be used"));
        assert!(Tls::new(b"nonsense", &key).unwrap_err().contains("no certificate"));
        assert!(Tls::new(&certificate, b"nonsense").unwrap_err().contains("key"));
    }

    #[test]
    fn only_a_plain_host_is_sent_on() {
        let of = |host: &str| place(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(of("[::1]:80").as_deref(), Some("[::1]:80/"));
        assert_eq!(of("a/b"), None);
        assert_eq!(place(b"GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n"), None);
        assert_eq!(place(b"GET / HTTP/1.1\r\nHost: a"), None);
    }
}
