//! A program at the other end of three pipes, which may do anything: die, say nothing, say too much.
//!
//! Its input is written, and its two outputs are read, by threads of their own, so whoever waits for an answer waits no
//! longer than it wants to; what is kept of either output is bounded. Nothing that it says is ever run, by a shell or
//! otherwise.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So much of what it says on stderr is kept: the end.
const KEPT: usize = 8 << 10;
/// So many lines of that are shown.
const SHOWN: usize = 12;
/// How long a program whose input has ended may take to end.
const GRACE: Duration = Duration::from_millis(300);

/// A running program.
pub(super) struct Process {
    /// None where the answers were kept from another time.
    child: Option<Child>,
    kept: Option<(VecDeque<Vec<u8>>, Sender<Line>)>,
    write: Option<Sender<Vec<u8>>>,
    lines: Receiver<Line>,
    waiting: Arc<AtomicUsize>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
    stderr_ends: Receiver<()>,
}

enum Line {
    Text(Vec<u8>),
    TooLong,
}

/// What went wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is over.
    Died(String),
    /// No answer in time.
    Silent(Duration),
    /// More output than it may.
    Flood(usize),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Died(how) => write!(f, "the adapter {how}"),
            Trouble::Silent(time) => {
                write!(f, "the adapter gave no answer for {:.1} s and was ended", time.as_secs_f64())
            }
            Trouble::Flood(most) => {
                write!(f, "the adapter said more than {most} bytes that nobody had read, and was ended")
            }
        }
    }
}

impl Process {
    /// Starts a program, found as the system finds programs; its words are given to it as they are.
    pub(super) fn start(words: &[String], most: usize) -> Result<Process, String> {
        let [program, arguments @ ..] = words else {
            return Err("there is no command after `exec:`".to_owned());
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| format!("`{program}` cannot be started: {error}"))?;
        let pipe = || format!("`{program}` has lost a pipe");
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdin, stdout, stderr) =
            (stdin.ok_or_else(pipe)?, stdout.ok_or_else(pipe)?, stderr.ok_or_else(pipe)?);
        let (write, to_write) = mpsc::channel();
        std::thread::spawn(move || write_all(stdin, &to_write));
        let (said, lines) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let unread = Arc::clone(&waiting);
        std::thread::spawn(move || {
            read_lines(BufReader::with_capacity(1 << 16, stdout), &said, &unread, most)
        });
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let keep = Arc::clone(&kept);
        let (ended, stderr_ends) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            keep_end(stderr, &keep);
            drop(ended);
        });
        Ok(Process {
            child: Some(child),
            kept: None,
            write: Some(write),
            lines,
            waiting,
            stderr: kept,
            stderr_ends,
        })
    }

    /// Answers that were kept, in the place of a program: to whatever is said comes the next, until there is none.
    pub(super) fn recorded(answers: &[u8]) -> Process {
        let (said, lines) = mpsc::channel();
        let kept = answers.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        Process {
            child: None,
            kept: Some((kept, said)),
            write: None,
            lines,
            waiting: Arc::default(),
            stderr: Arc::default(),
            stderr_ends: mpsc::channel().1,
        }
    }

    /// Says something to it. That it does not listen is seen when it does not answer.
    pub(super) fn say(&mut self, line: Vec<u8>) {
        if let Some((kept, said)) = &mut self.kept {
            match kept.pop_front() {
                Some(answer) => {
                    self.waiting.fetch_add(weight(&answer), Ordering::Relaxed);
                    let _ = said.send(Line::Text(answer));
                }
                None => self.kept = None,
            }
            return;
        }
        if let Some(write) = &self.write {
            let _ = write.send(line);
        }
    }

    /// The next line it says.
    pub(super) fn line(&mut self, patience: Duration, most: usize) -> Result<Vec<u8>, Trouble> {
        match self.lines.recv_timeout(patience) {
            Ok(Line::Text(line)) => {
                self.waiting.fetch_sub(weight(&line), Ordering::Relaxed);
                Ok(line)
            }
            Ok(Line::TooLong) => Err(Trouble::Flood(most)),
            Err(RecvTimeoutError::Timeout) => Err(Trouble::Silent(patience)),
            Err(RecvTimeoutError::Disconnected) => Err(Trouble::Died(self.how_it_ended())),
        }
    }

    /// A line that nobody asked for, if it said one.
    pub(super) fn unasked(&mut self, most: usize) -> Result<Option<Vec<u8>>, Trouble> {
        match self.lines.try_recv() {
            Ok(Line::Text(line)) => Ok(Some(line)),
            Ok(Line::TooLong) => Err(Trouble::Flood(most)),
            // Nothing; and that it has ended is seen when it is to answer.
            Err(_) => Ok(None),
        }
    }

    fn how_it_ended(&mut self) -> String {
        match self.wait(GRACE) {
            Some(status) => ended(status),
            None if self.child.is_none() => "had no more to say".to_owned(),
            None => "closed its output and was ended".to_owned(),
        }
    }

    /// Waits for its end.
    fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let nap = Duration::from_millis(5);
        for _ in 0..patience.as_millis() / nap.as_millis() {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(nap);
        }
        None
    }

    /// Ends it, and all that it has started, and hands out the end of what it said on stderr.
    pub(super) fn end(mut self) -> String {
        self.kill();
        let _ = self.stderr_ends.recv_timeout(GRACE);
        let kept: Vec<u8> =
            self.stderr.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        last_lines(&kept)
    }

    fn kill(&mut self) {
        self.write = None;
        let Some(child) = &mut self.child else { return };
        #[cfg(target_os = "linux")]
        if let Ok(id) = i32::try_from(child.id()) {
            let group = nix::unistd::Pid::from_raw(-id);
            let _ = nix::sys::signal::kill(group, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A program that is not needed any more: its input ends, and where that does not end it, it is ended.
impl Drop for Process {
    fn drop(&mut self) {
        self.write = None;
        self.wait(GRACE);
        self.kill();
    }
}

fn ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("crashed: signal {signal}");
    }
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".to_owned(),
    }
}

fn write_all(mut pipe: ChildStdin, lines: &Receiver<Vec<u8>>) {
    for line in lines {
        // It does not listen any more: its end is seen where it is read.
        if pipe.write_all(&line).is_err() {
            break;
        }
    }
}

/// What a line that waits costs: itself, and its place in the queue.
fn weight(line: &[u8]) -> usize {
    line.len() + 64
}

fn read_lines(mut pipe: impl BufRead, said: &Sender<Line>, waiting: &AtomicUsize, most: usize) {
    loop {
        let mut line = Vec::new();
        let room = most.saturating_add(1) as u64;
        match pipe.by_ref().take(room).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let before = waiting.fetch_add(weight(&line), Ordering::Relaxed);
        if line.len() > most || before.saturating_add(line.len()) > most.saturating_mul(2) {
            let _ = said.send(Line::TooLong);
            return;
        }
        if said.send(Line::Text(line)).is_err() {
            return;
        }
    }
}

fn keep_end(mut pipe: impl Read, kept: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&buffer[..length]);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
}

/// The last lines of a text, with nothing in them that a terminal would obey.
fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let over = lines.len().saturating_sub(SHOWN);
    lines[over..].iter().map(|line| shown(line.as_bytes(), 400)).collect::<Vec<_>>().join("\n")
}

/// Some bytes for people: one line, of bounded length, with nothing in it that a terminal would obey.
pub(super) fn shown(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(most)]);
    let text = text.trim_end_matches(['\n', '\r']);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if bytes.len() > most {
        out.push_str(&format!("… ({} bytes)", bytes.len()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_cannot_command_a_terminal() {
        assert_eq!(shown(b"a\x1b[2Jb\xff\n", 100), "a\\u{1b}[2Jb\u{fffd}");
        assert_eq!(shown(b"0123456789", 4), "0123… (10 bytes)");
        assert_eq!(last_lines(b"one\n\ntwo\r\n"), "one\ntwo");
    }

    #[test]
    fn lines_are_bounded() {
        let (said, lines) = mpsc::channel();
        let waiting = AtomicUsize::new(0);
        read_lines(&b"short\n0123456789"[..], &said, &waiting, 8);
        drop(said);
        let kinds: Vec<bool> = lines.iter().map(|line| matches!(line, Line::Text(_))).collect();
        assert_eq!(kinds, [true, false]);
    }
}
