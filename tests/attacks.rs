//! What has gone wrong in programs that fetch and lay out images, by the names under which it became known, and the
//! tests that it does not go wrong here. A test that is renamed or removed is missed here.

use std::path::Path;

const REGISTRY: &str = "tests/registry/hostile.rs";
const BOMBS: &str = "tests/registry/bombs.rs";
const IMAGE: &str = "tests/image/hostile.rs";
const APPLY: &str = "src/image/layer/apply/tests.rs";

type Test = (&'static str, &'static str);

const ATTACKS: &[(&str, &[Test])] = &[
    (
        "paths and links out of the root (CVE-2014-9356, CVE-2021-32760, CVE-2025-47290, CVE-2025-11395)",
        &[
            (APPLY, "hostile_archives_change_nothing_outside"),
            (IMAGE, "no_archive_reaches_outside"),
            (REGISTRY, "no_layer_reaches_outside"),
            ("src/image/layer/confined.rs", "nothing_outside_of_the_directory_can_be_changed_or_read"),
        ],
    ),
    (
        "an entry that replaces the root (CVE-2021-29136)",
        &[(APPLY, "hostile_archives_change_nothing_outside"), (APPLY, "what_must_be_refused")],
    ),
    (
        "whiteouts of nothing, of dots, and through links",
        &[
            (APPLY, "hostile_archives_change_nothing_outside"),
            (APPLY, "what_must_be_refused"),
            (APPLY, "whiteouts_hide_lower_layers_and_nothing_else"),
        ],
    ),
    (
        "modes and attributes through links, sizes that two readers understand in two ways (CVE-2026-33055, \
         CVE-2026-33056, CVE-2025-62518)",
        &[(APPLY, "hostile_archives_change_nothing_outside"), (APPLY, "a_pax_size_counts_more_than_the_headers")],
    ),
    (
        "headers, sparse maps and documents that fill the memory (CVE-2023-25153, CVE-2025-58183)",
        &[
            (BOMBS, "what_grows_is_stopped_in_little_memory"),
            (BOMBS, "a_configuration_or_a_manifest_without_end_is_refused_before_it_is_read"),
            (APPLY, "what_must_be_refused"),
        ],
    ),
    (
        "compressed data, files and entries that fill the disk",
        &[
            (BOMBS, "what_grows_is_stopped_in_little_memory"),
            ("tests/image/import.rs", "what_cannot_be_imported_leaves_nothing"),
        ],
    ),
    (
        "devices, pipes, setuid programs, capabilities, an overlay's own attributes",
        &[
            (BOMBS, "pipes_and_devices_in_the_way_of_files_are_none"),
            (APPLY, "owners_modes_devices_and_attributes"),
            ("tests/rootless.rs", "an_image_keeps_its_owners_and_its_containers_their_users"),
        ],
    ),
    (
        "names twice, long, not UTF-8, with newlines; owners above 2^31",
        &[
            (APPLY, "the_last_entry_wins"),
            (APPLY, "names_of_any_length_and_any_bytes"),
            (APPLY, "what_must_be_refused"),
            ("src/image/user/tests.rs", "what_is_nobody_is_never_root"),
        ],
    ),
    (
        "documents that are a manifest and an index (CVE-2021-41190)",
        &[
            (REGISTRY, "documents_that_can_be_read_in_two_ways_are_refused"),
            (IMAGE, "a_document_of_two_kinds_or_with_impossible_digests_is_refused"),
        ],
    ),
    (
        "digests, sizes and diff ids that do not fit; digests that are paths, or weak",
        &[
            (REGISTRY, "bytes_that_are_not_what_the_digest_says_stay_out"),
            (REGISTRY, "a_configuration_that_does_not_fit_the_layers_is_refused"),
            (IMAGE, "bytes_that_are_not_what_their_digest_says_are_refused"),
            (IMAGE, "a_document_of_two_kinds_or_with_impossible_digests_is_refused"),
            ("src/image/store/tests.rs", "only_what_was_promised_becomes_visible"),
        ],
    ),
    (
        "copies out of a container by its links (CVE-2018-15664, CVE-2019-14271)",
        &[
            ("tests/containers/verbs.rs", "cp_never_leaves_the_container_by_a_link"),
            ("src/image/user/tests.rs", "hostile_files_neither_block_nor_lead_outside"),
        ],
    ),
    (
        "credentials for others: realms, redirects, uploads, places of layers, plain http (CVE-2020-15157, \
         CVE-2024-3727, CVE-2026-48978, CVE-2026-50151)",
        &[
            (REGISTRY, "a_redirect_to_another_host_sees_no_credentials"),
            (REGISTRY, "a_realm_on_another_host_gets_no_credentials"),
            (REGISTRY, "an_identity_token_stays_with_its_host_too"),
            (REGISTRY, "an_upload_elsewhere_sees_no_credentials"),
            (BOMBS, "places_that_a_layer_says_it_is_at_are_not_visited"),
            (BOMBS, "credentials_for_tls_are_not_sent_without"),
            ("src/image/registry/token.rs", "a_token_server_is_the_registrys_own_or_gets_no_credentials"),
        ],
    ),
    (
        "an image's labels that give orders (CVE-2026-53488)",
        &[("src/image/container_config/tests.rs", "the_document_is_one_that_others_read_too")],
    ),
    (
        "what a registry says on the terminal, and in rings",
        &[
            (REGISTRY, "what_a_registry_says_stays_one_harmless_line"),
            (REGISTRY, "a_ring_of_redirects_and_strange_locations_end"),
        ],
    ),
];

#[test]
fn each_is_tried() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = String::new();
    for (attack, tests) in ATTACKS {
        assert!(!tests.is_empty(), "{attack}");
        for (file, function) in *tests {
            let source = std::fs::read_to_string(top.join(file)).unwrap_or_default();
            let is_there =
                source.split("#[test]").skip(1).any(|rest| rest.trim_start().starts_with(&format!("fn {function}(")));
            if !is_there {
                missing += &format!("{attack}: no test {function} in {file}\n");
            }
        }
    }
    assert!(missing.is_empty(), "{missing}");
}
