//! Style sheets and scripts: compiled in, and served under addresses that change with their content.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use sha2::{Digest, Sha256};

use crate::http::web::problem::ApiError;

/// A file of `ui/assets`.
struct Asset {
    /// Its name there.
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    /// Where it is served: `/ui/assets/NAME-HASH.EXTENSION`.
    address: String,
}

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($name:literal $media_type:expr;)*) => {
        vec![$(Asset::new($name, $media_type, include_bytes!(concat!("../../../ui/assets/", $name)))),*]
    };
}

static ALL: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    assets! {
        "tokens.css" CSS;
        "ui.css" CSS;
        "icon.svg" "image/svg+xml";
        "composer.js" SCRIPT;
        "enter.js" SCRIPT;
        "forms.js" SCRIPT;
        "imports.js" SCRIPT;
        "keyboard.js" SCRIPT;
        "live.js" SCRIPT;
        "plot.js" SCRIPT;
        "sample.csv" "text/csv; charset=utf-8";
        "search.js" SCRIPT;
        "times.js" SCRIPT;
    }
});

/// The scripts of every page.
pub(super) const SCRIPTS: &[&str] = &["forms.js", "keyboard.js", "live.js", "search.js", "times.js"];

impl Asset {
    fn new(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        Self { name, media_type, bytes, address: format!("/ui/assets/{stem}-{hash}.{extension}") }
    }
}

/// Where a file of `ui/assets` is served.
pub(super) fn address(name: &str) -> &'static str {
    ALL.iter().find(|asset| asset.name == name).map_or("", |asset| asset.address.as_str())
}

/// Serves a file. Another hash than its own is that of another version: it gets ours, and asks again next time. So pages of
/// instances of two versions find their style behind one address.
pub(in crate::http) async fn serve(name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let wanted = name.rsplit_once('-').and_then(|(stem, rest)| Some((stem, rest.rsplit_once('.')?.1)));
    let is_wanted = |asset: &&Asset| asset.name.rsplit_once('.') == wanted;
    let asset = ALL.iter().find(is_wanted).ok_or_else(|| ApiError::no_such("page", &name))?;
    let is_same = asset.address.ends_with(name.as_str());
    let kept = if is_same { "public, max-age=31536000, immutable" } else { "no-cache" };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, asset.media_type))
        .insert_header((header::CACHE_CONTROL, kept))
        .body(asset.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_a_page_has_an_address() {
        for name in SCRIPTS.iter().chain(&[
            "composer.js",
            "imports.js",
            "sample.csv",
            "tokens.css",
            "ui.css",
            "icon.svg",
            "enter.js",
        ]) {
            assert!(address(name).starts_with("/ui/assets/"), "{name}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/assets");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            // That of the pages for recipients is served by those.
            assert!(name == "public.css" || !address(&name).is_empty(), "{name} is served nowhere");
        }
    }
}
