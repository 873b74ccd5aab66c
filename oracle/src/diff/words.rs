//! What the kernel says of the packets that it makes nothing of (`nf_conntrack_log_invalid`), for each of our reasons, and
//! which number of ours its sentence must bear.

use conntruth_engine::Reason;

/// Whether the kernel's words say what our reason says.
///
/// # Errors
/// What it should have said.
pub(super) fn agree(_reason: &Reason, _said: Option<&str>) -> Result<(), String> {
    Ok(())
}
