//! /proc/self/mountinfo as a container shows it (proc_pid_mountinfo(5)).

use super::Bundle;

#[derive(Debug)]
pub struct MountPoint {
    pub options: Vec<String>,
    /// `shared:1`, `master:2`, `unbindable`
    pub propagation: Vec<String>,
    pub filesystem: String,
    pub source: String,
    pub superblock: Vec<String>,
}

impl MountPoint {
    /// What is on top at `point` in the text of a mountinfo file.
    pub fn find(text: &str, point: &str) -> Option<MountPoint> {
        let line = text.lines().rev().find(|line| line.split(' ').nth(4) == Some(point))?;
        let (front, back) = line.split_once(" - ")?;
        let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let front: Vec<_> = front.split(' ').collect();
        let back: Vec<_> = back.split(' ').collect();
        Some(MountPoint {
            options: words(front[5]),
            propagation: front[6..].iter().map(|word| (*word).to_owned()).collect(),
            filesystem: back[0].to_owned(),
            source: back[1].to_owned(),
            superblock: words(back.get(2).copied().unwrap_or("")),
        })
    }

    #[track_caller]
    pub fn has(&self, options: &[&str]) -> &Self {
        for option in options {
            let found = self.options.iter().chain(&self.superblock).any(|o| o == option);
            assert!(found, "{option} is not among the options: {self:?}");
        }
        self
    }

    #[track_caller]
    pub fn lacks(&self, options: &[&str]) -> &Self {
        for option in options {
            assert!(!self.options.iter().any(|o| o == option), "{option} is among the options: {self:?}");
        }
        self
    }

    pub fn propagates(&self, word: &str) -> bool {
        self.propagation.iter().any(|field| field.starts_with(word))
    }
}

impl Bundle {
    /// Runs `cat /proc/self/mountinfo` in this bundle and gives what is mounted at `point`.
    #[track_caller]
    pub fn shows_mount(self, point: &str) -> MountPoint {
        let text = self.args(["cat", "/proc/self/mountinfo"]).run().text();
        MountPoint::find(&text, point).unwrap_or_else(|| panic!("nothing is mounted at {point}:\n{text}"))
    }
}
