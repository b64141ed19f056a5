//! The head of a `check-*.json`: what its fields mean.

use serde_json::{Value, json};

use super::super::release::root;
use super::kept::Kept;
use super::{client, repository};
use crate::file::{CONTENT, File};

pub fn file(name: &'static str, about: &'static str, spec: &'static str, vectors: Vec<Value>) -> File {
    let kept = Kept::base().of_anchor(&root(1));
    let base = json!({
        "client": client(),
        "journal": kept.journal,
        "floors": kept.floors,
        "cache": kept.cache,
        "repository": repository(),
    });
    let fields = vec![
        (
            "base",
            "what each vector begins with: its `client`, `journal`, `floors`, `cache` and `repository` contain only what is different, field by field and path by path; a field that is an object or a list is replaced whole",
        ),
        ("name", "unique in this file"),
        ("comment", "what the vector is for"),
        (
            "like",
            "instead of the base: begins with what the vector of that name has, its own changes included",
        ),
        (
            "client",
            "the situation: `product`, `channel` and `target`, what it is; `anchor`, the root document that it carries; `root`, the content of its file `root`, or null; `executable`, the bytes at its path; `version`, which the running program carries; `previous`, the file of that name, or null; `kept`, further files that are kept, by their names; `damaged`, the names of the files among `journal`, `floors` and `cache` whose second line is 64 zeros; `clock`, the system's, which does not advance; `now`, whether a person asks with --update=now; `command`, \"update\", \"rollback\", or \"forward\" (--update=VERSION where it is kept); `to`, the version that the person names, or null",
        ),
        (
            "journal",
            "line 1 of the file `journal` (SPEC section 4.1), or null if it does not exist; `floors` and `cache` likewise",
        ),
        (
            "repository",
            "path: content, or null where nothing lies; a path that is not named is absent, too. No entity tags.",
        ),
        ("bytes", CONTENT),
        (
            "result",
            "\"install\": `version` is installed; \"nothing\": nothing is to be done; \"refuse\"; \"unavailable\": `object` is missing. Whatever is not \"install\" leaves the executable as it was",
        ),
        (
            "step",
            "the step of SPEC that says so: for \"refuse\" and \"nothing\". \"kind\" is the check between 5 and 6; \"2\", \"3\", \"6\" and \"9\" stand without a letter; \"6\" in `check-rollback` is where section 6 says to go, and \"6.1\" to \"6.5\" are its conditions",
        ),
        ("document", "for step 5: \"root\" or \"version\""),
        (
            "reason",
            "where one step has several outcomes. 2: \"damaged\", the journal or the floors. 3: \"limit\", of a root or its signatures; \"root-lowered\", the last root is below the lineage's; \"too-many-roots\"; \"undetermined\", whether anchor and lineage are connected (4.3); \"equivocation\", a root of the lineage's number is another one; \"too-many-domains\". 5 and 6k: \"expired\"; \"future\". 6: \"limit\", of the manifest or its signatures. 8a: \"target\". 8b: \"current\". 8c: \"held\". 8e: \"rollout\". 9: \"no-form\", none is usable; \"short\" and \"long\", the blob has not the signed size; \"hash\", nor is it of the signed hash; \"output-long\", output goes on above the artifact's `size`; \"undecodable\", every other fault of a frame, a wrong content size too. Output that ends early or has another hash is step 10. 6: \"returned\", a rollback led to what is installed; \"installed\", the version that is named is; \"not-kept\", it is not kept; \"newer\", it is above the installed one, and a rollback was asked for; \"older\", it is below, and forward was. 6.1: \"nothing\", there is no previous; \"altered\", its hash is another one",
        ),
        (
            "needed",
            "for a threshold that is not met: the threshold; `valid`: how many distinct keys have signed",
        ),
        (
            "after",
            "what is different afterwards, everything else is as before: `executable`, `previous` and `kept`, as in client; `trusted_root`, the number of the root that was persisted: the file `root` then is that root/<n>.json of the repository, LF, and its signatures (else it is as before); `journal`, `floors` and `cache`, the fields that changed. A file that was absent or damaged is still so if it is not here; if it is, it has all its fields, and a `rollout` of null is any number from 0 to 99. Of the cache, `validator`, `failure` and `warned` are not compared; of an executable, `signers` are not",
        ),
    ];
    File { name, about, spec, fields, base: Some(base), vectors }
}
