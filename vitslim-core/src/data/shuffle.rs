//! Another order of images each epoch, for disks that are fast only where they read on from where they are.

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
    fn blocks_come_from_anywhere_and_neighbours_are_parted() {
        let order = shuffled(100_000, 1);
        let first = &order[..WINDOW];
        assert!(first.iter().any(|image| *image > 75_000) && first.iter().any(|image| *image < 25_000));
        let neighbours = order.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
        assert!(neighbours < 100, "{neighbours}");
    }
}
