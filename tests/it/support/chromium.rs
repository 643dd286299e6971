//! Chromium, controlled through the DevTools protocol.
//!
//! It communicates over inherited pipes (`--remote-debugging-pipe`), so it ends when this process does.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Chromium starts within a second or two; this allows for a very busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Its pipes are file descriptors 3 and 4, which only a shell can set up without unsafe code.
const START: &str = r#"exec "${CHROMIUM:-chromium}" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// Only one browser at a time: it uses more than one core, and other tests measure time.
static TURN: Mutex<()> = Mutex::new(());

/// A browser with one page.
pub struct Page {
    browser: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    sent: u64,
    session: Option<String>,
    events: Vec<Value>,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Page {
    /// Opens a file in a window of 1280 × 900 pixels.
    pub fn open(path: &Path) -> Self {
        let mut page = Self::blank();
        page.load(path);
        page
    }

    /// Opens an empty page.
    pub fn blank() -> Self {
        // A test that panicked while it held the lock does not affect the next one.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().expect("a folder");
        let mut browser = Command::new("sh")
            .args(["-c", START, "sh", "--headless=new", "--remote-debugging-pipe", "--window-size=1280,900"])
            .args(["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let commands = browser.stdin.take().expect("it is piped");
        let output = BufReader::new(browser.stdout.take().expect("it is piped"));
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("Chromium speaks JSON");
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut page = Self {
            browser,
            commands,
            answers,
            sent: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
            _turn: turn,
        };
        let target = page.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = page.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        // Otherwise a click could happen while the page is still moving.
        let still = json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]});
        page.call("Emulation.setEmulatedMedia", still);
        page
    }

    /// Loads a file and waits until it is loaded.
    pub fn load(&mut self, path: &Path) {
        self.events.clear();
        self.call("Page.navigate", json!({"url": format!("file://{}", path.display())}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next();
            self.events.push(event);
        }
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        write!(self.commands, "{command}\0").and_then(|()| self.commands.flush()).expect("Chromium listens");
        loop {
            let mut message = self.next();
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn next(&self) -> Value {
        let message = self.answers.recv_timeout(TIMEOUT);
        message.expect("Chromium answers; tests/run installs it where it is missing")
    }

    /// The value of a JavaScript expression.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The visible text of the first element that matches.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({selector:?}).innerText"));
        text.as_str().unwrap_or_else(|| panic!("{selector} has no text")).to_owned()
    }

    /// The texts of all elements that match.
    pub fn texts(&mut self, selector: &str) -> Vec<String> {
        let texts =
            self.eval(&format!("[...document.querySelectorAll({selector:?})].map((one) => one.innerText)"));
        serde_json::from_value(texts).expect("texts")
    }

    /// Clicks in the middle of the first element that matches.
    pub fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const element = document.querySelector({selector:?}); \
             element.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
             const box = element.getBoundingClientRect(); \
             const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]; \
             const hit = document.elementFromPoint(x, y); \
             return {{x, y, isHit: element.contains(hit)}}; }})()"
        ));
        assert!(place["isHit"] == true, "{selector} is covered");
        for kind in ["mousePressed", "mouseReleased"] {
            let params =
                json!({"type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    /// Presses a key that does not type text, such as `ArrowDown`. `code` is its Windows virtual-key code.
    pub fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let params =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Types text at the focus.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Selects an option of a `select` element by value.
    pub fn choose(&mut self, selector: &str, value: &str) {
        self.eval(&format!(
            "(() => {{ const select = document.querySelector({selector:?}); select.value = {value:?}; \
             for (const kind of ['input', 'change']) select.dispatchEvent(new Event(kind, {{bubbles: true}})); }})()"
        ));
    }

    /// Waits until pending changes are rendered.
    pub fn settle(&mut self) {
        self.eval("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))");
    }

    /// Errors and console messages since the page was loaded, and every request except the one for the page itself.
    pub fn complaints(&mut self) -> Vec<String> {
        self.settle();
        let is_fault = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") => true,
            Some("Network.requestWillBeSent") => event["params"]["type"] != "Document",
            Some("Page.javascriptDialogOpening") => true,
            _ => false,
        };
        self.events.iter().filter(is_fault).map(ToString::to_string).collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // The browser must be gone before its profile is removed.
        drop(self.browser.kill());
        drop(self.browser.wait());
    }
}
