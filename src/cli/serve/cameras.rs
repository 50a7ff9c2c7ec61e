//! The cameras that the configuration names.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use crate::cameras::Setup;
use crate::cameras::mqtt::MqttConfig;
use crate::cli::watch;
use crate::config::{CameraConfig, Config};
use crate::pipeline::clip_file::WatchConfig;
use crate::rules::RuleSet;
use crate::source::camera::{Address, CameraOptions};
use crate::zone::Zones;

pub(super) fn setups(config: &Config, rules: &RuleSet) -> anyhow::Result<BTreeMap<String, Setup>> {
    let each = config.cameras.iter().map(|(name, camera)| {
        let setup = setup(camera, config, rules).with_context(|| format!("[cameras.{name}]"))?;
        Ok((name.clone(), setup))
    });
    each.collect()
}

/// With the password out of the environment.
pub(super) fn with_password(mqtt: &MqttConfig) -> anyhow::Result<MqttConfig> {
    let password = mqtt.password.as_deref().map(watch::expanded).transpose();
    Ok(MqttConfig {
        password: password.context("[mqtt], password")?,
        ..mqtt.clone()
    })
}

fn setup(camera: &CameraConfig, config: &Config, rules: &RuleSet) -> anyhow::Result<Setup> {
    ensure!(
        camera.address.is_some() != camera.pushed,
        "give the camera an `address`, or `pushed = true` if its pictures are sent to the service"
    );
    let address = match &camera.address {
        Some(address) => Some(Address::parse(&watch::expanded(address)?)?),
        None => None,
    };
    let here = Zones {
        zones: camera.zone.clone(),
        ground: camera.ground.clone(),
    };
    ensure!(
        camera.zones.is_none() || here.is_empty(),
        "give `zones`, a file, or the zones themselves, not both"
    );
    let zones = match &camera.zones {
        Some(file) => watch::zones(Some(file))?,
        None => here,
    };
    zones.check()?;
    rules.check_zones(&zones, None)?;
    let defaults = CameraOptions::default();
    Ok(Setup {
        address,
        options: CameraOptions {
            fps: camera.fps,
            max_side: camera.max_side,
            // whoever looks at the camera, or pins its picture, sees it as always
            idle_side: camera.max_side,
            transport: camera.rtsp_transport,
            hwaccel: camera.hwaccel.clone(),
            max_pixels: config.limits.max_pixels,
            ..defaults
        },
        watch: WatchConfig {
            fps: camera.fps,
            zones,
            ..WatchConfig::default()
        },
        idle: camera.idle,
    })
}
