//! Output is looked at before a job counts as done.
//!
//! A server may answer 200 with a black image, and a predictor may return NaN: for the
//! user that is no result. Images are decoded, with a bound on what that may take.

use std::fs::File;
use std::io::BufReader;

use defib_core::case::Made;
use image::{DynamicImage, GenericImageView as _, ImageReader, Limits};
use serde_json::{Map, Value};

use super::backend::{Done, MadeFile};
use super::settings::Checks;

/// Pixels of one side, and bytes, that decoding may take: more is no picture but a bomb.
const LONGEST_SIDE: u32 = 32_768;
const MOST_BYTES: u64 = 1 << 30;
/// Levels of 255 by which pixels of one colour may differ.
const SAME: u8 = 2;

/// What is wrong with an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// In words.
    pub(super) words: String,
    /// As facts.
    pub(super) made: Made,
    /// What made it may be spoilt.
    pub(super) spoilt: bool,
}

impl Wrong {
    fn new(words: String) -> Self {
        Self { words, made: Made::default(), spoilt: false }
    }
}

/// Looks at what an attempt made, with the inputs that it had.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(done: &Done, checks: &Checks, inputs: &Map<String, Value>) -> Result<(), Wrong> {
    if let Some(name) = done.nonfinite.first().filter(|_| checks.nonfinite) {
        let made = Made { nonfinite: done.nonfinite.clone(), ..Made::default() };
        return Err(Wrong { made, spoilt: true, ..Wrong::new(format!("the output `{name}` is not a number")) });
    }
    for file in done.files.iter().filter(|file| checks.images && file.media_type.starts_with("image/")) {
        // Vector graphics and the like are not for this decoder.
        if let Some(image) = decode(file)? {
            check_image(file, &image, checks, inputs)?;
        }
    }
    Ok(())
}

/// Decodes an image; `None` for a format that is not known here.
fn decode(file: &MadeFile) -> Result<Option<DynamicImage>, Wrong> {
    let name = &file.name;
    let wrong = |error: &dyn std::fmt::Display| Wrong::new(format!("the image `{name}` does not decode: {error}"));
    let open = File::open(&file.path).map_err(|error| wrong(&error))?;
    let mut reader = ImageReader::new(BufReader::new(open)).with_guessed_format().map_err(|error| wrong(&error))?;
    if reader.format().is_none() {
        const KNOWN: [&str; 5] = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"];
        let claims = KNOWN.contains(&file.media_type.as_str());
        return if claims { Err(wrong(&format!("it is no {}", file.media_type))) } else { Ok(None) };
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    reader.decode().map(Some).map_err(|error| wrong(&error))
}

fn check_image(
    file: &MadeFile,
    image: &DynamicImage,
    checks: &Checks,
    inputs: &Map<String, Value>,
) -> Result<(), Wrong> {
    let name = &file.name;
    let (width, height) = (image.width(), image.height());
    if let Some((wide, high)) = &checks.size {
        let (wide, high) = (wide.pixels(inputs), high.pixels(inputs));
        if wide.is_some_and(|wide| wide != width) || high.is_some_and(|high| high != height) {
            let side = |side: Option<u32>| side.map_or("any".to_owned(), |pixels| pixels.to_string());
            let expected = format!("{}×{}", side(wide), side(high));
            return Err(Wrong::new(format!("the image `{name}` has {width}×{height} pixels, not {expected}")));
        }
    }
    // One pixel is of one colour by nature.
    let Some([red, green, blue]) = colour(image).filter(|_| checks.flat && width * height > 1) else { return Ok(()) };
    let black = red.max(green).max(blue) <= SAME;
    let words = if black {
        format!("the image `{name}` is black all over")
    } else {
        format!("the image `{name}` is of one colour, #{red:02x}{green:02x}{blue:02x}")
    };
    let made = Made { black: if black { vec![name.clone()] } else { Vec::new() }, ..Made::default() };
    Err(Wrong { made, spoilt: true, ..Wrong::new(words) })
}

/// The colour of an image that has only one.
fn colour(image: &DynamicImage) -> Option<[u8; 3]> {
    let mut low = [u8::MAX; 4];
    let mut high = [0; 4];
    for (_, _, pixel) in image.pixels() {
        for channel in 0..4 {
            low[channel] = low[channel].min(pixel.0[channel]);
            high[channel] = high[channel].max(pixel.0[channel]);
        }
        // Most images are done after a few pixels.
        if (0..4).any(|channel| high[channel] - low[channel] > SAME) {
            return None;
        }
    }
    Some([high[0], high[1], high[2]])
}

#[cfg(test)]
mod tests {
    use super::super::settings::Extent;
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage};

    fn done(folder: &tempfile::TempDir, name: &str, image: &RgbImage) -> Done {
        let path = folder.path().join(name);
        image.save_with_format(&path, ImageFormat::Png).unwrap();
        let file = MadeFile { name: name.into(), path, media_type: "image/png".into() };
        Done { files: vec![file], ..Done::default() }
    }

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7 % 256) as u8, (y * 5 % 256) as u8, 90]))
    }

    fn words(result: Result<(), Wrong>) -> String {
        result.unwrap_err().words
    }

    #[test]
    fn pictures_pass_and_black_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let (checks, inputs) = (Checks::default(), Map::new());
        assert_eq!(check(&done(&folder, "a.png", &picture(64, 48)), &checks, &inputs), Ok(()));
        let black = check(&done(&folder, "b.png", &RgbImage::from_pixel(64, 48, Rgb([1, 0, 2]))), &checks, &inputs);
        let black = black.unwrap_err();
        assert_eq!((black.words.as_str(), black.spoilt), ("the image `b.png` is black all over", true));
        assert_eq!(black.made.black, ["b.png"]);
        let grey = done(&folder, "c.png", &RgbImage::from_pixel(64, 48, Rgb([128, 128, 127])));
        assert_eq!(words(check(&grey, &checks, &inputs)), "the image `c.png` is of one colour, #80807f");
        let allowed = Checks { flat: false, ..Checks::default() };
        assert_eq!(check(&grey, &allowed, &inputs), Ok(()));
    }

    #[test]
    fn half_a_file_another_size_and_numbers_that_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let good = done(&folder, "a.png", &picture(64, 48));
        let size = |wide, high| Checks { size: Some((wide, high)), ..Checks::default() };
        let inputs = Map::from_iter([("width".to_owned(), Value::from(512))]);
        let wanted = size(Extent::Input("width".into()), Extent::Input("height".into()));
        assert_eq!(words(check(&good, &wanted, &inputs)), "the image `a.png` has 64×48 pixels, not 512×any");
        assert_eq!(check(&good, &size(Extent::Pixels(64), Extent::Pixels(48)), &inputs), Ok(()));
        let path = &good.files[0].path;
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(words(check(&good, &Checks::default(), &inputs)).contains("does not decode"));
        std::fs::write(path, "<html>").unwrap();
        assert!(words(check(&good, &Checks::default(), &inputs)).contains("it is no image/png"));
        let none = Done { nonfinite: vec!["score".into()], ..Done::default() };
        assert_eq!(words(check(&none, &Checks::default(), &inputs)), "the output `score` is not a number");
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        // A PNG header that promises 100,000 by 100,000 pixels.
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(100_000_u32.to_be_bytes());
        bytes.extend(100_000_u32.to_be_bytes());
        bytes.extend([8, 2, 0, 0, 0]);
        bytes.extend([0; 4]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.png");
        std::fs::write(&path, bytes).unwrap();
        let file = MadeFile { name: "bomb.png".into(), path, media_type: "image/png".into() };
        let done = Done { files: vec![file], ..Done::default() };
        assert!(words(check(&done, &Checks::default(), &Map::new())).contains("does not decode"));
    }
}
