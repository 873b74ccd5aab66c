//! How rules in nftables' words get into the kernel: by the library of `nft`, or by the program, where there is no library.
//! What the rules say is the business of those who write them.

use std::io::Write;
use std::process::{Command, Stdio};

use super::namespace::Missing;
use super::sys::Nftables;

/// The rules of the network namespace in which this was made.
pub(super) struct Nft {
    library: Option<Nftables>,
}

impl Nft {
    /// For the namespace of this process.
    pub(super) fn new() -> Nft {
        Nft { library: Nftables::new() }
    }

    /// Runs commands in one transaction, and returns what they print.
    ///
    /// # Errors
    /// When there is no nftables here, or it or the kernel does not take them.
    pub(super) fn run(&mut self, text: &str) -> Result<String, Missing> {
        // It takes a rule a line.
        let text = text.replace("; }", ";\n}");
        let done = match &mut self.library {
            Some(library) => library.run(&text),
            None => program(&text)?,
        };
        done.map_err(|said| {
            let line = said.lines().next().unwrap_or("it does not say why").trim();
            Missing(format!("the kernel or `nft` does not take the rules: {line}"))
        })
    }
}

/// The program `nft`: what it prints, or what is wrong.
fn program(input: &str) -> Result<Result<String, String>, Missing> {
    let start = |program: &str| {
        Command::new(program)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let started = start("nft").or_else(|_| start("/usr/sbin/nft"));
    let mut nft =
        started.map_err(|error| Missing(format!("`nft` cannot be run ({error}): install nftables")))?;
    if let Some(mut stdin) = nft.stdin.take() {
        // When it ends early it says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let ended = nft.wait_with_output().map_err(Missing::of("`nft` did not end"))?;
    let text = |said: &[u8]| String::from_utf8_lossy(said).into_owned();
    Ok(if ended.status.success() { Ok(text(&ended.stdout)) } else { Err(text(&ended.stderr)) })
}
