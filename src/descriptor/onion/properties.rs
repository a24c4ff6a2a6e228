//! The layers of a descriptor without encryption, for the fuzz targets.

use super::first_layer::OnionFirstLayer;
use super::second_layer::OnionSecondLayer;
use crate::descriptor::text::Text;
use crate::error::ProtocolError;
use crate::names::OnionKey;

/// Reads the layers with these texts, of a service of any address.
pub(crate) fn layers(first: &[u8], second: &[u8]) -> Result<OnionSecondLayer, ProtocolError> {
    let address = OnionKey::from_seed([1; 32]).address();
    let first = OnionFirstLayer::not_encrypted(address, Text::new(first.to_vec()));
    OnionSecondLayer::read(first, Text::new(second.to_vec()))
}
