//! What an image says about itself: banner, release, build id, configuration.

use crate::Image;

#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) banner: Option<String>,
    pub(crate) release: Option<String>,
    pub(crate) build_id: Option<Vec<u8>>,
    pub(crate) config: Option<String>,
    pub(crate) module_name: Option<String>,
}

pub(crate) fn read(image: &Image) -> Facts {
    if image.kind() == crate::Kind::Module {
        return crate::module::facts(image);
    }
    let mut facts = Facts::default();
    let raw = image.raw();
    // The banner is the only "Linux version 1..." with a closing newline in a kernel's read-only data.
    if let Some(at) = memchr::memmem::find(raw, b"Linux version ") {
        let text = &raw[at..raw.len().min(at + 1024)];
        let end = text.iter().position(|b| matches!(b, b'\n' | 0)).unwrap_or(text.len());
        if let Ok(banner) = std::str::from_utf8(&text[..end]) {
            facts.release = banner.split(' ').nth(2).map(str::to_owned);
            facts.banner = Some(banner.to_owned());
        }
    }
    facts
}
