//! Another order of images each epoch, for disks that are fast only where they read on from where they are. Images that lie sorted by
//! their class are not mixed well by it.

use std::collections::HashSet;

use rand::Rng;
use rand::seq::SliceRandom;

/// Images that lie beside each other and stay together: on ImageNet, 28 MB.
const BLOCK: usize = 256;

/// Images that are shuffled among each other: as many as timm's buffer of samples. Those of 32 blocks from anywhere are mixed so.
const WINDOW: usize = 8192;

/// Shuffles the blocks of `indices`, and then what is in each window of them. Where a shard ends does not matter: packed into others, the
/// same images in the same order come in the same order.
pub(super) fn shuffle_by_blocks(indices: &mut Vec<usize>, generator: &mut impl Rng) {
    let mut blocks: Vec<&[usize]> = indices.chunks(BLOCK).collect();
    blocks.shuffle(generator);
    let mut shuffled = blocks.concat();
    for window in shuffled.chunks_mut(WINDOW) {
        window.shuffle(generator);
    }
    *indices = shuffled;
}

/// Whether images with these `labels`, in the order of which they lie, come in batches of few classes: each class lies in one place, and a
/// window does not hold them all.
pub(super) fn is_badly_mixed(labels: &[u32]) -> bool {
    let classes = labels.iter().collect::<HashSet<_>>().len();
    let changes = labels.windows(2).filter(|pair| pair[0] != pair[1]).count();
    labels.len() > WINDOW && classes > 1 && changes + 1 == classes
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn shuffled(images: usize, seed: u64) -> Vec<usize> {
        let mut indices = (0..images).collect();
        shuffle_by_blocks(&mut indices, &mut ChaCha8Rng::seed_from_u64(seed));
        indices
    }

    #[test]
    fn each_image_comes_once_and_a_window_reads_few_blocks() {
        for images in [0, 1, 300, 100_003] {
            let order = shuffled(images, 1);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..images).collect::<Vec<_>>());
            for window in order.chunks(WINDOW) {
                let blocks: std::collections::BTreeSet<usize> =
                    window.iter().map(|image| image / BLOCK).collect();
                // One more where the last block, which is not full, has moved the others.
                assert!(blocks.len() <= WINDOW / BLOCK + 2, "{}", blocks.len());
            }
        }
        assert_eq!(shuffled(100_003, 1), shuffled(100_003, 1));
        assert_ne!(shuffled(100_003, 1), shuffled(100_003, 2));
    }

    #[test]
    fn what_is_sorted_by_class_is_badly_mixed_unless_a_window_holds_it() {
        let labels = |images: usize, label: fn(usize) -> usize| -> Vec<u32> {
            (0..images).map(|image| label(image) as u32).collect()
        };
        for (images, label, expected) in [
            (WINDOW + 1, (|image| image / 100) as fn(usize) -> usize, true),
            (WINDOW + 1, |image| 1000 - image / 100, true),
            (WINDOW, |image| image / 100, false),
            (WINDOW + 1, |image| image % 100, false),
            (WINDOW + 1, |_| 3, false),
            (0, |_| 0, false),
        ] {
            assert_eq!(is_badly_mixed(&labels(images, label)), expected);
        }
    }

    #[test]
    fn blocks_come_from_anywhere_and_neighbours_are_parted() {
        let order = shuffled(100_000, 1);
        let first = &order[..WINDOW];
        assert!(first.iter().any(|image| *image > 75_000) && first.iter().any(|image| *image < 25_000));
        let neighbours = order.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
        assert!(neighbours < 100, "{neighbours}");
    }
}
