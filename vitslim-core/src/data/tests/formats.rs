//! Kinds of images: what is read must be what Pillow's `convert("RGB")` gives, but for 16 bits, which it clips.

use png::{BitDepth, ColorType};

use super::*;

fn png(
    color: ColorType,
    depth: BitDepth,
    [width, height]: [u32; 2],
    palette: Option<(&[u8], &[u8])>,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if let Some((palette, transparency)) = palette {
        encoder.set_palette(palette.to_vec());
        encoder.set_trns(transparency.to_vec());
    }
    encoder.write_header().unwrap().write_image_data(data).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Vec<[u8; 3]> {
    let files = Files::new();
    let decoded = read_image(Source::File(&files.write("x", bytes))).unwrap();
    decoded.image.pixels().map(|pixel| pixel.0).collect()
}

/// A ramp from 0 to 65535 in each of `colors` channels, then opaque alpha if there is one.
fn ramp(colors: usize, alpha: bool) -> Vec<u8> {
    let pixel = |step: u32| {
        let value = (step * 65535 / 4095) as u16;
        let mut pixel = vec![value; colors];
        pixel.extend(alpha.then_some(0x1234));
        pixel
    };
    (0..4096).flat_map(pixel).flat_map(u16::to_be_bytes).collect()
}

#[test]
fn sixteen_bits_are_scaled_to_eight() {
    let expected: Vec<[u8; 3]> = (0..4096_u32).map(|step| [((step * 65535 / 4095) >> 8) as u8; 3]).collect();
    for (color, colors, alpha) in [
        (ColorType::Grayscale, 1, false),
        (ColorType::GrayscaleAlpha, 1, true),
        (ColorType::Rgb, 3, false),
        (ColorType::Rgba, 3, true),
    ] {
        let found = read(&png(color, BitDepth::Sixteen, [64, 64], None, &ramp(colors, alpha)));
        assert!(found == expected, "{color:?}");
        let mut levels = found;
        levels.dedup();
        assert_eq!(levels.len(), 256, "{color:?}");
    }
}

#[test]
fn few_bits_are_expanded_to_the_full_range() {
    let gray = |depth, width, data: &[u8]| {
        read(&png(ColorType::Grayscale, depth, [width, 1], None, data))
            .iter()
            .map(|pixel| pixel[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(gray(BitDepth::One, 4, &[0b0110_0000]), [0, 255, 255, 0]);
    assert_eq!(gray(BitDepth::Two, 4, &[0b0001_1011]), [0, 85, 170, 255]);
    assert_eq!(gray(BitDepth::Four, 4, &[0x01, 0x8f]), [0, 17, 136, 255]);
    assert_eq!(gray(BitDepth::Eight, 2, &[3, 200]), [3, 200]);
}

#[test]
fn palettes_are_expanded_and_transparency_is_dropped() {
    let palette: Option<(&[u8], &[u8])> = Some((&[1, 2, 3, 40, 50, 60], &[0, 255]));
    for (depth, data) in [(BitDepth::One, 0b0100_0000), (BitDepth::Two, 0b0001_0000), (BitDepth::Four, 0x01)]
    {
        let found = read(&png(ColorType::Indexed, depth, [2, 1], palette, &[data]));
        assert_eq!(found, [[1, 2, 3], [40, 50, 60]], "{depth:?}");
    }
    let rgba = png(ColorType::Rgba, BitDepth::Eight, [2, 1], None, &[10, 20, 30, 0, 40, 50, 60, 128]);
    assert_eq!(read(&rgba), [[10, 20, 30], [40, 50, 60]]);
    let gray_alpha = png(ColorType::GrayscaleAlpha, BitDepth::Eight, [2, 1], None, &[10, 0, 20, 255]);
    assert_eq!(read(&gray_alpha), [[10; 3], [20; 3]]);

    let files = Files::folder();
    let square = RgbImage::new(8, 8);
    image::DynamicImage::from(square).into_rgba8().save(files.path().join("val/cat/0.png")).unwrap();
    let folder = ImageFolder { reading: anew(), ..image_folder_of(&files) };
    let data = image_folder(&folder, &preparation(0.25)).unwrap();
    assert_eq!(data.notes, ["images with transparency, which is ignored: 1"]);
}

/// A JPEG whose left half is white and right half black.
fn jpeg() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = RgbImage::from_fn(16, 8, |x, _| image::Rgb([if x < 8 { 255 } else { 0 }; 3]));
    image.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// `jpeg` with a block of EXIF that holds `exif`.
fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    let length = (2 + 6 + exif.len()) as u16;
    [&jpeg[..2], &[0xff, 0xe1], &length.to_be_bytes(), b"Exif\0\0", exif, &jpeg[2..]].concat()
}

/// One tag: the orientation.
fn orientation(value: u8) -> Vec<u8> {
    let entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0];
    [&b"MM\0\x2a\0\0\0\x08"[..], &[0, 1], &entry, &[0; 4]].concat()
}

#[test]
fn orientation_is_ignored_and_counted() {
    let plain = read(&jpeg());
    assert!(plain[0][0] > 250 && plain[15][0] < 5);
    for value in 0..=9 {
        assert_eq!(read(&with_exif(&jpeg(), &orientation(value))), plain, "orientation {value}");
    }
    assert_eq!(read(&with_exif(&jpeg(), b"MM broken")), plain);

    let files = Files::folder();
    for value in 0..=9 {
        files.write(&format!("train/cat/o{value}.jpg"), with_exif(&jpeg(), &orientation(value)));
    }
    let folder = ImageFolder { reading: anew(), ..image_folder_of(&files) };
    let data = image_folder(&folder, &preparation(0.25)).unwrap();
    assert_eq!(data.notes, ["images with an orientation in EXIF, which is ignored: 7"]);
}

#[test]
fn a_jpeg_that_is_cut_off_anywhere_is_refused() {
    let whole = with_exif(&jpeg(), &jpeg());
    assert_eq!(read(&whole), read(&jpeg()));
    assert_eq!(read(&[&whole[..], b"and something behind it"].concat()), read(&jpeg()));
    let files = Files::new();
    for length in (3..whole.len()).step_by(7).chain([whole.len() - 1, whole.len() - 2]) {
        let told = flaw(&files.write("x", &whole[..length]));
        assert_eq!(told, "is a JPEG that ends too early", "{length} of {} bytes", whole.len());
    }
}

#[test]
fn an_image_that_would_fill_the_memory_is_refused() {
    let mut bytes = jpeg();
    let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    let files = Files::new();
    let told = flaw(&files.write("x", &bytes));
    assert_eq!(told, "has 65535 x 65535 pixels, more than the 512 MiB that are read");
}

#[test]
fn a_png_or_a_webp_that_is_cut_off_anywhere_is_refused() {
    let image = RgbImage::from_fn(16, 8, |x, y| image::Rgb([x as u8 * 9, y as u8 * 31, 7]));
    let files = Files::new();
    for format in [image::ImageFormat::Png, image::ImageFormat::WebP] {
        let mut whole = std::io::Cursor::new(Vec::new());
        image.write_to(&mut whole, format).unwrap();
        let whole = whole.into_inner();
        assert_eq!(read(&whole).len(), 128);
        assert_eq!(read(&[&whole[..], b"and something behind it"].concat()).len(), 128);
        // Behind the pixels of a PNG is only its end marker.
        let pixels = whole.len() - if format == image::ImageFormat::Png { 24 } else { 1 };
        for length in 16..=pixels {
            let told = flaw(&files.write("x", &whole[..length]));
            assert!(told.starts_with("is "), "{format:?}, {length} of {} bytes: {told}", whole.len());
        }
    }
}

/// Its decoder makes up what is missing at the end.
#[test]
fn a_webp_that_announces_more_than_there_is_is_refused() {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::new(2, 1).write_to(&mut bytes, image::ImageFormat::WebP).unwrap();
    let mut bytes = bytes.into_inner();
    bytes[4] += 2;
    let files = Files::new();
    assert_eq!(flaw(&files.write("x", bytes)), "is a WebP image that ends too early");
}

#[test]
fn webp_is_read() {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(2, 1, image::Rgb([1, 2, 3])).write_to(&mut bytes, image::ImageFormat::WebP).unwrap();
    assert_eq!(read(&bytes.into_inner()), [[1, 2, 3]; 2]);
}
