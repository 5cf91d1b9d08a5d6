//! JPEGs beside what Pillow reads of them, and JPEGs that are not whole.

use image::RgbImage;

use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/jpeg");

fn read(bytes: impl AsRef<[u8]>) -> Result<RgbImage, String> {
    let files = Files::new();
    let path = files.write("x", bytes);
    read_image(Source::File(&path)).map(|decoded| decoded.image).map_err(|_| flaw(&path))
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(FOLDER).join(name)).unwrap()
}

/// An image of noise, in one scan.
fn noise() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let value = |x: u32, y: u32, c: u32| (x * 7919 + y * 104_729 + c * 31).wrapping_mul(2_654_435_761) >> 24;
    let image = RgbImage::from_fn(64, 64, |x, y| image::Rgb([0, 1, 2].map(|c| value(x, y, c) as u8)));
    image.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

#[test]
fn colours_are_those_that_pillow_reads() {
    let mut read = 0;
    for entry in std::fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jpg") {
            continue;
        }
        let found = read_image(Source::File(&path)).unwrap_or_else(|_| panic!("{}", path.display())).image;
        let expected = read_image(Source::File(&path.with_extension("png"))).unwrap().image;
        assert_eq!(found.dimensions(), expected.dimensions());
        let off = found.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off <= Some(2), "{}: off by {off:?} of 255", path.display());
        read += 1;
    }
    assert_eq!(read, 17);
}

#[test]
fn a_scan_that_is_damaged_is_refused() {
    let whole = noise();
    let scan = whole.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    read(&whole).unwrap();
    let refused = |bytes: &[u8], what: &str| match read(bytes) {
        Ok(_) => panic!("{what}: accepted"),
        Err(told) => {
            let known =
                ["is damaged: ", "is a JPEG that ends too early", "is a JPEG whose scans leave out a part"];
            assert!(known.iter().any(|known| told.starts_with(known)), "{what}: {told}")
        }
    };
    for at in (scan + 20..whole.len() - 250).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at..at + 200].fill(0xff);
        refused(&bytes, &format!("200 bytes at {at}"));
    }
    let middle = scan + (whole.len() - scan) / 2;
    for marker in (1..=0xfe).filter(|marker| *marker != 0xd9) {
        let mut bytes = whole.clone();
        bytes[middle..middle + 2].copy_from_slice(&[0xff, marker]);
        refused(&bytes, &format!("marker {marker:02x}"));
    }
    for at in (scan + 20..whole.len() - 10).step_by(97) {
        refused(&[&whole[..at], &[0xff, 0xd9]].concat(), &format!("end at {at}"));
    }
    let progressive = fixture("ycc_progressive.jpg");
    let scans = progressive.windows(2).enumerate().filter(|(_, marker)| *marker == [0xff, 0xda]);
    for (at, _) in scans.skip(1) {
        refused(&[&progressive[..at], &[0xff, 0xd9]].concat(), &format!("no scan at {at}"));
    }
    let mut progressive = fixture("ycc_progressive.jpg");
    let scan = progressive.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    progressive[scan + 18..scan + 23].fill(0xff);
    refused(&progressive, "progressive");
    let whole = fixture("ycc_progressive.jpg");
    let mut ends =
        whole.windows(2).enumerate().skip(scan + 2).filter(|(_, marker)| matches!(marker, [0xff, 1..=255]));
    let (end, _) = ends.next().unwrap();
    for start in scan + 14..end - 1 {
        refused(&[&whole[..start], &whole[end..]].concat(), &format!("first scan of {} bytes", start - scan));
    }
}

#[test]
fn what_pillow_refuses_is_refused() {
    let table = std::fs::read_to_string(Path::new(FOLDER).join("damage.csv")).unwrap();
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let [file, damage, at, length] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (at, length): (usize, usize) = (at.parse().unwrap(), length.parse().unwrap());
        let mut jpeg = fixture(file);
        let end = jpeg.len().min(at + length);
        match damage {
            "cut" => jpeg.truncate(at),
            "drop" => drop(jpeg.drain(at..end)),
            "zero" => jpeg[at..end].fill(0),
            "flip" => jpeg[at] ^= 1 << length,
            other => panic!("{other}"),
        }
        assert!(read(jpeg).is_err(), "{row}: accepted");
        rows += 1;
    }
    assert!(rows > 500, "{rows}");
}

#[test]
fn what_cannot_be_read_rightly_is_called_what_it_is() {
    let frame = |marker: u8, bits: u8| {
        let mut bytes = fixture("ycc_jfif.jpg");
        let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        (bytes[frame + 1], bytes[frame + 4]) = (marker, bits);
        read(bytes).unwrap_err()
    };
    assert_eq!(frame(0xc9, 8), "is a JPEG with arithmetic coding, which cannot be read");
    assert_eq!(frame(0xc3, 8), "is a lossless or hierarchical JPEG, which cannot be read");
    assert_eq!(frame(0xc1, 12), "is a JPEG of 12 bits a channel: only 8 can be read");

    let noise = noise();
    let scan = noise.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    let one = [0, 8, 1, noise[scan + 5], noise[scan + 6], 0, 63, 0];
    let alone = [&noise[..scan + 2], &one, &noise[scan + 14..]].concat();
    let told = "is a JPEG with a scan for each channel, which cannot be read: save it anew";
    assert_eq!(read(alone).unwrap_err(), told);

    // The names of the channels say RGB, and Adobe's segment that they are not.
    let jfif = [0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0];
    let named = fixture("rgb_names.jpg");
    let told = read([&named[..2], &jfif, &named[2..]].concat()).unwrap_err();
    assert!(told.contains("contradicts itself about its colours"), "{told}");
}

#[test]
fn bytes_that_do_no_harm_are_no_mistake() {
    let whole = fixture("ycc_restarts.jpg");
    let expected = read(&whole).unwrap();
    let tables = whole.windows(2).position(|marker| marker == [0xff, 0xdb]).unwrap();
    let end = whole.len() - 2;
    let comment = [0xff, 0xfe, 0, 4, b'h', b'i'];
    for (what, at, bytes) in [
        ("between segments", tables, &[1, 2, 3][..]),
        ("before a marker", tables, &[0xff, 0xff]),
        ("before the end marker", end, &[0xff, 0xff]),
        ("a comment behind the scan", end, &comment),
        ("behind the end", end + 2, &[0xff, 0xd8, 0xff, 0xda, 1]),
    ] {
        let found = read([&whole[..at], bytes, &whole[at..]].concat())
            .unwrap_or_else(|told| panic!("{what}: {told}"));
        assert!(found == expected, "{what}");
    }
}
