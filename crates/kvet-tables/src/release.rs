//! The version that an image's release begins with, for what no evidence in the image decides.

use kvet_image::Image;

/// A release's first two numbers: (6, 12).
pub(crate) type Version = (u32, u32);

/// The newest version whose formats are known here.
pub(crate) const NEWEST: Version = (7, 3);

/// The version of an image; a module's is the one in its vermagic.
pub(crate) fn version(image: &Image) -> Option<Version> {
    let mut numbers = image.release()?.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
