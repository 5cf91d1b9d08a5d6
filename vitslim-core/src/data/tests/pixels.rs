//! What evaluation sees of images beside what torchvision sees on Pillow: `data/evaluation/README.md` says how that was made.

use safetensors::SafeTensors;

use super::super::augment::Raster;
use super::super::crop::Crop;
use super::*;

const IMAGES: &[u8] = include_bytes!("../../../data/evaluation/images.safetensors");

#[test]
fn evaluation_sees_what_torchvision_sees() {
    let tensors = SafeTensors::deserialize(IMAGES).unwrap();
    let files = Files::new();
    let (mut sum, mut worst, mut values, mut beyond) = (0_u64, 0, 0, 0);
    for number in 0..200 {
        let path = files.write("x", tensors.tensor(&format!("file {number}")).unwrap().data());
        let image =
            read_image(Source::File(&path)).unwrap_or_else(|_| panic!("{number}: {}", flaw(&path))).image;
        let image = Raster::of_rgb(image.height() as usize, image.width() as usize, image.as_raw());
        let mut found = vec![0; 3 * 24 * 24];
        Crop { resize: 30, size: 24 }.apply(&image, &mut found);
        let expected = tensors.tensor(&format!("seen {number}")).unwrap();
        let off = found.iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b));
        sum += off.clone().map(u64::from).sum::<u64>();
        beyond += off.clone().filter(|off| *off > 3).count();
        worst = worst.max(off.max().unwrap());
        values += found.len();
    }
    let mean = sum as f64 / values as f64;
    let told = format!(
        "off by {mean:.3} of 255 on average, at most {worst}, {beyond} of {values} values by more than 3"
    );
    println!("{told}");
    // Where a JPEG has a quarter of the colours, zune-jpeg rounds twice what libjpeg rounds once.
    assert!(mean < 0.2 && worst <= 4 && beyond <= 2, "{told}");
}
