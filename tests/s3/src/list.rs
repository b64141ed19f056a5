//! Listings: keys in order, those below a delimiter as one prefix, in pages.

use std::sync::Arc;

use s3s::S3Result;

use crate::objects::Object;
use crate::store::Store;

/// AWS's own, and the most it gives.
const PAGE: usize = 1000;

/// One page of a listing.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, Arc<Object>)>,
    pub(crate) prefixes: Vec<String>,
    /// What to go on after, where there is more.
    pub(crate) next: Option<String>,
    pub(crate) most: usize,
}

/// The page behind `after`, which is a key or a common prefix.
pub(crate) fn page(
    store: &Store,
    bucket: &str,
    prefix: &str,
    delimiter: &str,
    after: Option<&str>,
    most: Option<i32>,
) -> S3Result<Page> {
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).min(PAGE);
    let mut page = Page { most, ..Page::default() };
    let mut last: Option<String> = None;
    for (key, object) in store.after(bucket, prefix, after)? {
        let below = key.get(prefix.len()..).unwrap_or_default();
        let common = match below.split_once(delimiter) {
            Some((head, _)) if !delimiter.is_empty() => Some(format!("{prefix}{head}{delimiter}")),
            _ => None,
        };
        match &common {
            // It was on this page, or, where `after` is a prefix, on an earlier one.
            Some(common) if last.as_ref() == Some(common) => continue,
            Some(common) if after.is_some_and(|after| after.starts_with(common.as_str())) => continue,
            _ => {}
        }
        if page.objects.len() + page.prefixes.len() == most {
            page.next = last;
            break;
        }
        last = Some(common.clone().unwrap_or_else(|| key.clone()));
        match common {
            Some(common) => page.prefixes.push(common),
            None => page.objects.push((key, object)),
        }
    }
    Ok(page)
}
