//! What cameras see, told to an MQTT broker: `PREFIX/available` (`online` or `offline`, retained, `offline` also
//! as the last will), `PREFIX/cameras/ID/status` (retained), `…/finding`, `…/suppressed` and `…/alarm`, each
//! as JSON.
//!
//! Telling never holds up watching: what a broker that is away cannot take is dropped.

mod tls;

use std::path::PathBuf;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, QoS, Transport};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use super::CameraEvent;

/// Messages that wait for the broker.
const WAITING: usize = 256;
/// Until the next attempt when the broker is away.
const RETRY: Duration = Duration::from_secs(5);
/// For the last word.
const FAREWELL: Duration = Duration::from_secs(2);

/// `[mqtt]` of the configuration.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Name or address of the broker.
    pub host: String,
    /// Its port; 1883 when absent, 8883 with TLS.
    pub port: Option<u16>,
    /// Whether the connection is encrypted. Without, the broker should be of the same network.
    #[serde(default)]
    pub tls: bool,
    /// Certificates (PEM) of whoever may sign the broker's; those that this machine trusts when absent.
    /// Relative to the configuration file.
    pub ca_file: Option<PathBuf>,
    /// User name, if it asks for one.
    pub user: Option<String>,
    /// Password; `${NAME}` is replaced from the environment.
    pub password: Option<String>,
    /// What all topics begin with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

fn default_prefix() -> String {
    "sitewarden".to_owned()
}

impl MqttConfig {
    fn address(&self) -> (&str, u16) {
        let port = if self.tls { 8883 } else { 1883 };
        (&self.host, self.port.unwrap_or(port))
    }
}

/// Why a broker cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// The certificates would be of no use.
    #[error("ca_file is given, but tls is not; add `tls = true`, or remove ca_file")]
    CaWithoutTls,
    /// A feature that was not built.
    #[error(
        "this sitewarden was built without TLS for MQTT; build it with `--features mqtt-tls`, or remove `tls` \
         for a broker of the same network"
    )]
    NotBuilt,
    /// The certificates that are given.
    #[error("ca_file {}: {reason}; give the certificate of the authority that signed the broker's, as PEM", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The machine's certificates.
    #[error("this machine trusts no certificates; install ca-certificates, or give ca_file")]
    NoRoots,
    /// TLS itself.
    #[error("TLS cannot be set up: {0}; please report it")]
    Tls(String),
}

/// Without the password.
impl std::fmt::Debug for MqttConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Tells the broker.
pub struct Teller {
    client: AsyncClient,
    available: String,
    connection: JoinHandle<()>,
    telling: JoinHandle<()>,
}

impl Teller {
    /// Connects, again and again while the broker is away, and tells what comes.
    ///
    /// # Errors
    /// When TLS is asked for and cannot be had.
    pub fn start(config: MqttConfig, events: Receiver<CameraEvent>) -> Result<Self, MqttError> {
        let available = format!("{}/available", config.prefix);
        let id = format!("{}-{}", config.prefix, std::process::id());
        let mut options = MqttOptions::new(id, config.address().0, config.address().1);
        if config.tls {
            options.set_transport(tls::transport(config.ca_file.as_deref())?);
        } else if config.ca_file.is_some() {
            return Err(MqttError::CaWithoutTls);
        }
        options.set_keep_alive(Duration::from_secs(15));
        options.set_last_will(LastWill::new(&available, "offline", QoS::AtLeastOnce, true));
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            options.set_credentials(user, password);
        }
        let (client, connection) = AsyncClient::new(options, WAITING);
        let (host, port) = config.address();
        let at = format!("{host}:{port}");
        Ok(Self {
            connection: tokio::spawn(connect(connection, client.clone(), available.clone(), at)),
            telling: tokio::spawn(tell(events, client.clone(), config.prefix)),
            client,
            available,
        })
    }

    /// Says that the service is going.
    pub async fn stop(self) {
        self.telling.abort();
        let farewell = async {
            let qos = QoS::AtLeastOnce;
            let _ = self
                .client
                .publish(&self.available, qos, true, "offline")
                .await;
            let _ = self.client.disconnect().await;
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        // it ends by itself once the disconnect is sent
        let _ = tokio::time::timeout(FAREWELL, self.connection).await;
    }
}

async fn connect(mut connection: EventLoop, client: AsyncClient, available: String, at: String) {
    let is_tls = !matches!(connection.mqtt_options.transport(), Transport::Tcp);
    let mut is_away = false;
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                is_away = false;
                let _ = client.try_publish(&available, QoS::AtLeastOnce, true, "online");
            }
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(error) => {
                if !is_away {
                    let todo = tls::advice(&error, is_tls);
                    tracing::warn!(%error, todo, "the MQTT broker {at} is not reached; trying again");
                }
                is_away = true;
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn tell(mut events: Receiver<CameraEvent>, client: AsyncClient, prefix: String) {
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "events were not told over MQTT");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let topic = format!("{prefix}/cameras/{}/{}", event.camera, event.name);
        let Ok(payload) = serde_json::to_vec(&event) else {
            continue;
        };
        let is_state = event.name == "status";
        if client
            .try_publish(topic, QoS::AtLeastOnce, is_state, payload)
            .is_err()
        {
            tracing::debug!("an event was not told over MQTT: the broker is away");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::broadcast;

    use super::*;

    /// The last will, and what was published: topic, text, whether it is to be kept.
    pub(super) type Heard = (String, Vec<(String, String, bool)>);

    pub(super) fn config(host: &str, port: u16) -> MqttConfig {
        MqttConfig {
            host: host.into(),
            port: Some(port),
            tls: false,
            ca_file: None,
            user: None,
            password: None,
            prefix: "site".into(),
        }
    }

    /// Type and flags of a packet, and its body (MQTT 3.1.1, 2.2).
    async fn packet<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(u8, Vec<u8>)> {
        let kind = stream.read_u8().await.ok()?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = stream.read_u8().await.ok()?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }

    /// Takes what comes over one connection.
    pub(super) async fn broker<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> Heard {
        let (mut will, mut published) = (String::new(), Vec::new());
        while let Some((kind, body)) = packet(&mut stream).await {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match kind >> 4 {
                1 => {
                    assert_eq!(body[7] & 0b0010_0100, 0b0010_0100, "a will that is kept");
                    will = text(&body);
                    stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
                }
                3 => {
                    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    let (topic, rest) = body[2..].split_at(length);
                    published.push((text(topic), text(&rest[2..]), kind & 1 == 1));
                    stream
                        .write_all(&[0x40, 2, rest[0], rest[1]])
                        .await
                        .unwrap();
                }
                12 => stream.write_all(&[0xd0, 0]).await.unwrap(),
                _ => break,
            }
        }
        (will, published)
    }

    #[tokio::test]
    async fn the_broker_is_told_and_told_goodbye() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = tokio::spawn(async move { broker(listener.accept().await.unwrap().0).await });
        let (events, heard) = broadcast::channel(8);
        let teller = Teller::start(config("127.0.0.1", port), heard).unwrap();
        let camera = crate::id::Id::from_uuid(uuid::Uuid::nil());
        for name in ["status", "alarm"] {
            let what = serde_json::json!({ "state": "live" });
            let at = "2026-06-01T12:00:00Z".to_owned();
            let event = CameraEvent {
                camera,
                name,
                at,
                what,
            };
            events.send(event).unwrap();
        }
        // as long as the events need to be taken over
        tokio::time::sleep(Duration::from_millis(500)).await;
        teller.stop().await;
        let (will, published) = broker.await.unwrap();
        assert!(
            will.contains("site/available") && will.contains("offline"),
            "{will}"
        );
        let said: Vec<_> = published
            .iter()
            .map(|(t, _, kept)| (t.as_str(), *kept))
            .collect();
        let of = |name: &str| format!("site/cameras/{camera}/{name}");
        assert!(said.contains(&(of("status").as_str(), true)), "{said:?}");
        assert!(said.contains(&(of("alarm").as_str(), false)), "{said:?}");
        let available: Vec<_> = published
            .iter()
            .filter(|(t, ..)| t == "site/available")
            .collect();
        let texts: Vec<_> = available
            .iter()
            .map(|(_, text, kept)| (text.as_str(), *kept))
            .collect();
        assert_eq!(texts, [("online", true), ("offline", true)]);
        let (_, text, _) = published
            .iter()
            .find(|(t, ..)| t.ends_with("alarm"))
            .unwrap();
        assert!(text.contains("\"at\"") && text.contains("live"), "{text}");
    }
}
