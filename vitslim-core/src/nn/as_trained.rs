use std::cell::RefCell;

use burn::tensor::Tensor;
use burn_capture::{CaptureBackend, TensorId};

thread_local! {
    static BLOCKS: RefCell<Option<Vec<RecordedBlock>>> = const { RefCell::new(None) };
}

/// A block that was handed to [`checkpoint`](super::checkpoint) in a forward pass that was recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordedBlock {
    pub input: TensorId,
    pub output: TensorId,
}

/// Runs `forward`, which is recorded on this thread, so that what it computes only in training is recorded too: what is dropped. Answers
/// the blocks as well, those within blocks left out.
pub(crate) fn as_trained<T>(forward: impl FnOnce() -> T) -> (T, Vec<RecordedBlock>) {
    /// Restores what was before, also after a panic.
    struct Restore(Option<Vec<RecordedBlock>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            BLOCKS.set(self.0.take());
        }
    }

    let _before = Restore(BLOCKS.replace(Some(Vec::new())));
    let result = forward();
    (result, BLOCKS.take().unwrap_or_default())
}

/// Whether operations are recorded so.
pub(super) fn is_as_trained() -> bool {
    BLOCKS.with_borrow(Option::is_some)
}

/// `forward(x)`, which is a block.
pub(super) fn as_block<const D: usize, const E: usize>(
    x: Tensor<D>,
    forward: impl FnOnce(Tensor<D>) -> Tensor<E>,
) -> Tensor<E> {
    let Some(before) = BLOCKS.with_borrow(|blocks| blocks.as_ref().map(Vec::len)) else { return forward(x) };
    let input = id(&x);
    let output = forward(x);
    if let (Some(input), Some(output)) = (input, id(&output)) {
        BLOCKS.with_borrow_mut(|blocks| {
            if let Some(blocks) = blocks {
                blocks.truncate(before);
                blocks.push(RecordedBlock { input, output });
            }
        });
    }
    output
}

/// The recorded tensor; `None` if it is not recorded.
fn id<const D: usize>(tensor: &Tensor<D>) -> Option<TensorId> {
    tensor.clone().try_into_primitive::<CaptureBackend>().ok().map(|tensor| tensor.id())
}
