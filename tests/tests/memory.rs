//! What a search step needs of memory, next to a training step: counted by an allocator, so this is a test binary of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use vitslim_core::bench::{BenchSetting, Source, WorkKind, networks};
use vitslim_core::experiment::Document;
use vitslim_core::models::Vit;

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
    search: (
        epochs: 1,
        batch: 16,
        optimizer: AdamW(lr: 1e-4),
        dimensions: { "head_dim": (weight: 1e-4), "hidden": (weight: 1e-5), "tokens": (weight: 1e-4) },
    ),
    budgets: [Share({ "hidden": 0.5 })],
)"#;

#[test]
fn a_search_step_needs_a_tenth_more_memory_at_most() {
    let document = Document::parse("memory.ron", EXPERIMENT, &[]).unwrap();
    let device = Device::flex();
    let setting = BenchSetting { batch: 16, device: &device, precision_name: "f32" };
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
    let ratio = search as f64 / training as f64;
    println!("a training step needs {training} bytes, a search step {ratio:.3} of it");
    assert!(training > 30_000_000, "{training}");
    assert!(search > training, "a search step has gated weights beside the others: {ratio:.3}");
    assert!(ratio <= 1.1, "a search step needs {ratio:.3} of the memory of a training step");
}
