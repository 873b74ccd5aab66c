//! Sysctls that are a whole kernel's and can be written in its first network namespace alone: where this process begins in
//! that, as a guest's does, they are kept open from there.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use conntruth_engine::Knob;

use super::kernel::path_of;

/// Those that were opened, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Globals(Rc<Vec<(&'static str, File)>>);

impl Globals {
    /// What can be written here and now, of everything that there is.
    pub(super) fn open() -> Globals {
        let open = |knob: &conntruth_engine::KnobInfo| {
            let file = OpenOptions::new().write(true).open(path_of(knob.name)).ok()?;
            Some((knob.name, file))
        };
        Globals(Rc::new(Knob::ALL.iter().filter_map(open).collect()))
    }

    /// Writes one; none where it was not opened.
    pub(super) fn write(&self, name: &str, value: &str) -> Option<io::Result<()>> {
        let (_, file) = self.0.iter().find(|(known, _)| *known == name)?;
        Some(file.write_all_at(value.as_bytes(), 0))
    }

    /// Whether it was opened.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }
}
