//! What cameras see, told to an MQTT broker: `PREFIX/available` (`online` or `offline`, retained, `offline` also
//! as the last will), `PREFIX/cameras/ID/status` (retained), `…/finding`, `…/suppressed` and `…/alarm`, each
//! as JSON.
//!
//! Telling never holds up watching: what a broker that is away cannot take is dropped.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, QoS};
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

/// `[mqtt]` of the configuration. The connection is not encrypted: a broker of the same network.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Name or address of the broker.
    pub host: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// User name, if it asks for one.
    pub user: Option<String>,
    /// Password; `${NAME}` is replaced from the environment.
    pub password: Option<String>,
    /// What all topics begin with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

const fn default_port() -> u16 {
    1883
}

fn default_prefix() -> String {
    "sitewarden".to_owned()
}

/// Without the password.
impl std::fmt::Debug for MqttConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttConfig")
            .field("host", &self.host)
            .field("port", &self.port)
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
    pub fn start(config: MqttConfig, events: Receiver<CameraEvent>) -> Self {
        let available = format!("{}/available", config.prefix);
        let id = format!("{}-{}", config.prefix, std::process::id());
        let mut options = MqttOptions::new(id, &config.host, config.port);
        options.set_keep_alive(Duration::from_secs(15));
        options.set_last_will(LastWill::new(&available, "offline", QoS::AtLeastOnce, true));
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            options.set_credentials(user, password);
        }
        let (client, connection) = AsyncClient::new(options, WAITING);
        let at = format!("{}:{}", config.host, config.port);
        Self {
            connection: tokio::spawn(connect(connection, client.clone(), available.clone(), at)),
            telling: tokio::spawn(tell(events, client.clone(), config.prefix)),
            client,
            available,
        }
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
                    tracing::warn!(%error, "the MQTT broker {at} is not reached; trying again");
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::broadcast;

    use super::*;

    /// Type and flags of a packet, and its body (MQTT 3.1.1, 2.2).
    async fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
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

    /// Takes one connection; what it asked for as its last will, and what was published: topic, text,
    /// whether it is to be kept.
    async fn broker(listener: TcpListener) -> (String, Vec<(String, String, bool)>) {
        let (mut stream, _) = listener.accept().await.unwrap();
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
        let broker = tokio::spawn(broker(listener));
        let config = MqttConfig {
            host: "127.0.0.1".into(),
            port,
            user: None,
            password: None,
            prefix: "site".into(),
        };
        let (events, heard) = broadcast::channel(8);
        let teller = Teller::start(config, heard);
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
