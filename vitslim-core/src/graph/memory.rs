//! The memory of a step, from what was recorded of its forward pass.

use std::collections::HashMap;

use super::training::{Memory, Recording};

/// The bytes of memory that a tensor takes, of those that it has.
pub(crate) type Occupied = fn(u64) -> u64;

impl Recording {
    /// Bytes of parameters and masks, and of those of them that are trained.
    pub(crate) fn parameters(&self, occupied: Occupied) -> [u64; 2] {
        let all = self.parameters.iter().map(|(bytes, _)| occupied(*bytes));
        let trained = self.parameters.iter().filter(|(_, is_trained)| *is_trained);
        [all.sum(), trained.map(|(bytes, _)| occupied(*bytes)).sum()]
    }

    /// The most bytes that forward and backward pass on so many `images` need at once, beside parameters, masks and images: what
    /// operations keep, and the gradients. With `checkpointing`, of a block only its input is kept, and the block whose turn it is in the
    /// backward pass keeps the rest.
    pub(crate) fn step(&self, images: usize, checkpointing: bool, occupied: Occupied) -> u64 {
        let size = |place: usize| self.memories[place].size(images, occupied);
        let held = self.held(checkpointing);
        let mut now: u64 = held.at_first.iter().map(|&place| size(place)).sum();
        let mut most = now;
        let mut has_gradient = vec![false; self.memories.len()];
        if let Some(logits) = self.logits {
            has_gradient[logits] = true;
            now += size(logits);
        }
        for (number, operation) in self.operations.iter().enumerate().rev() {
            held.from(number).iter().for_each(|&place| now += size(place));
            for &place in &operation.reads {
                if self.memories[place].is_tracked && !has_gradient[place] {
                    has_gradient[place] = true;
                    now += size(place);
                }
            }
            most = most.max(now);
            for &place in operation.makes.iter().filter(|place| has_gradient[**place]) {
                now -= size(place);
            }
            held.until(number).iter().for_each(|&place| now -= size(place));
        }
        most
    }

    /// The most bytes that a forward pass on so many `images` needs at once that keeps nothing, beside parameters and images.
    pub(crate) fn inference(&self, images: usize, occupied: Occupied) -> u64 {
        let mut last_reader: HashMap<usize, usize> = HashMap::new();
        for (number, operation) in self.operations.iter().enumerate() {
            last_reader.extend(operation.reads.iter().map(|&place| (place, number)));
            for &place in &operation.makes {
                last_reader.entry(place).or_insert(number);
            }
        }
        let mut read_last: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, number) in last_reader {
            read_last.entry(number).or_default().push(place);
        }
        let size = |place: usize| match self.memories[place] {
            Memory { is_given: true, .. } => 0,
            memory => memory.size(images, occupied),
        };
        let (mut now, mut most) = (0, 0);
        for (number, operation) in self.operations.iter().enumerate() {
            now += operation.makes.iter().map(|&place| size(place)).sum::<u64>();
            most = most.max(now);
            now -= read_last.get(&number).into_iter().flatten().map(|&place| size(place)).sum::<u64>();
        }
        most
    }

    /// From when to when memory is kept.
    fn held(&self, checkpointing: bool) -> Held {
        let blocks = if checkpointing { &self.blocks[..] } else { &[] };
        let block_of = |number: usize| blocks.iter().find(|(operations, _)| operations.contains(&number));
        let mut maker: HashMap<usize, usize> = HashMap::new();
        for (number, operation) in self.operations.iter().enumerate() {
            // What it keeps that nothing makes is inside of it.
            for &place in operation.makes.iter().chain(&operation.keeps) {
                maker.entry(place).or_insert(number);
            }
        }
        let mut held = Held::default();
        let mut known = vec![false; self.memories.len()];
        let inputs = blocks.iter().map(|(operations, input)| (operations.start, *input));
        let of_operations = self
            .operations
            .iter()
            .enumerate()
            .flat_map(|(number, operation)| operation.keeps.iter().map(move |&place| (number, place)));
        let mut kept: Vec<(usize, usize)> = of_operations.collect();
        kept.extend(inputs.filter(|(_, input)| !self.memories[*input].is_given));
        // The first that keeps it is the last that reads it in the backward pass.
        kept.sort_unstable();
        for (number, place) in kept {
            if std::mem::replace(&mut known[place], true) {
                continue;
            }
            held.until.entry(number).or_default().push(place);
            match block_of(number) {
                Some((block, _)) if block.contains(&maker[&place]) => {
                    held.from.entry(block.end - 1).or_default().push(place);
                }
                _ => held.at_first.push(place),
            }
        }
        held
    }
}

impl Memory {
    fn size(self, images: usize, occupied: Occupied) -> u64 {
        occupied(self.bytes * if self.grows { images as u64 } else { 1 })
    }
}

/// What is kept in the backward pass, by place.
#[derive(Default)]
struct Held {
    /// From its begin.
    at_first: Vec<usize>,
    /// From the operation with this number, which is the last of a block.
    from: HashMap<usize, Vec<usize>>,
    /// Until the operation with this number is done.
    until: HashMap<usize, Vec<usize>>,
}

impl Held {
    fn from(&self, number: usize) -> &[usize] {
        self.from.get(&number).map_or(&[], Vec::as_slice)
    }

    fn until(&self, number: usize) -> &[usize] {
        self.until.get(&number).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use burn::module::Module;
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::data::ImageShape;
    use crate::graph::{TrainingSetting, record_training};
    use crate::models::{Architecture, ConfigError, Logits, Parameter, VitConfig};
    use crate::nn::*;
    use crate::slim::{MaskSet, MaskSpec, Slim, Slimmable, describe};

    /// Two blocks with a branch, of 4 features and 6 hidden units.
    #[derive(Module, Debug, Slimmable)]
    struct Net {
        embed: Linear,
        #[slim]
        blocks: Vec<Block>,
        head: Linear,
    }

    #[derive(Module, Debug, Slimmable)]
    struct Block {
        #[slim(output = [hidden])]
        fc1: Linear,
        act: Gelu,
        #[slim(input = [hidden], gate)]
        fc2: Linear,
        drop: Dropout,
    }

    impl Block {
        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            x.clone() + self.drop.forward(self.fc2.forward(self.act.forward(self.fc1.forward(x))))
        }
    }

    impl Architecture for Net {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            let linear = |d_input, d_output| LinearConfig::new(d_input, d_output).init(device);
            let block = |_| Block {
                fc1: linear(4, 6),
                act: Gelu::new(),
                fc2: linear(6, 4),
                drop: Dropout::new(config.dropout),
            };
            Ok(Self { embed: linear(4, 4), blocks: (0..2).map(block).collect(), head: linear(4, 3) })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let x = self.embed.forward(images.flatten::<2>(1, 3));
            let x = self.blocks.iter().fold(x, |x, block| checkpoint(block, x, Block::forward));
            self.head.forward(x).into()
        }
    }

    fn recorded(dropout: f64, searches: bool, fused: bool, freezes: bool) -> Recording {
        let device = Device::flex();
        let model = Net::init(&VitConfig { dropout, ..VitConfig::default() }, &device).unwrap();
        let searched: Vec<_> = describe(&model)
            .unwrap()
            .into_iter()
            .filter(|_| searches)
            .map(|dimension| (dimension, MaskSpec::default()))
            .collect();
        let frozen = Parameter::all(&model).into_iter().filter(|_| freezes).map(|parameter| parameter.id);
        let (image, precision) = (ImageShape { channels: 1, size: 2 }, Precision::F32);
        let frozen: HashSet<_> = frozen.collect();
        let setting = TrainingSetting { image, precision, frozen: &frozen, fused };
        record_training(&Slim { model, masks: MaskSet::new(&searched, &device) }, setting).unwrap()
    }

    fn exactly(bytes: u64) -> u64 {
        bytes
    }

    /// Bytes of each parameter: of `embed`, of the layers of a block, and of `head`.
    const PARAMETERS: [u64; 4] = [80, 120, 112, 60];

    /// By hand. An image is 16 bytes, and so is what enters a block; what its hidden units hold is 24, and the logits 12. Kept are what
    /// enters the blocks and the classifier, and before and behind each GELU.
    ///
    /// Most are alive behind the second block, where its branch gets a gradient (`early`), or once all parameters have theirs.
    #[test]
    fn what_a_small_network_needs_is_what_is_counted_by_hand() {
        let recording = recorded(0.0, false, true, false);
        let [embed, fc1, fc2, head] = PARAMETERS;
        let all = embed + 2 * (fc1 + fc2) + head;
        assert_eq!(recording.parameters(exactly), [all; 2]);

        // Gradients of what leaves the embedding, the branch and the hidden units of the second block.
        let kept = 3 * 16 + 2 * 48;
        let early = |images: u64| images * (kept - 16 + 16 + 16 + 24) + head + fc2;
        assert_eq!(recording.step(10, false, exactly), early(10));
        assert_eq!(recording.step(100, false, exactly), early(100));
        // The gradient of what leaves the embedding.
        assert_eq!(recording.step(1, false, exactly), 16 + all);

        // The hidden units of one block only.
        let early = |images: u64| images * (kept - 48 - 16 + 16 + 16 + 24) + head + fc2;
        assert_eq!(recording.step(100, true, exactly), early(100));
        // In the first block, only what enters it is left.
        let late = |images: u64| images * (16 + 48 + 16 + 16 + 24) + head + fc2 + fc1 + fc2;
        assert_eq!(recording.step(10, true, exactly), late(10));
    }

    #[test]
    fn what_is_dropped_is_kept_and_stock_operations_keep_more() {
        let without = recorded(0.0, false, true, false).step(100, false, exactly);
        // What the branch of each block is multiplied by is kept too. Now most are alive when that of the second block has a gradient in
        // each of its two steps, beside that of the input of the block.
        let with = recorded(0.5, false, true, false).step(100, false, exactly);
        let kept = 3 * 16 + 2 * 48 + 2 * 16;
        assert_eq!(with, 100 * (kept - 16 + 16 + 2 * 16) + PARAMETERS[3]);
        // The scaled input of a GELU, and its distribution, of the hidden units of both blocks.
        let stock = recorded(0.0, false, false, false).step(100, false, exactly);
        assert_eq!(stock, without + 2 * 2 * 2400);
    }

    #[test]
    fn gated_weights_are_kept_and_what_is_frozen_has_no_gradient() {
        let [alone, searched] = [false, true].map(|searches| recorded(0.0, searches, true, false));
        let [values, trained] = searched.parameters(exactly);
        // A mask for each hidden unit.
        assert_eq!((values, trained), (alone.parameters(exactly)[0] + 2 * 24, values));
        let [alone, searched] = [alone, searched].map(|recording| recording.step(1000, false, exactly));
        // Those of `fc2`, and what is made of the masks.
        assert!(searched >= alone + 2 * 96 && searched < alone + 4 * 112, "{searched} of {alone}");

        let frozen = recorded(0.0, true, true, true);
        assert_eq!(frozen.parameters(exactly), [values, 2 * 24]);
        assert!(frozen.step(1, false, exactly) < recorded(0.0, true, true, false).step(1, false, exactly));
    }

    #[test]
    fn without_gradients_only_what_is_read_again_stays() {
        // What enters a block, and its hidden units before and behind the GELU.
        assert_eq!(recorded(0.0, false, true, false).inference(10, exactly), 10 * (16 + 24 + 24));
    }
}
