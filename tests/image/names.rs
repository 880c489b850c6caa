use crate::image::kit::*;
use std::fs;

fn image(kitchen: &Kitchen, name: &str, content: &str) -> String {
    kitchen.forno_stdin(["import", "-", name], &tar(&[(content, b"data")])).ok().stdout.trim().to_owned()
}

#[test]
fn images_lists_names_with_their_ids() {
    let kitchen = Kitchen::new();
    kitchen.forno(["images"]).ok().stdout_is("REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
    let id = image(&kitchen, "docker.io/library/a:1", "f");
    kitchen.forno(["tag", "a:1", "host.example:5000/b/c"]).ok().stdout_is("");
    let list = kitchen.forno(["images"]).ok();
    let rows: Vec<Vec<&str>> = list.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..3], ["host.example:5000/b/c", "latest", &id[7..19]], "{list:#?}");
    assert_eq!(rows[2][..3], ["a", "1", &id[7..19]]);
    kitchen.forno(["images", "a"]).ok().stdout_has("a ").stdout_lacks("host.example");
    kitchen.forno(["images", "a:2"]).ok().stdout_lacks("a ");
    kitchen.forno(["images", "-q"]).ok().stdout_is(&format!("{}\n", &id[7..19]));
    kitchen.forno(["images", "--no-trunc", "-q"]).ok().stdout_is(&format!("{id}\n"));
    kitchen.forno(["images", "--digests"]).ok().stdout_has("DIGEST").stdout_has("sha256:");
    kitchen.forno(["images", "--format", "{{.Repository}}:{{.Tag}}", "a"]).ok().stdout_is("a:1\n");
    kitchen.forno(["images", "--format", "json", "a"]).ok().stdout_has("{\"Repository\":\"a\",\"Tag\":\"1\",");
    kitchen.forno(["images", "--format", "{{.Repo}}"]).fails(&["there is no field .Repo", "Repository"]);
}

#[test]
fn an_image_goes_with_its_last_name_and_its_bytes_with_it() {
    let kitchen = Kitchen::new();
    kitchen.forno(["images"]).ok();
    let before = kitchen.files();
    let id = image(&kitchen, "one", "f");
    kitchen.forno(["tag", "one", "b:2"]).ok();
    kitchen.forno(["rmi", "one"]).ok().stdout_is("Untagged: one:latest\n");
    kitchen.forno(["inspect", "one"]).fails(&["No such object: one"]).stdout_is("[]\n");
    kitchen.forno(["inspect", "-f", "{{.RepoTags}}", "b:2"]).ok().stdout_is("[b:2]\n");
    kitchen.forno(["rmi", "b:2"]).ok().stdout_is(&format!("Untagged: b:2\nDeleted: {id}\n"));
    let mut after = kitchen.files();
    after.retain(|file| file != "index.json");
    assert_eq!(after, before);
}

#[test]
fn by_id_an_image_with_several_names_needs_force() {
    let kitchen = Kitchen::new();
    let id = image(&kitchen, "a", "f");
    kitchen.forno(["tag", "a", "b"]).ok();
    kitchen.forno(["rmi", &id[7..15]]).code_is(1).fails(&["several names", "a:latest", "b:latest", "--force"]);
    kitchen
        .forno(["rmi", "-f", &id[7..15]])
        .ok()
        .stdout_has("Untagged: a:latest")
        .stdout_has(&format!("Deleted: {id}"));
    kitchen.forno(["rmi", "-f", "a"]).ok().stdout_is("");
}

#[test]
fn the_others_are_removed_though_one_is_not_there() {
    let kitchen = Kitchen::new();
    image(&kitchen, "a", "f");
    kitchen.forno(["rmi", "x", "a"]).code_is(1).fails(&["No such image: x"]).stdout_has("Deleted: ");
    kitchen.forno(["images", "-q"]).ok().stdout_is("");
}

#[test]
fn a_name_that_is_given_again_leaves_the_old_image_without_one() {
    let kitchen = Kitchen::new();
    let (old, new) = (image(&kitchen, "a", "f"), image(&kitchen, "a", "g"));
    let list = kitchen.forno(["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).ok();
    list.stdout_has(&format!("a:latest {new}\n")).stdout_has(&format!("<none>:<none> {old}\n"));
    kitchen.forno(["tag", &old[7..], "b"]).ok();
    kitchen.forno(["images"]).ok().stdout_lacks("<none>");
}

#[test]
fn a_short_id_must_be_of_one_image() {
    let kitchen = Kitchen::new();
    let ids: Vec<String> =
        (0..17).map(|number| image(&kitchen, &format!("i{number}"), &format!("f{number}"))).collect();
    let first = |id: &String| id[7..8].to_owned();
    // Of seventeen two begin with the same digit.
    let twice = ids.iter().find(|id| ids.iter().filter(|other| first(other) == first(id)).count() > 1).unwrap();
    kitchen.forno(["inspect", &first(twice)]).code_is(1).fails(&["beginning of several"]);
}

#[test]
fn an_image_that_cannot_be_read_does_not_hide_the_others() {
    let kitchen = Kitchen::new();
    image(&kitchen, "a", "f");
    let broken = image(&kitchen, "b", "g");
    fs::write(kitchen.store().join("blobs/sha256").join(&broken[7..]), "{}").unwrap();
    let list = kitchen.forno(["images"]).ok().stdout_has("a ");
    assert!(list.stderr.contains("forno: warning: image sha256:"), "{list:#?}");
    kitchen.forno(["rmi", "b"]).code_is(1).fails(&["something else"]);
}
