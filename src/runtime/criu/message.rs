//! What is said to CRIU and what it says (images/rpc.proto of its sources): requests and responses, with the numbers that
//! the fields have there.

use super::protobuf::{Writer, read};
use crate::error::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
    Notify = 6,
    FeatureCheck = 9,
    Version = 10,
}

/// criu_req
pub fn request(kind: Kind, options: Option<&Options>) -> Vec<u8> {
    let mut message = Writer::default();
    message.number(1, kind as u64);
    if let Some(Options(options)) = options {
        message.message(2, options);
    }
    message.finish()
}

/// The answer to a notification: CRIU goes on, or gives up.
pub fn notified(success: bool) -> Vec<u8> {
    let mut message = Writer::default();
    message.number(1, Kind::Notify as u64).flag(3, success);
    message.finish()
}

/// criu_features: what of this is there?
pub fn feature_check() -> Vec<u8> {
    let mut features = Writer::default();
    features.flag(1, true).flag(2, true);
    let mut message = Writer::default();
    message.number(1, Kind::FeatureCheck as u64).message(5, &features);
    message.finish()
}

/// How CRIU treats cgroups, in its words and numbers.
pub const CGROUP_MODES: [(&str, u64); 5] = [("", 6), ("soft", 3), ("full", 4), ("strict", 5), ("ignore", 0)];

/// criu_opts
#[derive(Debug, Default)]
pub struct Options(Writer);

/// Switches of criu_opts, off where nobody sets them.
#[derive(Debug, Clone, Copy)]
pub enum Switch {
    LeaveRunning = 3,
    ExternalUnixSockets = 4,
    TcpEstablished = 5,
    EvasiveDevices = 6,
    ShellJob = 7,
    FileLocks = 8,
    NotifyScripts = 12,
    TrackMemory = 15,
    AutoDedup = 16,
    LinkRemap = 18,
    ManageCgroups = 24,
    RestoreSibling = 26,
    TcpSkipInFlight = 46,
    LazyPages = 48,
    OrphanPtsMaster = 50,
}

/// Paths, names and words of criu_opts.
#[derive(Debug, Clone, Copy)]
pub enum Text {
    LogFile = 10,
    Root = 13,
    ParentImage = 14,
    External = 37,
    FreezeCgroup = 44,
    ConfigFile = 51,
    LsmProfile = 53,
    LsmMountContext = 63,
}

#[derive(Debug, Clone, Copy)]
pub enum Number {
    ImagesDirectory = 1,
    Pid = 2,
    LogLevel = 9,
    WorkDirectory = 17,
    CgroupsMode = 34,
    EmptyNamespaces = 38,
}

impl Options {
    pub fn switch(&mut self, switch: Switch, on: bool) {
        self.0.flag(switch as u32, on);
    }

    pub fn text(&mut self, text: Text, value: &str) {
        self.0.text(text as u32, value);
    }

    pub fn number(&mut self, number: Number, value: u64) {
        self.0.number(number as u32, value);
    }

    /// At dump: a mount point of the container, and the name under which its source is asked for at restore. At restore:
    /// that name, and a path of the host.
    pub fn external_mount(&mut self, key: &str, value: &str) {
        let mut pair = Writer::default();
        pair.text(1, key).text(2, value);
        self.0.message(23, &pair);
    }

    /// Where restored processes go in the hierarchy of this controller.
    pub fn cgroup_root(&mut self, controller: &str, path: &str) {
        let mut root = Writer::default();
        root.text(1, controller).text(2, path);
        self.0.message(25, &root);
    }

    /// CRIU's descriptor `number` is what was `key` at dump.
    pub fn inherit(&mut self, key: &str, number: i32) {
        let mut inherited = Writer::default();
        inherited.text(1, key).int(2, number);
        self.0.message(27, &inherited);
    }

    pub fn join_namespace(&mut self, kind: &str, path: &str) {
        let mut joined = Writer::default();
        joined.text(1, kind).text(2, path);
        self.0.message(39, &joined);
    }

    pub fn page_server(&mut self, address: &str, port: u16) {
        let mut server = Writer::default();
        server.text(1, address).int(2, port.into());
        self.0.message(11, &server);
    }
}

/// criu_resp
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub kind: u64,
    pub success: bool,
    /// criu_notify
    pub script: String,
    pub pid: i32,
    pub errno: i32,
    pub memory_tracking: bool,
    pub lazy_pages: bool,
    /// As CRIU counts: 3.17.1 is 31701.
    pub version: u64,
}

pub fn response(bytes: &[u8]) -> Result<Response> {
    let mut response = Response::default();
    for (field, value) in read(bytes)? {
        match field {
            1 => response.kind = value.number(),
            2 => response.success = value.number() != 0,
            4 => response.pid = numbers(value.bytes())?[0] as i32,
            5 => {
                for (field, value) in read(value.bytes())? {
                    match field {
                        1 => response.script = String::from_utf8_lossy(value.bytes()).into_owned(),
                        2 => response.pid = value.number() as i32,
                        _ => {}
                    }
                }
            }
            7 => response.errno = value.number() as i32,
            8 => {
                let [memory_tracking, lazy_pages, ..] = numbers(value.bytes())?;
                (response.memory_tracking, response.lazy_pages) = (memory_tracking != 0, lazy_pages != 0);
            }
            10 => {
                let [major, minor, _, sublevel] = numbers(value.bytes())?;
                response.version = major * 10_000 + minor * 100 + sublevel;
            }
            _ => {}
        }
    }
    Ok(response)
}

/// The first fields of a message that are numbers.
fn numbers(bytes: &[u8]) -> Result<[u64; 4]> {
    let mut numbers = [0; 4];
    for (field, value) in read(bytes)? {
        if let Some(number) = usize::try_from(field).ok().and_then(|field| numbers.get_mut(field.wrapping_sub(1))) {
            *number = value.number().min(u64::from(u32::MAX));
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_and_a_version() {
        let mut notify = Writer::default();
        notify.text(1, "post-restore").int(2, 42);
        let mut message = Writer::default();
        message.number(1, 6).flag(2, true).message(5, &notify);
        let read = response(&message.finish()).unwrap();
        assert_eq!((read.kind, read.success, read.script.as_str(), read.pid), (6, true, "post-restore", 42));
        let mut version = Writer::default();
        version.int(1, 3).int(2, 17).text(3, "v3.17.1").int(4, 1);
        let mut message = Writer::default();
        message.number(1, 10).flag(2, true).message(10, &version);
        assert_eq!(response(&message.finish()).unwrap().version, 31_701);
    }
}
