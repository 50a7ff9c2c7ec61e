use super::{Result, Tx};
use crate::record::ScanDocument;
pub(super) async fn keep(_tx: &mut Tx, _d: &ScanDocument) -> Result<String> { Ok(String::new()) }
