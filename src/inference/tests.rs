//! Loading real ONNX files with the real library.

use super::*;

#[test]
fn provider_names_round_trip() {
    for (name, provider) in Provider::ALL {
        assert_eq!(name.parse(), Ok(provider));
        assert_eq!(provider.to_string(), name);
    }
    assert!("npu".parse::<Provider>().unwrap_err().contains("cpu, cuda"));
}
