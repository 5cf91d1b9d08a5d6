/// What an annotation says of how training treats the parameters of a field. What none says, training tells by their shapes and by
/// the order in which the forward pass uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// `norm`: weight decay spares them, and a search with `freeze: Weights` trains them, as it does norms.
    Norm,
    /// `decay`: weight decay applies to them.
    Decay,
    /// `no_decay`: weight decay spares them.
    NoDecay,
    /// `freeze`: a search with `freeze: Weights` leaves them as they are.
    Freeze,
    /// `no_freeze`: a search with `freeze: Weights` trains them.
    NoFreeze,
    /// `layer = first`: `layer_decay` counts them to what comes before all blocks.
    FirstLayer,
    /// `layer = last`: `layer_decay` counts them to what comes after all blocks.
    LastLayer,
}
