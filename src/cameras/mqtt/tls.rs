//! MQTT over TLS, where that is built, and what to do about a connection that fails.

use std::path::Path;

use rumqttc::{ConnectReturnCode, ConnectionError, Transport};

use super::MqttError;

#[cfg(not(feature = "mqtt-tls"))]
pub(super) fn transport(_: Option<&Path>) -> Result<Transport, MqttError> {
    Err(MqttError::NotBuilt)
}

/// TLS that trusts the certificates in this file, or those that this machine trusts.
#[cfg(feature = "mqtt-tls")]
pub(super) fn transport(ca_file: Option<&Path>) -> Result<Transport, MqttError> {
    use std::sync::Arc;

    use rumqttc::TlsConfiguration;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, RootCertStore, crypto};

    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let refused = |reason: String| MqttError::Ca {
                path: path.to_owned(),
                reason,
            };
            let found = CertificateDer::pem_file_iter(path).map_err(|e| refused(e.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|e| refused(e.to_string()))?;
                roots.add(certificate).map_err(|e| refused(e.to_string()))?;
            }
            if roots.is_empty() {
                return Err(refused("it holds no certificate".into()));
            }
        }
        None => {
            // one that cannot be read is as good as not there
            let found = rustls_native_certs::load_native_certs().certs;
            roots.add_parsable_certificates(found);
            if roots.is_empty() {
                return Err(MqttError::NoRoots);
            }
        }
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| MqttError::Tls(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = TlsConfiguration::Rustls(Arc::new(config));
    Ok(Transport::tls_with_config(config))
}

/// What to do about a connection that failed.
pub(super) fn advice(error: &ConnectionError, is_tls: bool) -> &'static str {
    use ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    #[cfg(feature = "mqtt-tls")]
    if let Some(advice) = of_tls(error) {
        return advice;
    }
    match error {
        ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized) => {
            "check user and password of [mqtt]"
        }
        // it went while saying hello: what it heard was not what it speaks
        ConnectionError::Io(_) | ConnectionError::MqttState(_) if !is_tls => {
            "check host and port of [mqtt], and that the broker runs; if it wants TLS, set tls = true"
        }
        _ => "check host and port of [mqtt], and that the broker runs",
    }
}

#[cfg(feature = "mqtt-tls")]
fn of_tls(error: &ConnectionError) -> Option<&'static str> {
    use std::io::ErrorKind;

    use rumqttc::TlsError;
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    use rustls::Error;

    let ConnectionError::Tls(error) = error else {
        return None;
    };
    let plain =
        "it does not speak TLS at this port; check the port (8883 as a rule), or remove tls";
    let error = match error {
        TlsError::TLS(error) => error,
        TlsError::Io(io) => match io.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
            Some(error) => error,
            None if matches!(
                io.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) =>
            {
                return Some(plain);
            }
            None => return None,
        },
        _ => return None,
    };
    Some(match error {
        Error::InvalidMessage(_) => plain,
        Error::InvalidCertificate(UnknownIssuer) => {
            "nobody who is trusted signed its certificate; give who did as ca_file"
        }
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "its certificate is for another name; give host as it is in the certificate"
        }
        Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            "its certificate is over; the broker needs a new one, or this machine's clock is wrong"
        }
        _ => "the broker's certificate or its TLS settings are not accepted",
    })
}

#[cfg(feature = "mqtt-tls")]
#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use rumqttc::tokio_rustls::TlsAcceptor;
    use rumqttc::{AsyncClient, Event, MqttOptions, Packet};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, crypto};
    use tokio::net::TcpListener;
    use tokio::sync::broadcast;

    use super::super::tests::{broker, config};
    use super::super::{MqttConfig, Teller};
    use super::*;

    /// Made by openssl for a hundred years, see `tests/data/README.md`.
    fn made(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/mqtt")
            .join(name)
    }

    fn acceptor() -> TlsAcceptor {
        let read = CertificateDer::from_pem_file(made("site.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(made("site.key")).unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![read], key)
                .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn over_tls(port: u16, ca: &Path) -> MqttConfig {
        MqttConfig {
            tls: true,
            ca_file: Some(ca.to_owned()),
            ..config("localhost", port)
        }
    }

    #[tokio::test]
    async fn a_broker_is_told_over_tls() {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accept = acceptor();
        let heard = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            broker(accept.accept(stream).await.unwrap()).await
        });
        let (_events, told) = broadcast::channel(1);
        let teller = Teller::start(over_tls(port, &made("site.pem")), told).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        teller.stop().await;
        let (will, published) = heard.await.unwrap();
        assert!(will.contains("offline"), "{will}");
        let texts: Vec<_> = published.iter().map(|(_, text, _)| text).collect();
        assert_eq!(texts, ["online", "offline"]);
    }

    /// What is advised when a client with this configuration fails.
    async fn advised(config: &MqttConfig) -> &'static str {
        let (host, port) = config.address();
        let mut options = MqttOptions::new("test", host, port);
        if config.tls {
            options.set_transport(transport(config.ca_file.as_deref()).unwrap());
        }
        let (_client, mut connection) = AsyncClient::new(options, 1);
        loop {
            match connection.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => panic!("connected"),
                Ok(_) => {}
                Err(error) => return advice(&error, config.tls),
            }
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_with_what_to_do() {
        let [site, other] = ["site.pem", "other.pem"].map(made);
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accept = acceptor();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = accept.accept(stream).await {
                    broker(stream).await;
                }
            }
        });
        let said = advised(&over_tls(port, &other)).await;
        assert!(said.contains("ca_file"), "{said}");
        let elsewhere = MqttConfig {
            host: "127.0.0.1".into(),
            ..over_tls(port, &site)
        };
        let said = advised(&elsewhere).await;
        assert!(said.contains("another name"), "{said}");
        let said = advised(&config("localhost", port)).await;
        assert!(said.contains("tls = true"), "{said}");

        // a broker without TLS takes the greeting for a broken packet
        let plain = TcpListener::bind("localhost:0").await.unwrap();
        let port = plain.local_addr().unwrap().port();
        tokio::spawn(async move { while plain.accept().await.is_ok() {} });
        let said = advised(&over_tls(port, &site)).await;
        assert!(said.contains("remove tls"), "{said}");
    }

    #[test]
    fn certificates_that_cannot_be_read_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let refused = |path: &Path| transport(Some(path)).err().unwrap().to_string();
        assert!(refused(&path).contains("ca.pem"));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(refused(&path).contains("holds no certificate"));
    }
}
