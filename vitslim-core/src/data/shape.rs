/// Channels and size of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Number of channels.
    pub channels: usize,
    /// Height and width in pixels.
    pub size: usize,
}

impl ImageShape {
    /// Number of values of an image.
    pub fn values(self) -> usize {
        self.channels * self.size * self.size
    }
}
