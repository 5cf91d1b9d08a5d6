//! What a search step needs of memory, next to a training step, and either with activation checkpointing: counted by an allocator, so
//! this is a test binary of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use vitslim_core::bench::{BenchSetting, Source, WorkKind, networks};
use vitslim_core::experiment::Document;
use vitslim_core::models::Vit;
use vitslim_core::plan::{Planning, plan};
use vitslim_core::run::Teachers;

/// Bytes that are in use, and the most that were since it was last asked.
struct Counting {
    used: AtomicUsize,
    peak: AtomicUsize,
}

#[global_allocator]
static MEMORY: Counting = Counting { used: AtomicUsize::new(0), peak: AtomicUsize::new(0) };

// SAFETY: it is the system's allocator, and counts beside it.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = self.used.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        self.peak.fetch_max(used, Ordering::Relaxed);
        // SAFETY: what holds for the call holds for the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

impl Counting {
    /// The most bytes that `work` needs beside those that are in use before.
    fn peak_of(&self, work: impl FnOnce()) -> usize {
        let before = self.used.load(Ordering::Relaxed);
        self.peak.store(before, Ordering::Relaxed);
        work();
        self.peak.load(Ordering::Relaxed) - before
    }
}

/// The blocks of a DeiT-Tiny with a third of its tokens: the masked weights weigh more beside fewer tokens.
const EXPERIMENT: &str = r#"Experiment(
    name: "memory",
    model: (architecture: "vit", config: (patch_size: 8, dim: 192, depth: 3, heads: 3)),
    data: Random(image_size: 64, channels: 3, classes: 10, images: 20),
    pretrain: (epochs: 1, batch: 16, optimizer: AdamW(lr: 1e-4)),
    search: (
        epochs: 1,
        batch: 16,
        optimizer: AdamW(lr: 1e-4),
        dimensions: { "head_dim": (weight: 1e-4), "hidden": (weight: 1e-5), "tokens": (weight: 1e-4) },
    ),
    budgets: [Share({ "hidden": 0.5 })],
)"#;

/// The bytes that a training step and a search step need, with `sets` on the command line.
fn steps(sets: &[&str]) -> [usize; 2] {
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    let document = Document::parse("memory.ron", EXPERIMENT, &sets).unwrap();
    let device = Device::flex();
    let setting = BenchSetting {
        batch: 16,
        device: &device,
        device_name: "cpu",
        precision_name: "f32",
        operations: false,
        teachers: &Teachers::default(),
    };
    let trial = document.trials().unwrap().get(0);
    let dense = networks::<Vit>(&trial, &Source::Experiment, &setting).unwrap().networks.remove(0);
    let [mut training, mut search] = [0; 2];
    for mut work in dense.work {
        let peak = match work.kind {
            WorkKind::Training => &mut training,
            WorkKind::Search => &mut search,
            WorkKind::Inference => continue,
        };
        // The first step makes the optimizer's state, which stays.
        (work.once)().unwrap();
        *peak = MEMORY.peak_of(|| (work.once)().unwrap());
    }
    [training, search]
}

/// What `plan` predicts of that, without what is there before a step: parameters, their moments, and images.
fn predicted(sets: &[&str]) -> [f64; 2] {
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    let trial = Document::parse("memory.ron", EXPERIMENT, &sets).unwrap().trials().unwrap().get(0);
    let planned =
        plan::<Vit>(&trial, &mut Planning::default().with_memory(&Device::flex(), u64::MAX)).unwrap();
    // The last is the process, which the allocator does not count here.
    let before = 4 * (3 * planned.params + 16 * 3 * 64 * 64) + 40_000_000;
    ["pretrain", "search"].map(|name| {
        let stage = planned.stages.iter().find(|stage| stage.stage == name).unwrap();
        (stage.memory.unwrap() - before as u64) as f64
    })
}

// One after the other, since all count in the same place.
#[test]
fn steps_need_as_little_memory_as_they_can() {
    let [training, search] = steps(&[]);
    let ratio = search as f64 / training as f64;
    println!("a training step needs {training} bytes, a search step {ratio:.3} of it");
    assert!(training > 30_000_000, "{training}");
    assert!(search > training, "a search step has gated weights beside the others: {ratio:.3}");
    assert!(ratio <= 1.1, "a search step needs {ratio:.3} of the memory of a training step");

    let deep = "model.config.depth=12";
    let kept = steps(&[deep]);
    let again = steps(&[deep, "search.checkpointing=true"]);
    for (step, (kept, again)) in ["training", "search"].into_iter().zip(kept.into_iter().zip(again)) {
        let ratio = again as f64 / kept as f64;
        println!("a {step} step of 12 blocks needs {kept} bytes, with checkpointing {ratio:.3} of it");
        assert!(ratio <= 0.35, "with checkpointing, a {step} step needs {ratio:.3} of the memory");
    }
    assert_predicted();
}

/// Asserts that `plan` predicts what steps need, of a deep and of a wide network.
fn assert_predicted() {
    let deep: &[&str] = &["model.config.depth=12"];
    let wide = &["model.config.mlp_ratio=8", "model.config.dropout=0.1"];
    let again = &["model.config.depth=12", "pretrain.checkpointing=true", "search.checkpointing=true"];
    // Of a step of three blocks in bf16, a third is not predicted.
    let bf16 = &["model.config.depth=12", "precision=Bf16"];
    // Attention is one operation there too.
    let hidden = "search.dimensions={ \"hidden\": (weight: 1e-5) }";
    let qk_dim = &["model.config.depth=12", "model.config.qk_dim=24", hidden];
    let rope = &["model.config.depth=12", "model.config.rope=()", hidden];
    for sets in [deep, wide, again, bf16, qk_dim, rope] {
        for (step, (found, predicted)) in
            ["training", "search"].into_iter().zip(steps(sets).into_iter().zip(predicted(sets)))
        {
            let ratio = predicted / found as f64;
            println!("{sets:?}: a {step} step needs {found} bytes, {ratio:.3} of it are predicted");
            assert!((ratio - 1.0).abs() <= 0.15, "{sets:?}: {ratio:.3} of a {step} step is predicted");
        }
    }
}
