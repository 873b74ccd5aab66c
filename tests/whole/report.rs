//! The report as a browser sees it: made fast, opened fast, readable on a phone and in the dark, and nothing in it runs
//! or loads that is not its own.
//!
//! The browser is Chromium, headless, where there is one; where not, that is said, and what needs it is left out.

// How long people wait is what is measured here, and what is left out is said.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use conntruth::report::{Run, write};
use conntruth::suite::{File, Origin, Suite};
use conntruth::target::Reference;
use conntruth_engine::{Bounds, Knob, LINUX_6_18, Profile, Switches};
use conntruth_tests::embedded;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("conntruth-browser-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

/// Chromium, if there is any.
fn chromium() -> Option<&'static str> {
    let is_there = |name: &&str| {
        let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there);
    if found.is_none() {
        eprintln!("skipped: no Chromium here (Debian: apt-get install chromium)");
        assert!(
            !std::env::var("CONNTRUTH_REQUIRE")
                .is_ok_and(|names| names.split(',').any(|name| name == "chromium")),
            "CONNTRUTH_REQUIRE wants one"
        );
    }
    found
}

/// What a browser makes of a page: its DOM after loading, or a picture.
fn browse(browser: &str, page: &Path, arguments: &[&str]) -> String {
    let profile = folder(&format!("profile-{}", page.file_stem().unwrap_or_default().to_string_lossy()));
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--hide-scrollbars", "--allow-file-access-from-files"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output();
    let _ = std::fs::remove_dir_all(&profile);
    let output = output.unwrap_or_else(|error| panic!("{browser}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A page beside the report that opens another one in a frame of a phone's width, and writes down how that went.
fn probe(folder: &Path, page: &str, width: u32) -> PathBuf {
    let text = format!(
        "<!doctype html><meta charset=utf-8><iframe id=f width={width} height=800></iframe><p id=out>nothing</p><script>
        var began = performance.now(), frame = document.getElementById('f');
        frame.onload = function () {{
            var doc = frame.contentDocument, root = doc.documentElement;
            var bad = [].filter.call(doc.querySelectorAll('body *'), function (e) {{
                var box = e.getBoundingClientRect();
                return box.right > {width} + 1 && !e.closest('.scroll, pre, table') && getComputedStyle(e).position !== 'absolute';
            }});
            document.getElementById('out').textContent = JSON.stringify({{
                ms: Math.round(performance.now() - began), wide: root.scrollWidth, bad: bad.length,
                font: parseFloat(getComputedStyle(doc.body).fontSize),
                styled: getComputedStyle(doc.querySelector('h1')).letterSpacing !== 'normal',
                rows: doc.querySelectorAll('a.one').length, scripts: doc.scripts.length
            }});
        }};
        frame.src = '{page}';</script>"
    );
    let path = folder.join(format!("probe-{width}-{}.html", page.replace('/', "-")));
    std::fs::write(&path, text).unwrap();
    path
}

fn number(dom: &str, key: &str) -> f64 {
    let found = dom.split(&format!("\"{key}\":")).nth(1);
    let digits: String =
        found.unwrap_or_default().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    digits.parse().unwrap_or_else(|_| panic!("no `{key}` in {}", dom.chars().take(2000).collect::<String>()))
}

/// How long this thread has had a processor; none where the system does not say.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Eight implementations of which each has its own faults.
fn implementations() -> Vec<(String, &'static Profile)> {
    let mut all = vec![("reference".to_owned(), &LINUX_6_18)];
    for index in 1..8_usize {
        let mut profile = Profile { ..LINUX_6_18 };
        *(Switches::ALL[index * 5].2)(&mut profile.switches) ^= true;
        *(Bounds::ALL[index].2)(&mut profile.bounds) += 1;
        if index % 2 == 0 {
            profile.defaults = &[(Knob::TcpSynSent, 60), (Knob::Udp, 10)];
        }
        all.push((format!("other-{index}"), Box::leak(Box::new(profile))));
    }
    all
}

/// The suite until there are a thousand scenarios.
fn thousand() -> Vec<File> {
    let suite = embedded();
    (0..1000)
        .map(|index| {
            let file = &suite[index % suite.len()];
            let id = format!(
                "{}{}",
                file.id,
                if index < suite.len() { String::new() } else { format!("-{index}") }
            );
            File { id, origin: Origin::Embedded, script: Arc::clone(&file.script) }
        })
        .collect()
}

#[test]
fn a_thousand_scenarios_of_eight_implementations_are_written_and_opened_fast() {
    let folder = folder("large");
    let plans = Suite::plans(&thousand(), LINUX_6_18.hz).unwrap();
    let mut took = (Duration::ZERO, None);
    for (name, profile) in implementations() {
        let mut suite = Suite::run(plans.clone(), &mut Reference::new(profile), |_| {});
        suite.identity.name = name;
        let run = Run::of(&suite, "conntruth run");
        let (began, worked) = (Instant::now(), processor_time());
        let written = write(&folder, &run).unwrap();
        took = (began.elapsed(), processor_time().zip(worked).map(|(now, then)| now - then));
        assert_eq!(written.pages, 1001);
    }
    eprintln!("1,000 scenarios, 8 implementations: written in {:?}, {:?} of the processor", took.0, took.1);
    // Others may use the machine as well: what it takes of the processor is its own. Without optimisation that is ten times
    // as much as it is for people.
    let most = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 2 });
    assert!(took.1.unwrap_or_default() < most, "{took:?}");
    if let Some(browser) = chromium() {
        let probe = probe(&folder, "index.html", 1200);
        let dom = browse(browser, &probe, &["--virtual-time-budget=20000", "--dump-dom"]);
        eprintln!("opened in {} ms", number(&dom, "ms"));
        assert_eq!(number(&dom, "rows"), 1000.0);
        // It is a browser's clock that says so, on a machine that others use: a second is for people, this for a page that
        // hangs.
        assert!(number(&dom, "ms") < 60_000.0, "{dom}");
    }
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn it_fits_a_phone_and_is_dark_where_that_is_wished() {
    let Some(browser) = chromium() else { return };
    let folder = folder("phone");
    let mut files = embedded();
    files.retain(|file| file.id.starts_with("tcp/opening") || file.id.starts_with("udp"));
    let plans = Suite::plans(&files, LINUX_6_18.hz).unwrap();
    for (name, profile) in implementations().into_iter().take(4) {
        let mut suite = Suite::run(plans.clone(), &mut Reference::new(profile), |_| {});
        suite.identity.name = name;
        write(&folder, &Run::of(&suite, "conntruth run")).unwrap();
    }
    for page in ["index.html", "scenarios/tcp.opening.handshake.html", "scenarios/tcp.opening.syn.html"] {
        for width in [360, 1200] {
            let dom =
                browse(browser, &probe(&folder, page, width), &["--virtual-time-budget=8000", "--dump-dom"]);
            assert!(dom.contains("\"styled\":true"), "{page}: the style is not applied: {dom}");
            assert_eq!(number(&dom, "bad"), 0.0, "{page} at {width}: {dom}");
            assert!(
                number(&dom, "wide") <= f64::from(width) && number(&dom, "font") >= 15.0,
                "{page}: {dom}"
            );
            assert_eq!(number(&dom, "scripts"), f64::from(u8::from(page == "index.html")));
        }
    }
    let picture = |name: &str, argument: &str| {
        let path = folder.join(name);
        let shot = format!("--screenshot={}", path.display());
        browse(browser, &folder.join("index.html"), &[&shot, "--window-size=400,800", argument]);
        std::fs::read(&path).unwrap_or_default()
    };
    let light = picture("light.png", "--disable-dark-mode");
    let dark = picture("dark.png", "--blink-settings=preferredColorScheme=0");
    assert!(light.len() > 5000 && dark.len() > 5000, "{} {}", light.len(), dark.len());
    assert_ne!(light, dark, "dark and light are the same picture");
    let _ = std::fs::remove_dir_all(&folder);
}
