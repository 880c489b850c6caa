//! Git repositories as sources of ADD and as contexts: `https://host/repo.git#branch:directory`, or with `?ref=...`.

use crate::bail;
use crate::error::Result;
use serde::Serialize;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Git {
    /// What `git clone` takes.
    pub remote: String,
    /// A branch, a tag or a commit; the remote's HEAD where it is missing.
    pub reference: Option<String>,
    /// Only this directory of the repository.
    pub directory: Option<String>,
    /// The commit's id must begin with this.
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub submodules: Option<bool>,
}

impl Git {
    /// `None` where the text does not look like a repository.
    pub fn parse(text: &str) -> Result<Option<Git>> {
        let (before, fragment) = match text.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (text, None),
        };
        let (remote, query) = match before.split_once('?') {
            Some((remote, query)) => (remote, Some(query)),
            None => (before, None),
        };
        let web = remote.starts_with("http://") || remote.starts_with("https://");
        let only_git = ["git://", "ssh://"].iter().any(|scheme| remote.starts_with(scheme)) || is_scp(remote);
        if !(only_git || web && remote.trim_end_matches('/').ends_with(".git")) {
            return Ok(None);
        }
        let mut git = Git { remote: remote.to_owned(), ..Git::default() };
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        if let Some(fragment) = fragment {
            let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
            (git.reference, git.directory) = (given(reference), given(directory));
        }
        for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "ref" | "branch" | "tag" if git.reference.is_none() => git.reference = given(value),
                "subdir" if git.directory.is_none() => git.directory = given(value),
                "checksum" | "commit" => git.checksum = given(value),
                "keep-git-dir" => git.keep_git_dir = Some(switch(pair, value)?),
                "submodules" => git.submodules = Some(switch(pair, value)?),
                "ref" | "branch" | "tag" | "subdir" => bail!("{text}: {key} is given twice"),
                _ => bail!("{text}: unknown query key {key:?}; want ref, subdir, checksum, keep-git-dir or submodules"),
            }
        }
        let suspicious = |text: &Option<String>| text.as_ref().is_some_and(|text| text.starts_with('-'));
        if remote.starts_with('-') || suspicious(&git.reference) {
            bail!("{text}: begins with '-', which git would take for an option");
        }
        Ok(Some(git))
    }
}

fn switch(pair: &str, value: &str) -> Result<bool> {
    match value {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => bail!("{pair}: neither true nor false"),
    }
}

/// `git@host:path`
fn is_scp(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else {
        return false;
    };
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    word(user) && rest.split_once(':').is_some_and(|(host, path)| word(host) && !path.is_empty())
}

/// A file to be fetched.
pub fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_and_what_is_none() {
        let git = |text: &str| Git::parse(text).unwrap();
        let one = git("https://host/me/repo.git#v1:docs").unwrap();
        assert_eq!((one.remote.as_str(), one.reference.as_deref()), ("https://host/me/repo.git", Some("v1")));
        assert_eq!(one.directory.as_deref(), Some("docs"));
        let two = git("git@host:me/repo.git?ref=main&subdir=a/b&keep-git-dir=1").unwrap();
        assert_eq!((two.reference.as_deref(), two.keep_git_dir), (Some("main"), Some(true)));
        assert_eq!(git("ssh://git@host/repo").unwrap().remote, "ssh://git@host/repo");
        assert_eq!(git("git://host/repo#:sub").unwrap().directory.as_deref(), Some("sub"));
        for text in ["https://host/file.tar.gz", "file.git", "a@b", "dir/x@y:z/..", "http://host/repo"] {
            assert_eq!(git(text), None, "{text}");
        }
    }

    #[test]
    fn options_for_git_in_disguise_are_refused() {
        for text in ["git://host/r#--upload-pack=x", "https://host/r.git?ref=-x", "https://host/r.git?x=y"] {
            assert!(Git::parse(text).is_err(), "{text}");
        }
    }
}
