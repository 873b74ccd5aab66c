use std::collections::BTreeMap;
use std::panic;
use std::sync::Mutex;
static LAST: Mutex<String> = Mutex::new(String::new());
fn main() {
    let cases: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let which = std::env::args().nth(2).unwrap();
    panic::set_hook(Box::new(|info| {
        let bt = std::backtrace::Backtrace::force_capture().to_string();
        let mut frames = Vec::new();
        let lines: Vec<&str> = bt.lines().collect();
        for w in lines.windows(2) { if w[0].contains("conntruth") && w[1].contains("at ") { frames.push(format!("{} {}", w[0].trim(), w[1].trim())); } }
        *LAST.lock().unwrap() = format!("{}\n      {}", info, frames.iter().take(6).cloned().collect::<Vec<_>>().join("\n      "));
    }));
    let seeded = conntruth_tests::seeded::Seeded { folder: None, cases, most: 1200 };
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    let mut n = BTreeMap::new();
    let seed = std::env::args().nth(3).map_or(1, |s| s.parse().unwrap());
    for number in 0..cases {
        let bytes = seeded.follows(seed, number);
        let check = if which == "e" { conntruth_tests::properties::strange::engines } else { conntruth_tests::properties::strange::references };
        if panic::catch_unwind(|| check(&bytes)).is_err() {
            let w = LAST.lock().unwrap().clone();
            *found.entry(w.clone()).or_default() += 1;
            n.insert(w, number);
        }
    }
    for (w, c) in found { println!("{c}x (e.g. {}) {w}\n", n[&w]); }
}
