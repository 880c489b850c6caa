//! Points 35 and 36: ADD of what is elsewhere, and contexts from there.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A web server: each path has headers and a body. What it was asked, it remembers.
pub struct Server {
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

type Page = (&'static str, &'static str, Vec<u8>);

impl Server {
    pub fn new(pages: Vec<Page>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        // It ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &pages, &log);
            }
        });
        Server { address, asked }
    }

    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, pages: &[Page], log: &Mutex<Vec<String>>) {
    let mut request = String::new();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    while lines.read_line(&mut request).unwrap() > 2 {}
    log.lock().unwrap().push(request.clone());
    let path = request.split(' ').nth(1).unwrap();
    let Some((_, headers, body)) = pages.iter().find(|(page, ..)| *page == path) else {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        return;
    };
    if headers.starts_with("Location") {
        let head = format!("HTTP/1.1 302 Found\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        return;
    }
    let etag = headers.split("ETag: ").nth(1).and_then(|rest| rest.split('\r').next());
    if etag.is_some_and(|etag| request.to_lowercase().contains(&format!("if-none-match: {etag}"))) {
        stream.write_all(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        return;
    }
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // Whoever asked may have seen enough.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

#[test]
fn p35_add_of_a_url() {
    let modified = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let archive = gzip(&tar(&[("inside", b"I")]));
    let server = Server::new(vec![
        ("/d/file.txt?x=/y", modified, b"F".to_vec()),
        ("/a.tar.gz", "", archive),
        ("/", "", b"R".to_vec()),
    ]);
    let base = format!("http://{}", server.address);
    let text = format!(
        "FROM scratch\nADD {base}/d/file.txt?x=/y /into/\nADD --chown=7:8 --chmod=755 {base}/d/file.txt?x=/y /as\nADD {base}/a.tar.gz /kept/\n\
         ADD --unpack=true {base}/a.tar.gz /unpacked/\nADD {base}/ /root-of-it\n"
    );
    let Some(cake) = bake(&text, "") else { return };
    cake.has(&[
        ("/into/file.txt", "file 600 0:0 F"),
        ("/as", "file 755 7:8 F"),
        ("/unpacked/inside", "file 644 0:0 I"),
        ("/root-of-it", "file 600 0:0 R"),
    ]);
    assert!(cake.at("/kept/a.tar.gz").starts_with("file 600"));
    assert_eq!((cake.time("/into/file.txt"), cake.time("/root-of-it")), (784_111_777, 0));
    refused(
        "",
        &[
            (&format!("FROM scratch\nADD {base}/nothing /x\n"), &["Dockerfile:2", "404"]),
            (&format!("FROM scratch\nADD {base}/ /x/\n"), &["Dockerfile:2", "no file name"]),
            ("FROM scratch\nADD http://127.0.0.1:1/x /x\n", &["Dockerfile:2", "127.0.0.1:1"]),
            (&format!("FROM scratch\nCOPY {base}/ /x\n"), &["Dockerfile:2", "ADD"]),
        ],
    );
}

#[test]
fn p35_the_cache_asks_what_a_url_holds() {
    let server = Server::new(vec![("/tagged", "ETag: \"1\"\r\n", b"T".to_vec()), ("/plain", "", b"P".to_vec())]);
    let base = format!("http://{}", server.address);
    let Some(cake) = bake(&format!("FROM scratch\nADD {base}/tagged /t\nADD {base}/plain /p\n"), "") else { return };
    assert_eq!(server.asked().len(), 2, "each is asked for once");
    let cake = cake.again(&[]);
    assert_eq!(cake.said.matches("CACHED").count(), 2, "{}", cake.said);
    assert!(server.asked().iter().any(|request| request.to_lowercase().contains("if-none-match: \"1\"")));
    // With a checksum nobody has to be asked.
    let sum = sha256(b"P");
    let text = format!("FROM scratch\nADD --checksum={sum} {base}/plain /p\n");
    fs::write(cake.kitchen.path("c/Dockerfile"), &text).unwrap();
    let cake = cake.again(&[]).again(&[]);
    assert_eq!(server.asked().len(), 1);
    cake.has(&[("/p", "file 600 0:0 P")]);
    refused("", &[(&text.replace(&sum, &sha256(b"other")), &["Dockerfile:2", &sum, "demanded"])]);
}

#[test]
fn p35_a_secret_for_one_host_is_for_no_other() {
    let other = Server::new(vec![("/there", "", b"T".to_vec())]);
    let redirect: &'static str =
        format!("Location: http://localhost:{}/there\r\n", other.address.rsplit(':').next().unwrap()).leak();
    let server = Server::new(vec![("/moved", redirect, Vec::new()), ("/here", "", b"H".to_vec())]);
    let base = format!("http://{}", server.address);
    let Some(kitchen) =
        kitchen(&format!("FROM scratch\nADD {base}/moved /m\nADD {base}/here /h\n"), "echo s3cret > ../token")
    else {
        return;
    };
    let secret = format!("id=HTTP_AUTH_TOKEN_{},src=token", server.address);
    let cake = Cake::of(kitchen, &["--secret", &secret]);
    cake.has(&[("/m", "file 600 0:0 T"), ("/h", "file 600 0:0 H")]);
    assert!(server.asked().iter().all(|request| request.to_lowercase().contains("authorization: bearer s3cret")));
    assert!(other.asked().iter().all(|request| !request.contains("s3cret")));
    assert!(!cake.history().concat().contains("s3cret") && !cake.said.contains("s3cret"));
}

/// `git daemon` on a repository with two commits, a tag, a branch and a submodule.
struct Daemon {
    child: Child,
    url: String,
    commits: Vec<String>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has a child that serves.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["--", &group]).status();
        let _ = self.child.wait();
    }
}

impl Daemon {
    fn serve(directory: &Path) -> Option<Daemon> {
        if !has("git") {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("git://127.0.0.1:{port}");
        let script = format!(
            "export GIT_CONFIG_NOSYSTEM=1 HOME=$PWD GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=me \
             GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=me@home GIT_CONFIG_KEY_2=protocol.file.allow GIT_CONFIG_VALUE_2=always \
             GIT_COMMITTER_DATE='@1000000000 +0000'; \
             git init -q -b main sub.git; (cd sub.git; echo S > s; git add .; git commit -qm sub); \
             git init -q -b main repo.git; cd repo.git; mkdir -p d/e; echo 1 > d/f; chmod 700 d/f; ln -s /etc/passwd link; ln -s .. up; \
             echo 'FROM scratch' > Dockerfile; echo 'COPY . /all/' >> Dockerfile; \
             git add .; git commit -qm one; git tag -a -m tagged v1; git rev-parse HEAD; \
             git submodule --quiet add ../sub.git module; git config -f .gitmodules submodule.module.url {url}/sub.git; \
             echo 2 > d/f; git add .; git commit -qm two; git rev-parse HEAD; git branch side HEAD~1"
        );
        fs::create_dir(directory).unwrap();
        let made = Output::of(Command::new("sh").args(["-ec", &script]).current_dir(directory), None).ok();
        let commits = made.stdout.lines().map(str::to_owned).collect();
        let mut command = Command::new("git");
        command.args(["daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1"]).arg(format!("--port={port}"));
        command.arg(format!("--base-path={}", directory.display())).arg(directory).env("HOME", directory);
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Some(Daemon { child, url, commits })
    }
}

#[test]
fn p36_add_of_a_repository() {
    let Some(kitchen) = kitchen("", "") else { return };
    let Some(daemon) = Daemon::serve(&kitchen.path("served")) else { return };
    let url = format!("{}/repo.git", daemon.url);
    let text = format!(
        "FROM scratch\nADD {url} /head\nADD {url}#v1 /tag/\nADD {url}#side:d /branch\nADD {url}?ref={}&subdir=d/f /file\n\
         ADD --keep-git-dir {url}#{} /kept\nADD --checksum={} {url}#v1 /checked\nADD --chown=7:8 {url}?submodules=0 /own\n",
        daemon.commits[0],
        daemon.commits[1],
        &daemon.commits[0][..8],
    );
    fs::write(kitchen.path("c/Dockerfile"), &text).unwrap();
    let cake = Cake::of(kitchen, &[]);
    cake.has(&[
        ("/head/d/f", "file 755 0:0 2"),
        ("/head/d", "dir 755 0:0"),
        ("/head/module/s", "file 644 0:0 S"),
        ("/head/link", "link /etc/passwd"),
        ("/head/.git", "nothing"),
        ("/head/module/.git", "nothing"),
        ("/tag/d/f", "file 755 0:0 1"),
        ("/branch/f", "file 755 0:0 1"),
        ("/branch/d", "nothing"),
        ("/file", "file 755 0:0 1"),
        ("/checked/d/f", "file 755 0:0 1"),
        ("/own/d/f", "file 755 7:8 2"),
        ("/own/module/s", "nothing"),
    ]);
    assert!(cake.at("/kept/.git/HEAD").starts_with("file"));
    assert_eq!(cake.time("/head/d/f"), 1_000_000_000, "the commit's");
    let cake = cake.again(&[]);
    assert_eq!(cake.said.matches("CACHED").count(), 7, "{}", cake.said);
    for (add, words) in [
        (format!("ADD {url}#nosuch /x"), &["nosuch"][..]),
        (format!("ADD {url}#--upload-pack=touch /x"), &["'-'"]),
        (format!("ADD {url}?ref=-x /x"), &["'-'"]),
        (format!("ADD {url}#main:../../../etc /x"), &["etc"]),
        (format!("ADD {url}#main:link /x"), &["link"]),
        (format!("ADD --checksum=1234 {url}#v1 /x"), &["demanded"]),
        (format!("ADD --checksum=1234 {url}?checksum=5678 /x"), &["differ"]),
        (format!("ADD {}/none.git /x", daemon.url), &["none.git"]),
    ] {
        fs::write(cake.kitchen.path("c/Dockerfile"), format!("FROM scratch\n{add}\n")).unwrap();
        let output = cake.kitchen.forno(["build", "c"]);
        let last = output.stderr.lines().last().unwrap_or_default();
        assert!(output.code == 1 && last.contains("Dockerfile:2"), "{add}: {output:#?}");
        assert!(words.iter().all(|word| last.contains(word)), "{add}: {last}");
    }
}

#[test]
fn contexts_from_elsewhere() {
    let Some(kitchen) = kitchen("", "") else { return };
    let Some(daemon) = Daemon::serve(&kitchen.path("served")) else { return };
    let cake = |context: &str, more: &[&str]| kitchen.forno([&["build", "-t", "cake"], more, &[context]].concat());
    cake(&format!("{}/repo.git#v1", daemon.url), &[]).ok();
    let inside = tar(&[("Dockerfile", b"FROM scratch\nCOPY a /a\n"), ("a", b"A")]);
    let server = Server::new(vec![
        ("/context.tar.gz", "", gzip(&inside)),
        ("/Dockerfile", "", b"FROM bb\nCOPY <<E /x\ny\nE\n".to_vec()),
    ]);
    cake(&format!("http://{}/context.tar.gz", server.address), &[]).ok();
    cake(&format!("http://{}/Dockerfile", server.address), &[]).ok();
    kitchen.forno_stdin(["build", "-"], &gzip(&inside)).ok();
    kitchen.forno_stdin(["build", "-"], b"FROM bb\nCOPY <<E /x\ny\nE\n").ok();
    kitchen.forno_stdin(["build", "-f", "-", "c"], b"FROM bb\nCOPY Dockerfile /x\n").ok();
    // The context's symbolic links are its own.
    cake(&format!("{}/repo.git#v1:link", daemon.url), &[]).fails(&["link"]);
    cake(&format!("{}/repo.git#v1:../../..", daemon.url), &[]).ok();
    cake(&format!("{}/repo.git#v1:nosuch", daemon.url), &[]).fails(&["nosuch"]);
    cake(&format!("http://{}/nothing", server.address), &[]).fails(&["404"]);
    cake("nosuchdirectory", &[]).fails(&["nosuchdirectory"]);
}
