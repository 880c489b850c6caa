//! One value for one file of a cgroup, as data: what [`super::resources`] plans and [`super::write`] carries out.

use crate::runtime::spec::resources::Resources;

/// Which interface of the kernel a controller is reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// By its version 1 name.
    pub(super) controller: &'static str,
    pub(super) file: String,
    pub(super) value: String,
    /// Where in config.json it comes from.
    pub(super) origin: String,
    pub(super) missing: Missing,
    /// Two limits that must fit each other (limit and memory+swap; quota and period): if the kernel refuses this one
    /// (EINVAL), the rest of its controller goes first.
    pub(super) may_wait: bool,
    /// The kernel clamps silently: what it has then must be what was asked for.
    pub(super) read_back: bool,
    /// For `update` that must undo: what to write for "not set", where the old content has no line for this value's key
    /// (its first word).
    pub(super) unset: Option<&'static str>,
}

/// When the file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    Error,
    Ignore,
    Instead(Box<Setting>),
}

impl Setting {
    pub(super) fn new(
        controller: &'static str,
        file: impl Into<String>,
        value: impl ToString,
        origin: impl Into<String>,
    ) -> Self {
        Setting {
            controller,
            file: file.into(),
            value: value.to_string(),
            origin: origin.into(),
            missing: Missing::Error,
            may_wait: false,
            read_back: false,
            unset: None,
        }
    }

    /// Whether `asked` has the member of `linux.resources` that this controller's settings come from.
    pub(super) fn is_asked_for(&self, asked: &Resources) -> bool {
        match self.controller {
            "memory" => asked.memory.is_some(),
            "cpu" | "cpuset" => asked.cpu.is_some(),
            "pids" => asked.pids.is_some(),
            "blkio" => asked.block_io.is_some(),
            "hugetlb" => asked.hugepage_limits.is_some(),
            "rdma" => asked.rdma.is_some(),
            "net_cls" | "net_prio" => asked.network.is_some(),
            _ => asked.unified.is_some(),
        }
    }

    /// This one, and those that take its place where its file is missing.
    pub(super) fn with_instead(&self) -> impl Iterator<Item = &Setting> {
        std::iter::successors(Some(self), |setting| match &setting.missing {
            Missing::Instead(instead) => Some(instead.as_ref()),
            _ => None,
        })
    }

    pub(super) fn or_ignore(mut self) -> Self {
        self.missing = Missing::Ignore;
        self
    }

    pub(super) fn or_instead(mut self, instead: Setting) -> Self {
        self.missing = Missing::Instead(Box::new(instead));
        self
    }

    pub(super) fn may_wait(mut self) -> Self {
        self.may_wait = true;
        self
    }

    pub(super) fn read_back(mut self) -> Self {
        self.read_back = true;
        self
    }

    pub(super) fn unset(mut self, value: &'static str) -> Self {
        self.unset = Some(value);
        self
    }
}
