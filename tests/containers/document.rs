//! The whole of a docker tutorial, word by word, with `docker` being a link to forno: a container's whole life, from a
//! Dockerfile to what its volume keeps.

use crate::{Said, forno, rootfs, skip};
use std::fs;
use std::process::Command;

const EXPECTED: &str = "meu-site:1.0
no image
<h1>versao 1</h1>
site localhost:5000/ana/meu-site:1.0 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp
same id
<h1>versao 2</h1>
site
not reached
site
<h1>versao 2</h1>
runs still
site
site
<h1>versao 1</h1>
site
<h1>dados 1</h1>
site
<h1>dados 2</h1>
log
<h1>dados 2</h1>
site
<h1>versao 1</h1>
more
pagina
site 1
site 2
site 3
site3 0.0.0.0:8083->80/tcp, [::]:8083->80/tcp
site2 0.0.0.0:8082->80/tcp, [::]:8082->80/tcp
site1 0.0.0.0:8081->80/tcp, [::]:8081->80/tcp
no link";

#[test]
fn a_tutorial_of_docker_works_with_forno_in_its_place() {
    if !Command::new("sh").args(["-c", "command -v docker-registry"]).output().unwrap().status.success() {
        return skip("docker-registry is not installed");
    }
    let directory = std::env::temp_dir().join(format!("forno-document-{}", std::process::id()));
    fs::create_dir(&directory).unwrap();
    for name in ["bin", "store", "registry"] {
        fs::create_dir(directory.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(fs::canonicalize(forno()).unwrap(), directory.join("bin/docker")).unwrap();
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 'localhost:5000', secret: x}}\n",
        directory.join("registry").display()
    );
    fs::write(directory.join("registry.yml"), config).unwrap();
    let script = format!(
        r#"mount --make-rprivate /
        ip link set lo up
        mkdir -p /var/lib/forno
        mount --bind "$TMP/store" /var/lib/forno
        PATH=$TMP/bin:$PATH
        docker-registry serve "$TMP/registry.yml" >"$TMP/registry.log" 2>&1 &
        registry=$!
        trap 'kill $registry; docker ps -aq | xargs -r docker rm -f >/dev/null' EXIT
        curl -s --retry 30 --retry-connrefused --retry-delay 1 http://localhost:5000/v2/ >/dev/null
        docker import "$ROOTFS" box >/dev/null
        {}"#,
        include_str!("document.sh")
    );
    let mut command = Command::new("unshare");
    command.args(["-nm", "sh", "-ec", &script]).env("TMP", &directory).env("ROOTFS", rootfs());
    let said: Said = command.output().unwrap().into();
    let left = fs::read_dir(directory.join("store/containers")).unwrap().count();
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    assert_eq!(said.out, EXPECTED);
    assert_eq!(left, 1, "only the directory of names");
}
