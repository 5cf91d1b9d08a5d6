//! What evaluation sees of images beside what torchvision sees on Pillow: `data/evaluation/README.md` says how that was made.

use safetensors::SafeTensors;

use super::super::augment::Raster;
use super::super::crop::Crop;
use super::*;

const IMAGES: &[u8] = include_bytes!("../../../data/evaluation/images.safetensors");

/// How far values are from what they should be.
#[derive(Default)]
struct Off {
    values: usize,
    sum: u64,
    worst: u8,
    /// Values that are off by more than 3.
    beyond: usize,
}

impl Off {
    fn add(&mut self, found: &[u8], expected: &[u8]) {
        for off in found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)) {
            self.values += 1;
            self.sum += u64::from(off);
            self.worst = self.worst.max(off);
            self.beyond += usize::from(off > 3);
        }
    }

    /// Where a JPEG has a quarter of the colours, zune-jpeg rounds twice what libjpeg rounds once.
    fn is_at_most(&self, name: &str, worst: u8, beyond: usize) {
        let mean = self.sum as f64 / self.values as f64;
        let told = format!(
            "{name}: off by {mean:.3} of 255 on average, at most {}, {} of {} values by more than 3",
            self.worst, self.beyond, self.values
        );
        println!("{told}");
        assert!(mean < 0.2 && self.worst <= worst && self.beyond <= beyond, "{told}");
    }
}

#[test]
fn evaluation_sees_what_torchvision_sees() {
    let tensors = SafeTensors::deserialize(IMAGES).unwrap();
    let files = Files::new();
    let (mut cropped, mut squares) = (Off::default(), Off::default());
    for number in 0..200 {
        let path = files.write("x", tensors.tensor(&format!("file {number}")).unwrap().data());
        let image =
            read_image(Source::File(&path)).unwrap_or_else(|_| panic!("{number}: {}", flaw(&path))).image;
        let image = Raster::of_rgb(image.height() as usize, image.width() as usize, image.as_raw());
        let seen = |resize| {
            let mut seen = vec![0; 3 * 24 * 24];
            Crop { resize, size: 24 }.apply(&image, &mut seen);
            seen
        };
        cropped.add(&seen(30), tensors.tensor(&format!("seen {number}")).unwrap().data());
        if let Ok(expected) = tensors.tensor(&format!("square {number}")) {
            squares.add(&seen(24), expected.data());
        }
    }
    cropped.is_at_most("cropped", 4, 2);
    // They reach the right and the lower border, where zune-jpeg takes padding for neighbours: `data/jpeg/README.md`.
    squares.is_at_most("squares", 7, 21);
    assert_eq!(squares.values, 50 * 3 * 24 * 24);
}
