//! The daemon's control socket: JSON-RPC 1.0, a command at a time, as `ovs-appctl` speaks it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

/// A command that takes longer has no answer: the daemon hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer that is longer is no answer.
const LARGEST: usize = 256 << 20;

/// A connection that is kept.
#[derive(Debug)]
pub(super) struct Control {
    stream: UnixStream,
    heard: Vec<u8>,
    id: u64,
}

#[derive(Deserialize)]
struct Answer {
    id: Option<u64>,
    result: Option<String>,
    error: Option<serde_json::Value>,
}

impl Control {
    /// # Errors
    /// When nobody listens there.
    pub(super) fn connect(path: &Path) -> io::Result<Control> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Control { stream, heard: Vec::new(), id: 0 })
    }

    /// Gives a command, and waits for what it says.
    ///
    /// # Errors
    /// When the daemon refuses it, in its words, or has gone.
    pub(super) fn call(&mut self, method: &str, parameters: &[&str]) -> io::Result<String> {
        self.id += 1;
        let request = json!({ "method": method, "params": parameters, "id": self.id });
        self.stream.write_all(request.to_string().as_bytes())?;
        let answer = self.answer()?;
        if answer.id != Some(self.id) {
            return Err(io::Error::other(format!("`{method}`: the answer to another command")));
        }
        match answer.error {
            None | Some(serde_json::Value::Null) => Ok(answer.result.unwrap_or_default()),
            Some(error) => {
                let said = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
                Err(io::Error::other(format!("`{method}`: {}", said.trim())))
            }
        }
    }

    /// The next answer; they follow each other without anything in between.
    fn answer(&mut self) -> io::Result<Answer> {
        let mut room = vec![0; 1 << 16];
        loop {
            let mut answers = serde_json::Deserializer::from_slice(&self.heard).into_iter::<Answer>();
            match answers.next() {
                Some(Ok(answer)) => {
                    let end = answers.byte_offset();
                    self.heard.drain(..end);
                    return Ok(answer);
                }
                Some(Err(error)) if !error.is_eof() => return Err(io::Error::other(error)),
                _ => {}
            }
            let count = self.stream.read(&mut room)?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "ovs-vswitchd has gone"));
            }
            self.heard.extend_from_slice(&room[..count]);
            if self.heard.len() > LARGEST {
                return Err(io::Error::other("an answer without an end"));
            }
        }
    }
}
