//! Several modules in one field.

/// A list, whose elements have their index as a name.
#[doc(hidden)]
pub trait Several<T>: Sized {
    /// The list of what `map` makes of each element, given its index.
    fn each(self, map: impl FnMut(&str, T) -> T) -> Self;
}

impl<T> Several<T> for Vec<T> {
    fn each(self, mut map: impl FnMut(&str, T) -> T) -> Self {
        self.into_iter().enumerate().map(|(index, item)| map(&index.to_string(), item)).collect()
    }
}

impl<T, const N: usize> Several<T> for [T; N] {
    fn each(self, mut map: impl FnMut(&str, T) -> T) -> Self {
        let mut indices = 0..;
        self.map(|item| map(&indices.next().unwrap_or(N).to_string(), item))
    }
}
