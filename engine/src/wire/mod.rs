//! Bytes: the network header's checks, the way to the transport header, and the checksums.
//!
//! Parsed once into views that cannot fail afterwards. Nothing here keeps state or knows of connections; fragments are
//! only recognised here, `defrag` puts them together.

pub(crate) mod checksum;
pub(crate) mod ip;
