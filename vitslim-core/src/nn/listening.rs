//! What layers read, for those who listen: some measures of a unit need its activations. Where nobody listens, it costs nothing.

use std::cell::RefCell;

use burn::module::ParamId;
use burn::tensor::Tensor;

/// Who reads a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The layer with this weight.
    Layer(ParamId),
    /// The token gate with this number, on behalf of the branches of its block.
    Gate(usize),
}

/// What becomes of what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// `samples * weight`, and the bias of this id if there is one.
    Linear(Option<ParamId>),
    /// Something else.
    Other,
}

/// What was read at once.
pub(crate) struct Heard {
    /// By whom.
    pub reader: Reader,
    /// What for.
    pub used: Use,
    /// Number of samples: positions in images for a layer, images for a gate.
    pub samples: usize,
    /// What the listener made of the samples.
    pub reduced: Tensor<2>,
}

/// Makes of samples, `[samples, features]`, what a listener keeps of them; `None` if it keeps nothing of what is so used.
pub(crate) type Reduce = fn(Use, Tensor<2>) -> Option<Tensor<2>>;

struct Listener {
    to: Vec<Reader>,
    reduce: Reduce,
    heard: Vec<Heard>,
}

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// Runs `forward`, and listens to what the readers `to` read on this thread: in the order in which they do, each time `reduce`d.
pub(crate) fn listening<T>(to: Vec<Reader>, reduce: Reduce, forward: impl FnOnce() -> T) -> (T, Vec<Heard>) {
    /// Ends the listening, also when a forward pass panics.
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            LISTENER.set(None);
        }
    }

    LISTENER.set(Some(Listener { to, reduce, heard: Vec::new() }));
    let _end = End;
    let answer = forward();
    (answer, LISTENER.take().map_or_else(Vec::new, |listener| listener.heard))
}

/// Whether somebody listens on this thread.
pub(super) fn is_listened_to() -> bool {
    LISTENER.with_borrow(Option::is_some)
}

/// Tells whoever listens that `reader` reads `samples`, `[samples, features]`, and what for.
pub(super) fn reads(reader: Reader, used: Use, samples: impl FnOnce() -> Tensor<2>) {
    LISTENER.with_borrow_mut(|listener| {
        if let Some(Listener { reduce, heard, .. }) =
            listener.as_mut().filter(|listener| listener.to.contains(&reader))
        {
            let samples = samples();
            let [count, _] = samples.dims();
            let reduced = reduce(used, samples);
            heard.extend(reduced.map(|reduced| Heard { reader, used, samples: count, reduced }));
        }
    });
}
