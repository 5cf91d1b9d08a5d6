//! Which training images become the validation split.

use rand::seq::SliceRandom;

use super::DataError;
use super::random::Choice;

/// The indices of the training images and of the validation images, each ascending. A `share` of all images is held out, each
/// class in proportion, chosen by `seed` alone.
pub(super) fn hold_out(labels: &[u32], share: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let images = labels.len();
    let held_out = (share * images as f64).round() as usize;
    if held_out == 0 || held_out == images {
        let left = if held_out == 0 { "hold out" } else { "train on" };
        let reason =
            format!("is {share}, which leaves none of the {images} images of the training files to {left}");
        return Err(DataError::setting(&["held_out"], reason));
    }
    let mut shuffled: Vec<usize> = (0..images).collect();
    shuffled.shuffle(&mut Choice::HeldOut.generator(seed));

    let classes = labels.iter().max().map_or(0, |&last| last as usize + 1);
    let mut sizes = vec![0_usize; classes];
    for &label in labels {
        sizes[label as usize] += 1;
    }
    // The position of each image in its class, as a fraction: the first `held_out` images by it have each class in proportion.
    let mut before = vec![0_usize; classes];
    let mut places: Vec<(f64, usize)> = Vec::with_capacity(images);
    for index in shuffled {
        let class = labels[index] as usize;
        places.push(((before[class] as f64 + 0.5) / sizes[class] as f64, index));
        before[class] += 1;
    }
    places.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut indices: Vec<usize> = places.into_iter().map(|(_, index)| index).collect();
    let mut train = indices.split_off(held_out);
    train.sort_unstable();
    indices.sort_unstable();
    Ok((train, indices))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_in_proportion_and_each_image_once() {
        let labels: Vec<u32> = (0..1000).map(|index| if index < 700 { 0 } else { 1 + index % 3 }).collect();
        let (train, held_out) = hold_out(&labels, 0.1, 3).unwrap();
        let count = |class| held_out.iter().filter(|&&index| labels[index] == class).count();
        assert_eq!([0, 1, 2, 3].map(count), [70, 10, 10, 10]);
        let mut all = [train.clone(), held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert!(train.is_sorted() && held_out.is_sorted());

        assert_eq!(hold_out(&labels, 0.1, 3).unwrap(), (train, held_out.clone()));
        assert_ne!(hold_out(&labels, 0.1, 4).unwrap().1, held_out);
    }

    #[test]
    fn small_classes_share_what_is_held_out() {
        let labels: Vec<u32> = (0..300).map(|index| index % 100).collect();
        let (_, held_out) = hold_out(&labels, 0.1, 0).unwrap();
        assert_eq!(held_out.len(), 30);
        let mut classes: Vec<_> = held_out.iter().map(|&index| labels[index]).collect();
        classes.sort_unstable();
        classes.dedup();
        assert_eq!(classes.len(), 30);
    }

    #[test]
    fn nothing_left_is_a_mistake() {
        let error = hold_out(&[0, 1, 2, 3], 0.1, 0).unwrap_err();
        let told = "`held_out` is 0.1, which leaves none of the 4 images of the training files to hold out";
        assert_eq!(error.to_string(), told);
        assert!(hold_out(&[0, 1], 0.9, 0).unwrap_err().to_string().ends_with("to train on"));
    }
}
