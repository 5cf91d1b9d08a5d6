//! A few images of the test split, to draw tokens on.

use std::path::Path;

use burn::tensor::Device;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::figure::data_url;
use crate::data::{Normalisation, SplitKind};
use crate::experiment::Trial;
use crate::run::own_data;

/// How many images.
const COUNT: usize = 4;

/// Images of the test split of the run in the folder `run` and of `trial`, spread over it, as the addresses of PNGs.
///
/// # Errors
///
/// Why there are none, as a clause: the data are gone, or others.
pub(super) fn samples(trial: &Trial, run: &Path) -> Result<Vec<String>, String> {
    let data = own_data(trial, run, SplitKind::Test).map_err(|error| error.to_string())?;
    let (split, shape) = (&data.test, data.shape);
    let count = COUNT.min(split.len());
    let mut images = Vec::new();
    for number in 0..count {
        // The middle of each of equal parts: a folder has its images class by class.
        let index = (2 * number + 1) * split.len() / (2 * count);
        let image = split.images(&[index], &Device::flex()).map_err(|error| error.to_string())?;
        // One that cannot be read is left out.
        let Some(image) = image else { continue };
        let values: Vec<f32> = image.into_data().iter::<f32>().collect();
        images.push(png(&pixels(&values, &data.normalisation), shape.size)?);
    }
    Ok(images)
}

/// The pixels of an image of `values`, `[channels, height, width]`, that were normalised: gray, or red, green and blue.
fn pixels(values: &[f32], normalisation: &Normalisation) -> Vec<u8> {
    let channels = normalisation.mean.len().max(1);
    let each = values.len() / channels;
    let planes: Vec<Vec<u8>> = values
        .chunks(each.max(1))
        .zip(normalisation.mean.iter().zip(&normalisation.std))
        .map(|(plane, (mean, std))| {
            // A float becomes the nearest value that a byte can have.
            plane.iter().map(|value| ((value * std + mean) * 255.0).round() as u8).collect()
        })
        .collect();
    let shown = if planes.len() < 3 { 1 } else { 3 };
    (0..each).flat_map(|place| planes.iter().take(shown).map(move |plane| plane[place])).collect()
}

fn png(pixels: &[u8], size: usize) -> Result<String, String> {
    let colour = if pixels.len() == size * size { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let side = u32::try_from(size).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(pixels, side, side, colour).map_err(|error| error.to_string())?;
    Ok(data_url("image/png", &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_as_they_were_before_they_were_normalised() {
        let gray = Normalisation { white: 16, mean: vec![0.25], std: vec![0.5], images: 1 };
        assert_eq!(pixels(&[-0.5, 1.5, 0.5, 9.0], &gray), [0, 255, 128, 255]);
        let coloured = Normalisation { white: 255, mean: vec![0.0; 3], std: vec![1.0; 3], images: 1 };
        assert_eq!(pixels(&[1.0, 0.0, 0.2, 0.4, 0.0, 1.0], &coloured), [255, 51, 0, 0, 102, 255]);
        let url = png(&[0, 255, 128, 255], 2).unwrap();
        assert!(url.starts_with("data:image/png;base64,iVBOR"), "{url}");
    }
}
